//! The configuration: what the operator wrote, checked once and made ready to run.
//!
//! [`Config::parse`] reads the JSON document and either gives the finished value or every problem with its
//! path. Secrets are in the document only by the name of an environment variable; the value is looked up
//! here and kept in types that do not print it.

mod node;
mod rules;

use std::collections::HashMap;

use serde_json::Value;
use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::push::Format;
use weir_protocol::signature::Token;
use zeroize::Zeroizing;

pub use self::node::Problem;
use self::node::{Node, Object, Problems};
use crate::rules::Rules;

/// The number of an account: its place in [`Config::accounts`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub u32);

/// A checked configuration.
#[derive(Debug)]
pub struct Config {
    accounts: Vec<Account>,
    by_path: HashMap<String, AccountId>,
    /// Where events go.
    pub store: Store,
    /// Where the WeChat API is; `None` when no account has an `app_secret_env`.
    pub wechat_api: Option<Peer>,
    /// Bounds and times.
    pub limits: Limits,
}

/// One Official Account or Mini Program.
#[derive(Debug)]
pub struct Account {
    /// 1 to 32 characters of `[a-z0-9_-]`; appears in events, metrics and the store's URLs.
    pub name: String,
    /// The exact path of the push URL.
    pub path: String,
    /// What it is.
    pub kind: AccountKind,
    /// `gh_…`: the `ToUserName` of its pushes.
    pub original_id: String,
    /// `wx` and 16 hexadecimal digits.
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
    /// Which push gets which reply.
    pub rules: Rules,
    /// `source` of its events.
    pub(crate) source: String,
}

/// What kind of account it is. The two have different APIs and tokens that are not interchangeable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountKind {
    /// 公众号.
    OfficialAccount,
    /// 小程序.
    MiniProgram,
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
}

impl Config {
    /// Reads and checks the document. `env` looks up environment variables.
    ///
    /// # Errors
    /// Every problem there is, with its path, in the document's order of reading.
    pub fn parse(
        document: &[u8],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<Problem>> {
        let problems = Problems::default();
        let value: Value = match serde_json::from_slice(document) {
            Ok(value) => value,
            Err(e) => {
                return Err(vec![Problem {
                    path: String::new(),
                    text: format!(
                        "the plugin's configuration is not JSON ({e}); give it as a google.protobuf.StringValue"
                    ),
                }]);
            }
        };
        let root = Node {
            path: String::new(),
            value: &value,
            problems: &problems,
        };
        let config = root
            .object()
            .and_then(|root| read_root(&root_fields(root), env));
        let problems = problems.into_vec();
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(problems),
        }
    }

    /// The account whose push URL has this path (without the query).
    #[must_use]
    pub fn route(&self, path: &str) -> Option<AccountId> {
        self.by_path.get(path).copied()
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

/// The top-level fields, unknown ones refused.
struct Root<'a> {
    accounts: Option<Node<'a>>,
    store: Option<Node<'a>>,
    wechat_api: Option<Node<'a>>,
    limits: Option<Node<'a>>,
}

fn root_fields(root: Object<'_>) -> Root<'_> {
    let fields = Root {
        accounts: root.required("accounts"),
        store: root.required("store"),
        wechat_api: root.field("wechat_api"),
        limits: root.field("limits"),
    };
    root.finish();
    fields
}

fn read_root(root: &Root<'_>, env: &dyn Fn(&str) -> Option<String>) -> Option<Config> {
    let nodes = root.accounts.as_ref().map(Node::items).unwrap_or_default();
    if let (Some(accounts), true) = (&root.accounts, nodes.is_empty()) {
        accounts.wrong("needs at least one account");
    }
    let mut accounts = Vec::with_capacity(nodes.len());
    let mut by_path = HashMap::with_capacity(nodes.len());
    let mut names = HashMap::with_capacity(nodes.len());
    for node in &nodes {
        let Some(account) = read_account(node, env) else {
            continue;
        };
        let id = AccountId(u32::try_from(accounts.len()).ok()?);
        if by_path.insert(account.path.clone(), id).is_some() {
            node.wrong(format!(
                "the path {} is taken by another account",
                account.path
            ));
        }
        if names.insert(account.name.clone(), id).is_some() {
            node.wrong(format!(
                "the name {} is taken by another account",
                account.name
            ));
        }
        accounts.push(account);
    }
    let store = root.store.as_ref().and_then(read_store);
    let wechat_api = root.wechat_api.as_ref().and_then(|node| {
        let object = node.object()?;
        let peer = read_peer(&object, "api.weixin.qq.com");
        object.finish();
        peer
    });
    if root.wechat_api.is_none()
        && let Some(account) = accounts.iter().find(|account| account.app_secret.is_some())
        && let Some(node) = &root.accounts
    {
        node.wrong(format!(
            "account {} has an app_secret_env, so the top level needs \"wechat_api\"",
            account.name
        ));
    }
    let limits = read_limits(root.limits.as_ref());
    Some(Config {
        accounts,
        by_path,
        store: store?,
        wechat_api,
        limits,
    })
}

fn read_account(node: &Node<'_>, env: &dyn Fn(&str) -> Option<String>) -> Option<Account> {
    let object = node.object()?;
    let name = checked(&object, "name", "1 to 32 characters of a-z 0-9 _ -", |s| {
        (1..=32).contains(&s.len())
            && s.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b))
    });
    let path = checked(
        &object,
        "path",
        "an absolute path without query, like /wechat/demo",
        |s| {
            s.starts_with('/')
                && s.len() <= 256
                && s.bytes()
                    .all(|b| b.is_ascii_graphic() && !b"?#%".contains(&b))
        },
    );
    let kind = object.choice(
        "kind",
        Some(AccountKind::OfficialAccount),
        &[
            ("official_account", AccountKind::OfficialAccount),
            ("mini_program", AccountKind::MiniProgram),
        ],
    );
    let original_id = checked(
        &object,
        "original_id",
        "the account's original id, like gh_0a1b2c3d4e5f",
        |s| {
            (1..=64).contains(&s.len())
                && s.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        },
    );
    let appid = checked(&object, "appid", "wx and 16 hexadecimal digits", |s| {
        s.strip_prefix("wx").is_some_and(|rest| {
            rest.len() == 16
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        })
    });
    let mode = object.choice(
        "mode",
        None,
        &[
            ("encrypted", Mode::Encrypted),
            ("compatible", Mode::Compatible),
            ("plain", Mode::Plain),
        ],
    );
    let format = object.choice(
        "format",
        Some(Format::Xml),
        &[("xml", Format::Xml), ("json", Format::Json)],
    );

    let token = |key, required| {
        secret(
            &object,
            key,
            required,
            env,
            |s| Token::parse(s).ok(),
            "3 to 32 letters and digits",
        )
    };
    let tokens = [token("token_env", true), token("previous_token_env", false)];
    let keyed = mode.is_some_and(|mode| mode != Mode::Plain);
    let key = |key, required| {
        secret(
            &object,
            key,
            required,
            env,
            |s| EncodingAesKey::parse(s).ok(),
            "43 letters and digits",
        )
    };
    let keys = [
        key("encoding_aes_key_env", keyed),
        key("previous_encoding_aes_key_env", false),
    ];
    let app_secret = secret(
        &object,
        "app_secret_env",
        false,
        env,
        |s| (!s.is_empty()).then(|| Secret(Zeroizing::new(s.to_owned()))),
        "the AppSecret",
    );
    let rules = object
        .field("rules")
        .map(|node| rules::read(&node))
        .unwrap_or_default();
    object.finish();

    let name = name?;
    Some(Account {
        source: format!("/accounts/{name}"),
        name,
        path: path?,
        kind: kind?,
        original_id: original_id?,
        appid: appid?,
        mode: mode?,
        format: format?,
        tokens: tokens.into_iter().flatten().collect(),
        keys: keys.into_iter().flatten().collect(),
        app_secret,
        rules,
    })
}

fn checked(
    object: &Object<'_>,
    key: &'static str,
    expected: &str,
    right: impl Fn(&str) -> bool,
) -> Option<String> {
    let text = object.required_string(key)?;
    if !right(text) {
        object.wrong(key, format!("expected {expected}"));
        return None;
    }
    Some(text.to_owned())
}

/// A secret by the name of its environment variable.
fn secret<T>(
    object: &Object<'_>,
    key: &'static str,
    required: bool,
    env: &dyn Fn(&str) -> Option<String>,
    parse: impl Fn(&str) -> Option<T>,
    expected: &str,
) -> Option<T> {
    let node = if required {
        object.required(key)
    } else {
        object.field(key)
    }?;
    let variable = node.string()?;
    let Some(value) = env(variable).map(Zeroizing::new) else {
        // The text is the operator's own; cut, in case it is the secret itself.
        let shown: String = variable.chars().take(32).collect();
        node.wrong(format!(
            "the environment variable {shown} is not set; list it in vm_config.environment_variables.host_env_keys"
        ));
        return None;
    };
    let parsed = parse(&value);
    if parsed.is_none() {
        node.wrong(format!(
            "the environment variable's value is not {expected}"
        ));
    }
    parsed
}

fn read_store(node: &Node<'_>) -> Option<Store> {
    let object = node.object()?;
    let peer = read_peer(&object, "weir-store");
    let path = match object.string("path") {
        None => Some("/v1/events".to_owned()),
        Some(path) if path.starts_with('/') => Some(path.to_owned()),
        Some(_) => {
            object.wrong("path", "expected an absolute path, like /v1/events");
            None
        }
    };
    let ack = object.choice(
        "ack",
        Some(Ack::AfterStore),
        &[("after_store", Ack::AfterStore), ("at_once", Ack::AtOnce)],
    );
    object.finish();
    Some(Store {
        peer: peer?,
        path: path?,
        ack: ack?,
    })
}

fn read_peer(object: &Object<'_>, default_authority: &str) -> Option<Peer> {
    let cluster = object.required_string("cluster");
    let authority = object
        .string("authority")
        .unwrap_or(default_authority)
        .to_owned();
    let timeout_ms = object.number("timeout_ms", 3_000, 10..=60_000);
    Some(Peer {
        cluster: cluster?.to_owned(),
        authority,
        timeout_ms: u32::try_from(timeout_ms).ok()?,
    })
}

fn read_limits(node: Option<&Node<'_>>) -> Limits {
    const MIB: u64 = 1024 * 1024;
    let nothing = Value::Object(serde_json::Map::new());
    let unused = Problems::default();
    let empty = Node {
        path: String::new(),
        value: &nothing,
        problems: &unused,
    };
    let object = node.and_then(Node::object).or_else(|| empty.object());
    let number = |key, default, range| match &object {
        Some(object) => object.number(key, default, range),
        None => default,
    };
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let limits = Limits {
        max_body_bytes: size(number("max_body_bytes", MIB / 4, 1_024..=4 * MIB)),
        freshness_s: number("freshness_s", 300, 15..=86_400),
        reply_deadline_ms: number("reply_deadline_ms", 4_500, 100..=4_900),
        dedup_slots: size(number("dedup_slots", 65_536, 16..=MIB)),
        dedup_retention_ms: 1_000 * number("dedup_retention_s", 60, 30..=600),
        outbox_max_events: size(number("outbox_max_events", 20_000, 1..=MIB)),
        outbox_max_bytes: size(number("outbox_max_bytes", 32 * MIB, 1_024..=256 * MIB)),
        batch_max_events: size(number("batch_max_events", 500, 1..=10_000)),
        batch_max_bytes: size(number("batch_max_bytes", MIB, 1_024..=16 * MIB)),
        batch_wait_ms: number("batch_wait_ms", 100, 0..=5_000),
        parked_max: size(number("parked_max", 5_000, 1..=100_000)),
        profile_wait_ms: number("profile_wait_ms", 200, 0..=10_000),
        profiles_max_queued: size(number("profiles_max_queued", 10_000, 1..=MIB)),
    };
    if let Some(object) = object {
        object.finish();
    }
    limits
}
