//! An account's media: what was uploaded, and what a test put there.
//!
//! Bounds: [`MAX_KEPT`] of each account, the oldest goes first.

use std::collections::VecDeque;

use hyper::body::Bytes;
use serde::{Deserialize, Serialize};

/// Media kept per account.
pub const MAX_KEPT: usize = 64;
/// How long an upload can be fetched: three days.
/// Source: WeChat's page on temporary media.
pub const LIFETIME_MS: i64 = 3 * 86_400_000;

/// What `media/get` answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// `Content-Type`.
    pub content_type: String,
    /// In `Content-disposition`.
    pub filename: String,
    /// The bytes, or how many of them are made up on the way.
    pub content: Content,
}

/// The bytes of a medium.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// What was uploaded.
    Bytes(Bytes),
    /// So many; the byte at `n` is `n % 251`.
    Pattern(u64),
}

/// A medium that a test puts there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeUp {
    /// How many bytes.
    pub bytes: u64,
    /// `Content-Type`.
    #[serde(default = "jpeg")]
    pub content_type: String,
}

fn jpeg() -> String {
    "image/jpeg".to_owned()
}

/// One account's.
#[derive(Default)]
pub(super) struct Media(VecDeque<(String, i64, Medium)>);

impl Media {
    pub(super) fn put(&mut self, now_ms: i64, id: &str, medium: Medium) {
        self.0.retain(|(known, ..)| known != id);
        if self.0.len() == MAX_KEPT {
            self.0.pop_front();
        }
        self.0.push_back((id.to_owned(), now_ms, medium));
    }

    pub(super) fn get(&self, now_ms: i64, id: &str) -> Option<&Medium> {
        let (_, at_ms, medium) = self.0.iter().find(|(known, ..)| known == id)?;
        (now_ms - at_ms < LIFETIME_MS).then_some(medium)
    }
}
