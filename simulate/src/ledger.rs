//! The store's ledger of work: each push's application is called by one, and its reply is either handed to an attempt
//! or sent, never both.
//!
//! Source: `weir_store_api` (`weirclaim`, `weirleasems`, `Work`) and the store's own ledger.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use weir_store_api::{
    RawEvent, ReplyGiven, ReplyLate, TYPE_REPLY_GIVEN, TYPE_REPLY_LATE, TYPE_REPLY_SENT,
    TYPE_REPLY_UNDELIVERABLE, Work, WorkState,
};

/// Entries by the id of the push's event.
#[derive(Default)]
pub(crate) struct Ledger(BTreeMap<String, Entry>);

/// The work behind one push.
#[derive(Default)]
pub(crate) struct Entry {
    claimed_ms: Option<u64>,
    /// By whom, since when, and for how long.
    claim: Option<(String, u64, Option<u32>)>,
    /// The reply in JSON, and its time.
    pub(crate) answer: Option<(Option<String>, u64)>,
    handed: bool,
    sender: Option<String>,
    /// A lease ran out, and another has the work now: both may do it, as the application knows.
    pub(crate) moved: bool,
    /// Sent, or found undeliverable.
    pub(crate) delivery: Option<bool>,
}

impl Ledger {
    /// Whether a push's reply was handed out, or the right to send it was given away or used: then others get nothing.
    pub(crate) fn is_sent(&self, push: &str) -> bool {
        let entry = self.entry(push);
        entry
            .is_some_and(|entry| entry.handed || entry.sender.is_some() || entry.delivery.is_some())
    }

    pub(crate) fn entry(&self, push: &str) -> Option<&Entry> {
        self.0.get(push)
    }

    /// Takes an event; what is told of its work, if it asks.
    pub(crate) fn take(&mut self, event: &RawEvent<'_>, new: bool, now_ms: u64) -> Option<Work> {
        let claimant = event.weirclaim.as_deref();
        match event.kind.as_ref() {
            TYPE_REPLY_GIVEN if new => {
                let data: ReplyGiven<'_, &RawValue> = read(event);
                let reply = data.reply.map(|reply| reply.get().to_owned());
                let entry = self.0.entry(data.push.into_owned()).or_default();
                entry.answer.get_or_insert((reply, data.create_time));
                None
            }
            TYPE_REPLY_SENT | TYPE_REPLY_UNDELIVERABLE if new => {
                let data: ReplyLate<'_> = read(event);
                let entry = self.0.entry(data.push.into_owned()).or_default();
                let sent = event.kind == TYPE_REPLY_SENT;
                entry.delivery.get_or_insert(sent);
                None
            }
            TYPE_REPLY_GIVEN | TYPE_REPLY_SENT | TYPE_REPLY_UNDELIVERABLE => None,
            TYPE_REPLY_LATE => {
                let data: ReplyLate<'_> = read(event);
                let entry = self.0.entry(data.push.into_owned()).or_default();
                Some(entry.send(claimant?, now_ms))
            }
            _ => {
                let entry = self.0.entry(event.id.as_ref().to_owned());
                Some(
                    entry
                        .or_default()
                        .claim(claimant?, event.weirleasems, now_ms),
                )
            }
        }
    }
}

impl Entry {
    fn claim(&mut self, claimant: &str, lease_ms: Option<u32>, now_ms: u64) -> Work {
        self.claimed_ms.get_or_insert(now_ms);
        let is_sending = self.sender.is_some() || self.delivery.is_some();
        if let Some((reply, create_time)) = &self.answer
            && (self.handed || !is_sending)
        {
            self.handed = true;
            return Work {
                reply: reply.clone(),
                create_time: Some(*create_time),
                ..self.told(WorkState::Done, now_ms)
            };
        }
        if is_sending {
            return self.told(WorkState::Sent, now_ms);
        }
        let free = match &self.claim {
            Some((held_by, _, _)) if held_by == claimant => {
                return self.told(WorkState::Yours, now_ms);
            }
            Some((_, since_ms, Some(held_ms))) => {
                lease_ms.is_some() && since_ms + u64::from(*held_ms) <= now_ms
            }
            Some((_, _, None)) => false,
            None => true,
        };
        if free {
            self.moved |= self.claim.is_some();
            self.claim = Some((claimant.to_owned(), now_ms, lease_ms));
            self.told(WorkState::Yours, now_ms)
        } else {
            self.told(WorkState::Elsewhere, now_ms)
        }
    }

    fn send(&mut self, claimant: &str, now_ms: u64) -> Work {
        let state = if self.handed {
            WorkState::Done
        } else if self.delivery.is_some() {
            WorkState::Sent
        } else {
            let sender = self.sender.get_or_insert_with(|| claimant.to_owned());
            if sender == claimant {
                WorkState::Yours
            } else {
                WorkState::Sent
            }
        };
        self.told(state, now_ms)
    }

    fn told(&self, state: WorkState, now_ms: u64) -> Work {
        Work {
            state,
            age_ms: now_ms - self.claimed_ms.unwrap_or(now_ms),
            reply: None,
            create_time: None,
        }
    }
}

fn read<'a, T: serde::Deserialize<'a>>(event: &RawEvent<'a>) -> T {
    serde_json::from_str(event.data.get()).expect("what the store's contract says")
}
