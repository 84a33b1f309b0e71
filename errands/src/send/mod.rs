//! One message to many, each of them once.
//!
//! A [`Message`] has placeholders that each [`Recipient`] fills. [`Sending::send`] takes one recipient's to its end: a [`Ledger`]
//! has it durable that the message is about to leave, it leaves, and what became of it is a [`Fate`]. What is to be done about somebody
//! follows from the list and the ledger alone ([`plan`]), so a run that was killed is resumed by the next.
//!
//! A message whose answer is missing may have been sent. It is sent again only where WeChat recognises it by its
//! `client_msg_id`, which it does for 10 minutes.
//!
//! # Out of scope
//! Choosing the recipients, and delivery: WeChat tells that later by events.

mod fate;
mod fill;
mod message;
mod past;
mod recipient;
mod sending;

use std::future::Future;

pub use fate::{Fate, Outcome};
pub use message::{Api, Message, Misfit, Spec};
pub use past::{Past, Plan, RECOGNISED_MS, Repeat, plan};
pub use recipient::{Recipient, openid};
pub use sending::Sending;

pub use crate::sync::NotKept;

/// A campaign's name: 1 to 64 letters, digits, `-`, `_` and `.`; it begins with neither `-` nor `.`.
#[must_use]
pub fn is_campaign(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=64).contains(&text.len()) && !text.starts_with(['.', '-']) && text.chars().all(fits)
}

/// Where it is kept who was about to be sent the message, and what became of it.
pub trait Ledger: Send + Sync + 'static {
    /// Keeps that somebody is about to be sent the message, at this time in Unix milliseconds. On return it is durable; or
    /// they are not to be sent it any more, and that is their fate.
    ///
    /// # Errors
    /// It is not kept: nothing is sent.
    fn begin(
        &self,
        openid: &str,
        at_ms: i64,
    ) -> impl Future<Output = Result<Option<Fate>, NotKept>> + Send;

    /// Notes what became of it. If a crash takes it, it is not known.
    ///
    /// # Errors
    /// Nothing can be noted any more; the run ends.
    fn settle(&self, openid: &str, fate: &Fate) -> Result<(), NotKept>;
}
