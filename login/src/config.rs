//! What the operator says about logins, checked.

use weir_engine::config::{AccountId, Peer, Secret};

use crate::seal::Key;

/// All of it.
#[derive(Debug)]
pub struct Config {
    /// The accounts, in the order of the document: an [`AccountId`] is a place in it.
    pub accounts: Vec<Account>,
    /// Which parts of the site need to know who comes.
    pub pages: Vec<Page>,
    /// How sessions are sealed, and how long they last.
    pub sessions: Sessions,
    /// `https://shop.example.com`, without a slash at the end: where WeChat sends browsers back to.
    pub public_url: String,
    /// The path there that is this filter's.
    pub callback_path: String,
    /// Where `api.weixin.qq.com` is.
    pub wechat_api: Peer,
    /// Where logins are recorded: the peer and the path of its event door.
    pub store: Option<(Peer, String)>,
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
}

/// A Mini Program, or an Official Account whose users come to pages.
#[derive(Debug)]
pub struct Account {
    /// Its name in headers, events and metrics.
    pub name: String,
    /// `source` of its events: `/accounts/{name}`.
    pub source: String,
    /// The appid.
    pub appid: String,
    /// Its AppSecret: codes are redeemed with it.
    pub app_secret: Secret,
    /// Mini Programs: the beginning of the paths of its calls, `/wechat-login/mini`.
    pub path: Option<String>,
    /// What a mini program gets.
    pub hand_out: HandOut,
}

/// How a mini program shows its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOut {
    /// In `authorization: Bearer …`; it is in the answer to the login.
    Bearer,
    /// As a cookie that scripts cannot read.
    Cookie,
}

/// A part of the site.
#[derive(Debug)]
pub struct Page {
    /// Beginning of its paths, with a slash at the end.
    pub prefix: String,
    /// The Official Account by which its users are known.
    pub account: AccountId,
    /// What they are asked for.
    pub scope: Scope,
    /// What becomes of those who are not known.
    pub strangers: Strangers,
}

/// What a browser is asked for at WeChat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// `snsapi_base`: the openid, silently.
    Base,
    /// `snsapi_userinfo`: nickname and picture too, with consent.
    UserInfo,
}

impl Scope {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Base => "snsapi_base",
            Self::UserInfo => "snsapi_userinfo",
        }
    }
}

/// What becomes of those who are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strangers {
    /// They log in.
    LogIn,
    /// They come as guests, each with a negative uid of its own.
    Guests,
}

/// How sessions are sealed, and how long they last.
#[derive(Debug)]
pub struct Sessions {
    /// Seals, and opens.
    pub key: Key,
    /// Opens what was sealed before the key was replaced.
    pub previous_key: Option<Key>,
    /// How long one lasts, seconds.
    pub lasts_s: u64,
    /// Whether browsers send the cookies over https only.
    pub secure: bool,
}

/// Bounds and times.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest body of a mini program's call, bytes.
    pub max_body_bytes: usize,
    /// How long a request waits for WeChat, milliseconds.
    pub wait_ms: u64,
    /// How long a login waits for the store to say which person it is, milliseconds. 0: not at all.
    pub uid_wait_ms: u32,
    /// Most requests that wait at a time, per worker.
    pub held_max: usize,
    /// Most events that wait for the store, per worker.
    pub outbox_max_events: usize,
}
