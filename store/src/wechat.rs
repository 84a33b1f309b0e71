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
