//! What was called and what was sent. Paths only: queries carry tokens and secrets.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Sends kept; older ones are dropped and counted.
pub const MAX_SENDS: usize = 10_000;
/// Uploads kept; older ones are dropped.
pub const MAX_UPLOADS: usize = 1000;

/// Calls and sends since the start, or since it was cleared.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// By path. Calls of paths that do not exist are under `other`.
    pub calls: BTreeMap<String, Calls>,
    /// Messages that were accepted.
    pub sends: VecDeque<Sent>,
    /// Sends that were dropped from `sends`.
    pub sends_dropped: u64,
    /// Template messages that were answered and not sent, because their `client_msg_id` was known.
    pub repeats: u64,
    /// What was uploaded.
    pub uploads: VecDeque<Upload>,
    /// Headers that are none of WeChat's business (`authorization`, `cookie`, `x-weir-…`), by name.
    pub strange_headers: BTreeMap<String, u64>,
}

/// Calls of one path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// All of them.
    pub count: u64,
    /// Answered with an errcode other than 0, by errcode.
    pub errcodes: BTreeMap<i64, u64>,
    /// Came with a token that was good.
    pub authorised: u64,
    /// Met an injected fault other than a delay or an errcode.
    pub faults: u64,
}

/// One message that was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The account's name.
    pub account: String,
    /// `custom`, `template`, `subscribe` or `bizsend`.
    pub api: String,
    /// The id that is answered or, of `bizsend`, pushed; 0 for customer-service messages, which have none.
    pub msgid: u64,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The request's body, unchanged.
    pub body: Value,
}

/// One file that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// The account's name.
    pub account: String,
    /// The id that was answered.
    pub media_id: String,
    /// `image`, `voice`, `video` or `thumb`.
    pub kind: String,
    /// As the request named it.
    pub filename: String,
    /// Its size.
    pub bytes: u64,
    /// Its digest: 40 hex digits.
    pub sha1: String,
    /// Unix milliseconds.
    pub at_ms: i64,
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

    pub(super) fn uploaded(&mut self, upload: Upload) {
        if self.uploads.len() == MAX_UPLOADS {
            self.uploads.pop_front();
        }
        self.uploads.push_back(upload);
    }
}
