//! All of an account's followers, as WeChat has them, into a store.
//!
//! A [`Pass`] lists the followers (`user/get`, 10,000 to a page), asks who they are (`batchget`, 100 at a time) and stores
//! what WeChat says. When all are stored, those whom the store has as followers and the list has not are asked about once more:
//! nobody is unfollowed for being absent from a list, WeChat's word is stored like any other.
//!
//! Then it reads the account's blacklist (`getblacklist`, 10,000 to a page). When all of it is read, whoever is on it and not
//! known to be is stored as blacklisted, and whoever is known to be and not on it as blacklisted no more. An account that may
//! not ask for its blacklist has none as far as a pass goes: nothing is stored of it.
//!
//! Every step may be done twice without harm: a profile is stored under the time at which it was asked for, and the store keeps the
//! newest. So nothing is coordinated with the pushes that come meanwhile.
//!
//! # Bounds
//! All openids of a pass are in memory, about 110 bytes each.

mod blacklist;
mod pass;
mod syncing;

use std::future::Future;

pub use blacklist::{Blacklist, Found};
pub use pass::{BATCH, List, Page, Pass};
pub use syncing::{Counts, Syncing};

use crate::calls::Ended;
use crate::pace::Pace;

/// How far it is can be kept no more; why, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotKept(pub String);

/// Where it is kept how far a pass is, so that another run goes on from there: [`Pass::named`], told the same pages and batches
/// in the same order, is the same pass.
pub trait Progress: Send + Sync + 'static {
    /// Keeps a page of a list. On return it is durable: nothing came of it before.
    ///
    /// # Errors
    /// It is not kept; the pass ends.
    fn page(&self, list: List, page: &Page) -> impl Future<Output = Result<(), NotKept>> + Send;

    /// Notes that a batch is in the store. What a crash takes of it is asked for again.
    ///
    /// # Errors
    /// Nothing can be noted any more; the pass ends.
    fn stored(&self, batch: usize) -> Result<(), NotKept>;

    /// Keeps that the pass is complete, at this time in Unix milliseconds.
    ///
    /// # Errors
    /// It is not kept.
    fn over(&self, at_ms: i64) -> impl Future<Output = Result<(), NotKept>> + Send;
}

/// The store, for one account.
pub trait Store: Send + Sync + 'static {
    /// Stores a batch of CloudEvents, JSON as [`CONTENT_TYPE_BATCH`](weir_store_api::CONTENT_TYPE_BATCH) has it. On return
    /// they are durable.
    ///
    /// # Errors
    /// They are not and will not be; `pace` was stopped with the reason.
    fn put(&self, pace: &Pace, events: String) -> impl Future<Output = Result<(), Ended>> + Send;

    /// A page of those whom it has as followers, or as blacklisted; `cursor` is [`Known::next`] of the one before.
    ///
    /// # Errors
    /// It does not answer and will not; `pace` was stopped with the reason.
    fn known(
        &self,
        pace: &Pace,
        list: List,
        cursor: Option<&str>,
    ) -> impl Future<Output = Result<Known, Ended>> + Send;
}

/// A page of users whom a store has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Some of them.
    pub openids: Vec<String>,
    /// Where it goes on; `None` after the last.
    pub next: Option<String>,
}

/// An openid as it can be: letters, digits, `-` and `_`, 1 to 128 of them.
#[must_use]
pub fn is_openid(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    (1..=128).contains(&text.len()) && text.chars().all(fits)
}
