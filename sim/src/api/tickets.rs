//! An account's tickets for the JS-SDK and for cards: one of each kind at a time, good for two hours.

use std::collections::HashMap;

use crate::wechat::ids;

/// How long a ticket lives. Source: WeChat's page on the JS-SDK.
const LIFETIME_MS: i64 = 7_200_000;

/// One account's, by kind: the ticket, and when it ends.
#[derive(Default)]
pub(super) struct Tickets(HashMap<&'static str, (String, i64)>);

impl Tickets {
    /// The ticket and the seconds left to it.
    pub(super) fn get(&mut self, now_ms: i64, kind: &'static str) -> (String, i64) {
        let fresh = || (ids::alphanumeric(86), now_ms + LIFETIME_MS);
        let (ticket, ends_ms) = self.0.entry(kind).or_insert_with(fresh);
        if *ends_ms - now_ms < 1000 {
            (*ticket, *ends_ms) = fresh();
        }
        (ticket.clone(), (*ends_ms - now_ms) / 1000)
    }
}
