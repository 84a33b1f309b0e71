//! The store: a durable map, the facts it tells of users, and the ledger of work behind pushes.

use std::collections::BTreeMap;

use weir_store_api::{
    ASK_USER, BatchAnswer, EventResult, EventStatus, RawEvent, TYPE_EVENT, TYPE_MESSAGE,
    TYPE_REPLY_LATE, UserFacts, WorkState,
};

use crate::calls::{Course, End};
use crate::faults::{Fault, Faults};
use crate::ledger::Ledger;
use crate::rng::Rng;

/// How long a caller waits. Source: the default of the configuration.
const TIMEOUT_MS: u64 = 3_000;

pub(crate) struct Store {
    pub(crate) ledger: Ledger,
    rows: BTreeMap<String, Row>,
    rng: Rng,
    /// Away until then.
    down_until_ms: u64,
    /// When it went away the last time.
    went_ms: u64,
    /// The event that is refused for good, by id.
    pub(crate) poison: Option<String>,
    /// Whether it is refused by name, or with the whole call.
    poison_by_name: bool,
}

/// An event that is kept.
pub(crate) struct Row {
    pub(crate) kind: String,
    pub(crate) subject: String,
    /// Whether it was the first of its user, once that was asked.
    first_push: Option<bool>,
}

/// What a call brought.
pub(crate) struct Taken {
    pub(crate) answer: Vec<u8>,
    pub(crate) new: usize,
    pub(crate) known: usize,
    /// The pushes whose reply was handed out.
    pub(crate) handed: Vec<String>,
}

impl Row {
    pub(crate) fn is_push(&self) -> bool {
        self.kind.starts_with(TYPE_MESSAGE) || self.kind.starts_with(TYPE_EVENT)
    }
}

impl Store {
    pub(crate) fn new(rng: Rng) -> Self {
        let mut rng = rng;
        Self {
            ledger: Ledger::default(),
            rows: BTreeMap::new(),
            down_until_ms: 0,
            went_ms: 0,
            poison: None,
            poison_by_name: rng.chance(500),
            rng,
        }
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        self.rows.contains_key(id)
    }

    pub(crate) fn rows(&self) -> impl Iterator<Item = (&String, &Row)> {
        self.rows.iter()
    }

    pub(crate) fn goes_down(&mut self, now_ms: u64, ms: u64) {
        self.went_ms = now_ms;
        self.down_until_ms = self.down_until_ms.max(now_ms + ms);
    }

    pub(crate) fn comes_back(&mut self, now_ms: u64) {
        self.down_until_ms = self.down_until_ms.min(now_ms);
    }

    /// Whether it has been away at some time since.
    pub(crate) fn was_down_since(&self, since_ms: u64) -> bool {
        self.went_ms > since_ms
    }

    /// How a call with these events goes.
    pub(crate) fn course(&mut self, body: &[u8], faults: Faults, now_ms: u64) -> Course {
        let rng = &mut self.rng;
        let effect_ms = rng.between(1, 8);
        let return_ms = effect_ms + rng.between(1, 8);
        let refused = |status, after: Option<u32>| Course {
            effect_ms: None,
            return_ms: effect_ms,
            end: End::Status(status, after),
        };
        if now_ms < self.down_until_ms {
            return if rng.chance(500) {
                refused(503, None)
            } else {
                Course {
                    effect_ms: None,
                    return_ms: 2,
                    end: End::Reset,
                }
            };
        }
        if let Some(poison) = &self.poison
            && !self.poison_by_name
            && contains(body, poison)
        {
            return refused([400, 410, 413, 415, 422][rng.index(5)], None);
        }
        let events = count(body);
        if faults.has(Fault::StoreBatches) && events > 1 && rng.chance(700) {
            return refused(413, None);
        }
        if faults.has(Fault::StoreErrors) && rng.chance(350) {
            return match rng.below(5) {
                0 => refused([500, 502, 503, 429][rng.index(4)], None),
                1 => refused(503, Some(rng.between(1, 4) as u32)),
                2 => Course {
                    effect_ms: None,
                    return_ms,
                    end: End::Reset,
                },
                3 => Course {
                    effect_ms: Some(effect_ms),
                    return_ms,
                    end: End::Reset,
                },
                _ => Course {
                    effect_ms: Some(effect_ms),
                    return_ms,
                    end: End::Status(504, None),
                },
            };
        }
        if faults.has(Fault::StoreSlow) && rng.chance(500) {
            let effect_ms = rng.between(50, 6_000);
            if effect_ms >= TIMEOUT_MS {
                let end = if rng.chance(500) {
                    End::Reset
                } else {
                    End::Status(504, None)
                };
                return Course {
                    effect_ms: Some(effect_ms),
                    return_ms: TIMEOUT_MS,
                    end,
                };
            }
            return Course::smooth(effect_ms, effect_ms + 1);
        }
        Course::smooth(effect_ms, return_ms)
    }

    /// The events of a call become durable.
    pub(crate) fn take(&mut self, events: &[RawEvent<'_>], now_ms: u64) -> Taken {
        let mut results = Vec::with_capacity(events.len());
        let (mut new, mut known) = (0, 0);
        let mut handed = Vec::new();
        for event in events {
            let id = event.id.as_ref();
            let subject = event.subject.as_deref().unwrap_or_default();
            let status = if self.poison.as_deref() == Some(id) {
                EventStatus::Rejected
            } else if self.rows.contains_key(id) {
                known += 1;
                EventStatus::Duplicate
            } else {
                new += 1;
                let row = Row {
                    kind: event.kind.as_ref().to_owned(),
                    subject: subject.to_owned(),
                    first_push: None,
                };
                self.rows.insert(id.to_owned(), row);
                EventStatus::Created
            };
            let asked = event.weirask.as_deref() == Some(ASK_USER);
            let user = (asked && status != EventStatus::Rejected).then(|| self.facts(id, subject));
            let work = (status != EventStatus::Rejected)
                .then(|| {
                    let new = status == EventStatus::Created;
                    self.ledger.take(event, new, now_ms)
                })
                .flatten();
            let is_late = event.kind == TYPE_REPLY_LATE;
            if !is_late
                && work
                    .as_ref()
                    .is_some_and(|work| work.state == WorkState::Done)
            {
                handed.push(id.to_owned());
            }
            results.push(EventResult {
                id: id.to_owned(),
                status,
                reason: None,
                user,
                uid: None,
                work,
            });
        }
        let answer = serde_json::to_vec(&BatchAnswer { results }).expect("an answer is JSON");
        Taken {
            answer,
            new,
            known,
            handed,
        }
    }

    /// The same for every copy of a push: decided when its event came first.
    fn facts(&mut self, id: &str, subject: &str) -> UserFacts {
        let older = self
            .rows
            .iter()
            .any(|(other, row)| other != id && row.subject == subject && row.is_push());
        let first_push = match self.rows.get_mut(id) {
            Some(row) => *row.first_push.get_or_insert(!older),
            None => false,
        };
        UserFacts {
            first_push,
            remark: Some("Ming".to_owned()),
            nickname: None,
        }
    }
}

fn contains(body: &[u8], id: &str) -> bool {
    body.windows(id.len()).any(|window| window == id.as_bytes())
}

/// How many events a body has, without reading it: each has this once.
fn count(body: &[u8]) -> usize {
    let mark = b"\"specversion\":";
    body.windows(mark.len()).filter(|w| w == mark).count()
}
