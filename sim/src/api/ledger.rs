//! What was called and what was sent. Paths only: queries carry tokens and secrets.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Sends kept; older ones are dropped and counted.
pub const MAX_SENDS: usize = 10_000;

/// Calls and sends since the start, or since it was cleared.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// By path. Calls of paths that do not exist are under `other`.
    pub calls: BTreeMap<String, Calls>,
    /// Customer-service and template messages that were accepted.
    pub sends: VecDeque<Sent>,
    /// Sends that were dropped from `sends`.
    pub sends_dropped: u64,
}

/// Calls of one path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// All of them.
    pub count: u64,
    /// Answered with an errcode other than 0, by errcode.
    pub errcodes: BTreeMap<i64, u64>,
    /// Met an injected fault other than a delay or an errcode.
    pub faults: u64,
}

/// One message that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The account's name.
    pub account: String,
    /// `custom` or `template`.
    pub api: String,
    /// The id that was answered; 0 for customer-service messages, which have none.
    pub msgid: u64,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The request's body, unchanged.
    pub body: Value,
}

impl Ledger {
    /// How often `path` was called.
    pub fn count(&self, path: &str) -> u64 {
        self.calls.get(path).map_or(0, |calls| calls.count)
    }

    pub(super) fn sent(&mut self, sent: Sent) {
        if self.sends.len() == MAX_SENDS {
            self.sends.pop_front();
            self.sends_dropped += 1;
        }
        self.sends.push_back(sent);
    }
}
