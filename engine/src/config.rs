//! The configuration, ready to run: checked, secrets looked up, rules compiled.
//!
//! What an operator writes is read by the crate `weir-config`; here is what it means.

use crate::fold::FoldMap;

use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::push::Format;
use weir_protocol::signature::Token;
use zeroize::Zeroizing;

use crate::capability::{Capabilities, Capability};
use crate::rules::Rules;

/// The number of an account: its place in [`Config::accounts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub u32);

/// `wx` and 16 hexadecimal digits. Source: wechat-protocol, head.
#[must_use]
pub fn is_appid(text: &str) -> bool {
    text.strip_prefix("wx").is_some_and(|rest| {
        rest.len() == 16
            && rest
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    accounts: Vec<Account>,
    by_path: FoldMap<String, AccountId>,
    /// Paths with an appid in them: what stands before it, what after.
    platforms: Vec<(String, String, AccountId)>,
    /// Where events go.
    pub store: Store,
    /// Where the WeChat API is; `None` when no account has an `app_secret_env`.
    pub wechat_api: Option<Peer>,
    /// The applications that pushes can be forwarded to.
    apps: Vec<App>,
    /// Bounds and times.
    pub limits: Limits,
    /// What the host gives.
    pub host: Capabilities,
}

/// The number of an application: its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId(pub u32);

/// An application that answers pushes.
#[derive(Debug, Clone)]
pub struct App {
    /// Its name in rules and events.
    pub name: String,
    /// Where it is, and how long it may take.
    pub peer: Peer,
    /// `:path` of the calls.
    pub path: String,
    /// What it is sent.
    pub format: AppFormat,
    /// It knows a push that it has seen, by its id, so a call that failed may be made again.
    pub repeat: bool,
}

/// What an application is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppFormat {
    /// The event that the store gets, too.
    CloudEvent,
    /// The push as WeChat would send it in plain mode, with the query that proves it is WeChat's: what programs for
    /// WeChat take.
    Wechat,
}

/// What becomes of an application's reply that came after WeChat's last attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateReplies {
    /// It is sent as a customer-service message.
    Send,
    /// That it did not reach the user is recorded.
    Record,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<'p> {
    /// The account.
    pub account: AccountId,
    /// The appid in the path: the account that authorised the platform.
    pub authorizer: Option<&'p str>,
}

/// One account.
#[derive(Debug)]
pub struct Account {
    /// 1 to 32 characters of `[a-z0-9_-]`; appears in events, metrics and the store's URLs.
    pub name: String,
    /// The exact path of the push URL.
    pub path: String,
    /// Of a third-party platform: what stands before and after the appid in the path of its accounts' pushes.
    pub authorizers_path: Option<(String, String)>,
    /// What it is.
    pub kind: AccountKind,
    /// `gh_…`: the `ToUserName` of its pushes. Empty for a third-party platform; the CorpID or SuiteID for WeCom.
    pub original_id: String,
    /// `wx` and 16 hexadecimal digits; the CorpID or SuiteID for WeCom. It is what encrypted bodies end in.
    pub appid: String,
    /// How its pushes are protected.
    pub mode: Mode,
    /// In what its replies are written.
    pub format: Format,
    /// WeChat's shared secret, current first, then the previous one.
    pub tokens: Vec<Token>,
    /// Current first, then the previous one. Empty in plain mode.
    pub keys: Vec<EncodingAesKey>,
    /// The AppSecret; without it the account makes no API calls.
    pub app_secret: Option<Secret>,
    /// What becomes of late replies.
    pub late_replies: LateReplies,
    /// Which push gets which reply.
    pub rules: Rules,
    /// `source` of its events: `/accounts/` and the name.
    pub source: String,
}

/// What kind of account it is. The two have different APIs and tokens that are not interchangeable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// 公众号.
    OfficialAccount,
    /// 小程序.
    MiniProgram,
    /// 第三方平台: notices about authorisations, and the pushes of the accounts that authorised it.
    ThirdPartyPlatform,
    /// 企业微信.
    WeCom,
}

/// How pushes are protected. The account decides, never the request: no downgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 明文模式: not encrypted; the body is not even signed.
    Plain,
    /// 兼容模式: both; Weir uses the encrypted half alone.
    Compatible,
    /// 安全模式: encrypted.
    Encrypted,
}

/// A secret that does not print itself.
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps a secret.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The store.
#[derive(Debug, Clone)]
pub struct Store {
    /// Where.
    pub peer: Peer,
    /// `:path` of the event door.
    pub path: String,
    /// When WeChat gets its answer.
    pub ack: Ack,
}

/// When WeChat gets its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// After the store's 2xx: what WeChat was told is kept, is kept.
    AfterStore,
    /// As soon as the reply is known. What is still in the outbox when the process dies is lost.
    AtOnce,
}

/// Somebody Weir calls.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Envoy's cluster.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// How long to wait for an answer.
    pub timeout_ms: u32,
}

/// Bounds and times. Every queue, table, body and wait is in here.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest body of a push, bytes.
    pub max_body_bytes: usize,
    /// How far a push's timestamp may be from now, seconds, either way.
    pub freshness_s: u64,
    /// How long after its headers an attempt is answered at the latest. WeChat waits 5,000.
    pub reply_deadline_ms: u64,
    /// Slots of the dedup table.
    pub dedup_slots: usize,
    /// How long a push is recognised.
    pub dedup_retention_ms: u64,
    /// Most events waiting for the store, per worker.
    pub outbox_max_events: usize,
    /// Most bytes of them.
    pub outbox_max_bytes: usize,
    /// Most events in one call to the store.
    pub batch_max_events: usize,
    /// Most bytes in one call to the store (one larger event goes alone).
    pub batch_max_bytes: usize,
    /// How long an event of [`Ack::AtOnce`] waits for company.
    pub batch_wait_ms: u64,
    /// Most streams held at a time, per worker.
    pub parked_max: usize,
    /// How long followers are gathered into one `batchget`.
    pub profile_wait_ms: u64,
    /// Most followers waiting for their profile, per worker.
    pub profiles_max_queued: usize,
    /// Most users waiting to be tagged, per worker.
    pub tags_max_queued: usize,
    /// Most pushes that applications are asked about at a time, late replies included, per worker.
    pub forwards_max: usize,
    /// Most bytes of applications' replies that are kept for copies of their pushes, shared by all workers.
    pub replies_max_bytes: usize,
}

impl Config {
    /// A configuration of these accounts; the caller has seen to it that no two have a path in common.
    #[must_use]
    pub fn new(
        accounts: Vec<Account>,
        store: Store,
        wechat_api: Option<Peer>,
        apps: Vec<App>,
        limits: Limits,
    ) -> Self {
        let numbered = || (0..).map(AccountId).zip(&accounts);
        let by_path = numbered().map(|(id, account)| (account.path.clone(), id));
        let platforms = numbered().filter_map(|(id, account)| {
            let (before, after) = account.authorizers_path.clone()?;
            Some((before, after, id))
        });
        Self {
            by_path: by_path.collect(),
            platforms: platforms.collect(),
            accounts,
            store,
            wechat_api,
            apps,
            limits,
            host: Capabilities::ALL,
        }
    }

    /// The same, for a host that gives only this.
    #[must_use]
    pub fn on(mut self, host: Capabilities) -> Self {
        self.host = host;
        if !host.has(Capability::Background) {
            // Nobody will come to be gathered with.
            self.limits.profile_wait_ms = 0;
        }
        self
    }

    /// The application of a number that rules of this configuration have.
    #[must_use]
    pub fn app(&self, id: AppId) -> Option<&App> {
        self.apps.get(id.0 as usize)
    }

    /// The account whose push URL has this path (without the query).
    #[must_use]
    pub fn route<'p>(&self, path: &'p str) -> Option<Route<'p>> {
        if let Some(account) = self.by_path.get(path) {
            return Some(Route {
                account: *account,
                authorizer: None,
            });
        }
        self.platforms.iter().find_map(|(before, after, account)| {
            let appid = path.strip_prefix(before.as_str())?;
            let appid = appid.strip_suffix(after.as_str())?;
            is_appid(appid).then_some(Route {
                account: *account,
                authorizer: Some(appid),
            })
        })
    }

    /// The account of a number this configuration gave out.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(id.0 as usize)
    }

    /// All accounts with their numbers.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, &Account)> {
        (0..).map(AccountId).zip(&self.accounts)
    }
}
