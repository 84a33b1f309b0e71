//! WeChat's API, as far as the store asks it anything: through the gateway's door, which has the access tokens.
//!
//! One call, once. What is asked again, and when, is its caller's: see [`crate::asking`].

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

/// Whoever can be asked.
#[async_trait]
pub trait Wechat: fmt::Debug + Send + Sync + 'static {
    /// A POST of JSON to `path`, for an account.
    async fn post(&self, account: &str, path: &str, body: &Value) -> Verdict;

    /// A GET of `target`, a path with its query, for an account.
    async fn get(&self, account: &str, target: &str) -> Verdict;
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// WeChat did it, and answered this.
    Done(Value),
    /// WeChat does not do this one.
    Refused(Refusal),
    /// Nobody did it now; later it may work.
    Later(Delay),
}

/// Why WeChat does not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// WeChat's.
    pub errcode: i64,
    /// What it means, in words.
    pub why: String,
}

/// What was in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delay {
    /// WeChat's, where it was WeChat.
    pub errcode: Option<i64>,
    /// In words.
    pub why: String,
    /// How long it will be there; `None`: not said.
    pub wait: Option<Duration>,
    /// Whether it is there for every call of the account.
    pub for_all: bool,
    /// Whether the call may have been made all the same.
    pub maybe_done: bool,
}

/// What the codes mean that calls about cards and tags are refused with. Source: WeChat's page on each call, and of its global
/// return codes.
#[must_use]
pub fn explained(errcode: i64) -> Option<&'static str> {
    Some(match errcode {
        40003 => "no user of this account has this openid",
        40032 => "too many users in one call",
        40056 => "there is no card of this code",
        40073 => "there is no card of this card_id",
        40079 => "the card is not within its time",
        40097 => "a parameter is missing, or has a value that it cannot have",
        40127 => "the card was given to a friend, or deleted",
        43009..=43011 => "the account has no permission for this function of cards",
        45056 => "the account has as many tags as it may have",
        45057 => "more than 100,000 followers have the tag: take it from some first",
        45058 => "the tag is one of WeChat's own",
        45059 => "a user has as many tags as they may have",
        45157 => "the name is not allowed, or another tag has it",
        45158 => "the name is too long",
        45159 => "there is no tag of this id",
        48001 => "the account may not make this call",
        49003 => "the openid is one of another account",
        _ => return None,
    })
}
