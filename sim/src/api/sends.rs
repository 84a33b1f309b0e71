//! What an account may send and has sent: subscribe credits, message ids that are not sent twice, counts by recipient.
//!
//! Bounds: the counts grow with the recipients, until the ledger is cleared; ids of messages are forgotten after
//! [`CLIENT_MSG_ID_MS`].

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

/// How long an openid gets no second template message with the same `client_msg_id`.
/// Source: WeChat's page on template messages.
pub const CLIENT_MSG_ID_MS: i64 = 600_000;

/// Messages by recipient, of one API.
pub type Recipients = BTreeMap<String, u64>;

/// The messages of one API, added up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Messages.
    pub sent: u64,
    /// Openids that got at least one.
    pub recipients: u64,
    /// Those who got more than one, and how many.
    pub more_than_once: Recipients,
}

/// One account's.
#[derive(Default)]
pub(super) struct Sends {
    /// By openid and template.
    credits: HashMap<(String, String), u64>,
    /// Nobody's credits are counted.
    pub(super) any_credit: bool,
    /// By openid and `client_msg_id`: the message's id, and when it was sent.
    known: HashMap<(String, String), (u64, i64)>,
    /// By API.
    counts: BTreeMap<String, Recipients>,
}

impl Sends {
    /// So many messages of a template may be sent to somebody, whatever it was before.
    pub(super) fn grant(&mut self, openid: &str, template: &str, credits: u64) {
        self.credits
            .insert((openid.to_owned(), template.to_owned()), credits);
    }

    /// What is left to somebody, by template; none that is used up.
    pub(super) fn credits(&self, openid: &str) -> BTreeMap<String, u64> {
        self.credits
            .iter()
            .filter(|((of, _), credits)| of == openid && **credits > 0)
            .map(|((_, template), credits)| (template.clone(), *credits))
            .collect()
    }

    /// Uses one credit up; `false` if there is none.
    pub(super) fn take_credit(&mut self, openid: &str, template: &str) -> bool {
        if self.any_credit {
            return true;
        }
        let key = (openid.to_owned(), template.to_owned());
        match self.credits.get_mut(&key) {
            Some(left @ 1..) => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    /// The message that openid got with that `client_msg_id` lately.
    pub(super) fn sent_before(&self, now_ms: i64, openid: &str, client: &str) -> Option<u64> {
        let (msgid, at_ms) = self.known.get(&(openid.to_owned(), client.to_owned()))?;
        (now_ms - at_ms < CLIENT_MSG_ID_MS).then_some(*msgid)
    }

    /// Remembers a message by its `client_msg_id`.
    pub(super) fn remember(&mut self, now_ms: i64, openid: &str, client: &str, msgid: u64) {
        // Doubling the table is a good moment to throw out what is over.
        if self.known.len() == self.known.capacity() {
            self.known
                .retain(|_, (_, at_ms)| now_ms - *at_ms < CLIENT_MSG_ID_MS);
        }
        self.known
            .insert((openid.to_owned(), client.to_owned()), (msgid, now_ms));
    }

    pub(super) fn count(&mut self, api: &str, openid: &str) {
        let recipients = self.counts.entry(api.to_owned()).or_default();
        *recipients.entry(openid.to_owned()).or_default() += 1;
    }

    pub(super) fn recipients(&self, api: &str) -> Recipients {
        self.counts.get(api).cloned().unwrap_or_default()
    }

    pub(super) fn totals(&self) -> BTreeMap<String, Total> {
        let total = |recipients: &Recipients| Total {
            sent: recipients.values().sum(),
            recipients: recipients.len() as u64,
            more_than_once: recipients
                .iter()
                .filter(|(_, count)| **count > 1)
                .map(|(openid, count)| (openid.clone(), *count))
                .collect(),
        };
        self.counts
            .iter()
            .map(|(api, recipients)| (api.clone(), total(recipients)))
            .collect()
    }

    pub(super) fn clear_counts(&mut self) {
        self.counts.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_msg_id_is_known_for_ten_minutes_to_its_openid() {
        let mut sends = Sends::default();
        sends.remember(0, "o1", "c", 7);
        assert_eq!(sends.sent_before(599_999, "o1", "c"), Some(7));
        assert_eq!(sends.sent_before(599_999, "o2", "c"), None);
        assert_eq!(sends.sent_before(600_000, "o1", "c"), None);
    }

    #[test]
    fn what_is_over_does_not_pile_up() {
        let mut sends = Sends::default();
        for i in 0..100_000_i64 {
            sends.remember(i * CLIENT_MSG_ID_MS, "o1", &i.to_string(), 1);
        }
        assert!(sends.known.len() < 100, "{}", sends.known.len());
    }
}
