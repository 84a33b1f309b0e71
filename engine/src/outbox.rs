//! What has been learned and is not in the store yet.
//!
//! One call to the store is in flight at a time; what comes meanwhile goes together in the next one, so
//! batches grow with the load (group commit) and order is kept. A call that fails is sent again with
//! growing, jittered pauses, or when the store's `Retry-After` says. A batch the store will not take is
//! halved until the event that is to blame stands alone; that one is settled as rejected.
//!
//! # Bounds
//! Events and bytes, in flight ones included; the bytes may be exceeded by the one event that crosses them.

use std::collections::VecDeque;

use weir_store_api::{BatchAnswer, EventResult, EventStatus, Work};

use crate::backoff::Backoff;
use crate::claims::Fingerprint;
use crate::config::{AccountId, Limits};
use crate::event::EventId;
use crate::input::CallOutcome;
use crate::metric::Loss;
use crate::planted::{Bug, planted};
use crate::rules::Facts;
use crate::tags::Tagging;

/// Pauses after failed calls. Short: an attempt that waits can be answered within 4.5 s or not at all.
const BACKOFF: Backoff = Backoff {
    first_ms: 100,
    most_ms: 1_500,
};
/// The longest `Retry-After` that is obeyed, seconds.
const MAX_RETRY_AFTER_S: u32 = 60;

/// An event on its way to the store.
pub(crate) struct Event {
    /// CloudEvent in JSON.
    pub(crate) json: Vec<u8>,
    /// What is to happen when it is settled.
    pub(crate) then: Then,
}

/// What is to happen when an event is settled.
#[derive(Default)]
pub(crate) struct Then {
    /// The push that is answered then.
    pub(crate) answer: Option<Fingerprint>,
    /// What else, which few events have.
    pub(crate) follow_up: Option<Box<FollowUp>>,
}

/// Work that an event causes once it is settled.
#[derive(Default)]
pub(crate) struct FollowUp {
    /// The follower whose profile is asked for.
    pub(crate) follower: Option<Follower>,
    /// The user who gets tags.
    pub(crate) tagging: Option<Tagging>,
    /// The push whose late reply this event asks to send.
    pub(crate) late: Option<Fingerprint>,
}

/// Somebody whose profile is wanted.
pub(crate) struct Follower {
    pub(crate) account: AccountId,
    pub(crate) openid: String,
    /// The event that made them wanted.
    pub(crate) because: EventId,
}

/// An event that is done with.
pub(crate) struct Settled {
    pub(crate) then: Then,
    pub(crate) verdict: Verdict,
}

/// What the store said about an event.
pub(crate) struct Verdict {
    pub(crate) fate: Fate,
    /// What it knows of the user, where it was asked.
    pub(crate) facts: Option<Facts>,
    /// Whose the work behind it is, where it was claimed and the store knows of such.
    pub(crate) work: Option<Work>,
}

impl From<Fate> for Verdict {
    fn from(fate: Fate) -> Self {
        Self {
            fate,
            facts: None,
            work: None,
        }
    }
}

/// How an event was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is durable in the store.
    Stored,
    /// The store will never take it, and why.
    Rejected(Loss),
}

pub(crate) struct Outbox {
    waiting: VecDeque<Event>,
    in_flight: Vec<Event>,
    bytes: usize,
    /// When the first of `waiting` came.
    since_ms: u64,
    /// Largest batch for now: halved when the store refuses one, doubled when it takes one.
    batch_events: usize,
    failures: u32,
    not_before_ms: u64,
}

impl Outbox {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            waiting: VecDeque::new(),
            in_flight: Vec::new(),
            bytes: 0,
            since_ms: 0,
            batch_events: limits.batch_max_events,
            failures: 0,
            not_before_ms: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn has_room(&self, limits: &Limits) -> bool {
        planted(Bug::OutboxUnbounded)
            || (self.len() < limits.outbox_max_events && self.bytes < limits.outbox_max_bytes)
    }

    /// Adds an event. The caller has asked [`has_room`](Self::has_room).
    pub(crate) fn push(&mut self, event: Event, mono_ms: u64) {
        if self.waiting.is_empty() {
            self.since_ms = mono_ms;
        }
        self.bytes += event.json.len();
        self.waiting.push_back(event);
    }

    /// Whether a batch could go now: the last one is back, no pause is on, and there is enough or it waited enough.
    pub(crate) fn is_due(&self, limits: &Limits, wait_ms: u64, mono_ms: u64) -> bool {
        self.in_flight.is_empty()
            && !self.waiting.is_empty()
            && mono_ms >= self.not_before_ms
            && (self.waiting.len() >= limits.batch_max_events
                || mono_ms.saturating_sub(self.since_ms) >= wait_ms)
    }

    /// The body of the next call to the store; its events are in flight from now on.
    pub(crate) fn take_batch(&mut self, limits: &Limits, mono_ms: u64) -> Vec<u8> {
        let mut body = Vec::with_capacity(self.bytes.min(limits.batch_max_bytes) + 2);
        body.push(b'[');
        while let Some(event) = self.waiting.front() {
            let first = self.in_flight.is_empty();
            if !first
                && (self.in_flight.len() >= self.batch_events
                    || body.len() + event.json.len() > limits.batch_max_bytes)
            {
                break;
            }
            if !first {
                body.push(b',');
            }
            body.extend_from_slice(&event.json);
            self.in_flight.extend(self.waiting.pop_front());
        }
        body.push(b']');
        self.since_ms = mono_ms;
        body
    }

    /// The call is over: which events are settled, and how. The rest is sent again.
    pub(crate) fn done(
        &mut self,
        outcome: &CallOutcome<'_>,
        limits: &Limits,
        mono_ms: u64,
        random: u32,
    ) -> Vec<Settled> {
        match *outcome {
            CallOutcome::Answer {
                status: 200..=299,
                body,
                ..
            } => {
                self.failures = 0;
                self.batch_events = (self.batch_events * 2).min(limits.batch_max_events);
                self.settle(verdicts(body, self.in_flight.len()))
            }
            // Of no use to send again: too large, not understood, not wanted. Find out which one it is about.
            CallOutcome::Answer {
                status: status @ (400 | 410 | 413 | 415 | 422),
                ..
            } => {
                if self.in_flight.len() > 1 && !planted(Bug::RefusedBatchDropped) {
                    self.batch_events = self.in_flight.len().div_ceil(2);
                    self.put_back();
                    return Vec::new();
                }
                let why = match status {
                    410 => Loss::Gone,
                    413 => Loss::TooLarge,
                    415 => Loss::MediaType,
                    _ => Loss::Rejected,
                };
                self.settle(vec![Fate::Rejected(why).into()])
            }
            CallOutcome::Answer { retry_after_s, .. } => {
                self.pause(retry_after_s, mono_ms, random);
                Vec::new()
            }
            CallOutcome::Reset if planted(Bug::ResetDropsBatch) => {
                self.settle(Vec::new());
                Vec::new()
            }
            CallOutcome::Refused | CallOutcome::Reset => {
                self.pause(None, mono_ms, random);
                Vec::new()
            }
        }
    }

    /// Gives the oldest event away, one in flight too.
    pub(crate) fn give(&mut self) -> Option<Event> {
        let event = if self.in_flight.is_empty() {
            self.waiting.pop_front()?
        } else {
            self.in_flight.remove(0)
        };
        self.bytes -= event.json.len();
        Some(event)
    }

    /// How many calls in a row have failed.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }

    fn pause(&mut self, retry_after_s: Option<u32>, mono_ms: u64, random: u32) {
        self.failures = self.failures.saturating_add(1);
        let pause_ms = match retry_after_s.filter(|_| !planted(Bug::RetryAfterIgnored)) {
            Some(s) => u64::from(s.min(MAX_RETRY_AFTER_S)) * 1_000,
            None => BACKOFF.pause_ms(self.failures, random),
        };
        self.not_before_ms = mono_ms + pause_ms * u64::from(!planted(Bug::NoBackoff));
        self.put_back();
    }

    fn put_back(&mut self) {
        if planted(Bug::PutBackReversed) {
            self.in_flight.reverse();
        }
        for event in self.in_flight.drain(..).rev() {
            self.waiting.push_front(event);
        }
    }

    fn settle(&mut self, verdicts: Vec<Verdict>) -> Vec<Settled> {
        let mut settled = Vec::with_capacity(self.in_flight.len());
        let all = verdicts
            .into_iter()
            .chain(std::iter::repeat_with(|| Fate::Stored.into()));
        for (event, verdict) in self.in_flight.drain(..).zip(all) {
            self.bytes -= event.json.len();
            let then = event.then;
            settled.push(Settled { then, verdict });
        }
        settled
    }
}

/// What the store says about each event. A 2xx without such an answer (any CloudEvents endpoint) means all stored.
fn verdicts(body: &[u8], events: usize) -> Vec<Verdict> {
    let Ok(answer) = serde_json::from_slice::<BatchAnswer>(body) else {
        return Vec::new();
    };
    if answer.results.len() != events {
        return Vec::new();
    }
    let verdict = |result: EventResult| Verdict {
        fate: match result.status {
            EventStatus::Created | EventStatus::Duplicate => Fate::Stored,
            EventStatus::Rejected => Fate::Rejected(Loss::Rejected),
        },
        facts: result.user.map(|user| Facts {
            first_push: user.first_push,
            remark: user.remark.unwrap_or_default(),
            nickname: user.nickname.unwrap_or_default(),
        }),
        work: result.work,
    };
    answer.results.into_iter().map(verdict).collect()
}
