//! What the operator says about the door, checked.

use weir_engine::config::{AccountId, Peer, Secret};

/// All of it.
#[derive(Debug)]
pub struct Config {
    /// The accounts, in the order of the document: an [`AccountId`] is a place in it.
    pub accounts: Vec<Account>,
    /// Who may come.
    pub clients: Vec<Client>,
    /// Where `api.weixin.qq.com` is.
    pub wechat_api: Peer,
    /// Where what was sent is recorded: the peer and the path of its event door.
    pub store: Option<(Peer, String)>,
    /// What an SDK that asks for an access token gets.
    pub hand_out: HandOut,
    /// What is done about requests that WeChat would refuse or show wrongly.
    pub linter: Linter,
    /// How subscribe messages are refused that their user has not allowed; `None`: they are not, WeChat does it.
    pub credits: Option<Credits>,
    /// Calls per day.
    pub quotas: Vec<Quota>,
    /// Bounds and times.
    pub limits: Limits,
}

impl Config {
    /// The account.
    #[must_use]
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(id.0 as usize)
    }

    pub(crate) fn account_by(&self, is_it: impl Fn(&Account) -> bool) -> Option<AccountId> {
        let place = self.accounts.iter().position(is_it)?;
        u32::try_from(place).ok().map(AccountId)
    }

    /// Whether some client is known by its certificate, so that the host is to be asked for it.
    #[must_use]
    pub fn asks_for_certificates(&self) -> bool {
        self.clients.iter().any(|client| client.san.is_some())
    }
}

/// An Official Account or a Mini Program; each has a token of its own.
#[derive(Debug)]
pub struct Account {
    /// Its name in headers, paths, events and metrics.
    pub name: String,
    /// `source` of its events: `/accounts/{name}`.
    pub source: String,
    /// What SDKs call it.
    pub appid: String,
    /// Its AppSecret.
    pub app_secret: Secret,
}

/// An application, or a group of its instances. What is configured of `key` and `san` must all be shown.
#[derive(Debug)]
pub struct Client {
    /// Its name in events and metrics.
    pub name: String,
    /// What it shows in place of an AppSecret, or as a bearer token.
    pub key: Option<Secret>,
    /// A URI in its certificate, `spiffe://…`.
    pub san: Option<String>,
    /// The accounts that it may speak for.
    pub accounts: Vec<AccountId>,
    /// Beginnings of the API paths that it may call.
    pub allow: Vec<String>,
    /// Beginnings of those that it may not; they win.
    pub deny: Vec<String>,
}

/// What an SDK that asks for an access token gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOut {
    /// Something that only this door understands: the access token does not leave it.
    StandIn,
    /// The shared access token, for SDKs that also call WeChat directly.
    AccessToken,
}

/// What is done about requests that WeChat would refuse or show wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linter {
    /// Nothing.
    Off,
    /// They are counted, and go on.
    Warn,
    /// They are answered here, with the `errcode` that WeChat has for it.
    Refuse,
}

/// How it is found out that a user has not allowed a subscribe message: the store knows.
#[derive(Debug)]
pub struct Credits {
    /// The path of the store's balances.
    pub path: String,
    /// How long the store may take to say, milliseconds; then the message goes on.
    pub timeout_ms: u32,
    /// Templates of which an accept allows any number of messages: they are never refused.
    pub long_term: Vec<String>,
}

/// How often an API may be called in a day.
#[derive(Debug)]
pub struct Quota {
    /// The API's path.
    pub path: String,
    /// Calls per account and day, as WeChat counts them: a day begins at midnight in Beijing.
    pub per_day: u32,
    /// So many of them are left to others than the door.
    pub reserve: u32,
}

/// Bounds and times.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest body of a request that is kept, so that the call can be made again with another token, bytes. Larger ones
    /// stream through.
    pub replay_max_bytes: usize,
    /// How long a request may wait for an access token, milliseconds.
    pub wait_ms: u64,
    /// Most requests that wait or are kept at a time, per worker.
    pub held_max: usize,
    /// How long a stand-in is good for, seconds.
    pub stand_in_s: u64,
    /// Most events that wait for the store, per worker.
    pub outbox_max_events: usize,
}
