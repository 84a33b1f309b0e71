//! Who does the work behind a push, and what became of it: an application called once, a reply sent once.
//!
//! A push's event may carry a claim (`weirclaim`): somebody would do its work. The ledger gives each work to one of
//! those who ask, keeps the reply that the work brought, and hands that reply out until the right to send it was given
//! away. All of it is decided here, for both databases: they load the entries of a batch, locked, a `Page` takes the
//! batch's steps one after the other, and what changed is saved in the transaction that stores the events. So an
//! answer is durable before it is told.
//!
//! # One effect
//! An entry ends in one of two ways, whichever is asked for first: its reply is handed to an attempt of WeChat's
//! (a claim is told [`WorkState::Done`]), or the right to send it is given to one sender (who is told
//! [`WorkState::Yours`]). After either the other one is refused. Whoever asks again under the same name is told the same
//! again, as long as that is still true: an answer that was lost on its way loses nothing.
//!
//! # What changes an entry
//! Claims count each time they are asked. What an event *tells* (a reply was given, sent, is undeliverable) counts when
//! the event is new, and the first of each kind holds.
//!
//! # Time
//! Leases and ages are judged by the clock of the store that took the event. Stores that share a database need clocks
//! that agree well within a lease.
//!
//! # Out of scope
//! Entries are never deleted: they are kept as long as their events.

use std::collections::BTreeMap;

use weir_store_api::read::ReplyState;
use weir_store_api::{TYPE_REPLY_LATE, Work, WorkState};

use crate::event::NewEvent;
use crate::reply::{Answer, Delivery, ReplyNews};

/// A claim as an event carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Somebody, by a random name.
    pub claimant: String,
    /// Milliseconds after which another may take the work over; `None`: never.
    pub lease_ms: Option<i64>,
}

/// Something and when the store learned it, Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Since<T> {
    pub(crate) at_ms: i64,
    pub(crate) what: T,
}

/// The work behind one push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The account's key in the database; 0: none is known.
    pub(crate) account_key: i64,
    /// The user.
    pub(crate) openid: Option<String>,
    /// When the work was claimed first.
    pub(crate) claimed_at_ms: Option<i64>,
    /// Whose it is.
    pub(crate) claim: Option<Since<Claim>>,
    /// What it brought.
    pub(crate) answer: Option<Since<Answer>>,
    /// Whether an attempt was told the answer.
    pub(crate) is_handed: bool,
    /// Who may send the answer.
    pub(crate) sender: Option<String>,
    /// How the send ended.
    pub(crate) delivery: Option<Since<Delivery>>,
}

impl Entry {
    /// What a listing shows.
    pub(crate) fn state(&self) -> ReplyState {
        match &self.delivery {
            Some(delivery) if delivery.what.is_sent => ReplyState::Sent,
            Some(_) => ReplyState::Undeliverable,
            None if self.answer.is_some() => ReplyState::Answered,
            None => ReplyState::Waiting,
        }
    }

    /// Takes one step; the answer, if it asks something.
    fn take(&mut self, step: &Step<'_>, now_ms: i64) -> Option<Work> {
        let now = |what| Since {
            at_ms: now_ms,
            what,
        };
        match step {
            Step::Given(answer) => {
                self.answer.get_or_insert_with(|| Since {
                    at_ms: now_ms,
                    what: (*answer).clone(),
                });
                None
            }
            Step::Delivered(delivery) => {
                self.delivery
                    .get_or_insert_with(|| now((*delivery).clone()));
                None
            }
            Step::Claim(claim) => Some(self.claim(claim, now_ms)),
            Step::Send(claimant) => {
                let state = self.send(claimant);
                Some(self.told(state, now_ms))
            }
        }
    }

    /// Somebody would do the work, or wants its outcome.
    fn claim(&mut self, claim: &Claim, now_ms: i64) -> Work {
        self.claimed_at_ms.get_or_insert(now_ms);
        let is_sending = self.sender.is_some() || self.delivery.is_some();
        if let Some(answer) = &self.answer
            && (self.is_handed || !is_sending)
        {
            self.is_handed = true;
            return Work {
                reply: answer.what.reply.clone(),
                create_time: u64::try_from(answer.what.create_time).ok(),
                ..self.told(WorkState::Done, now_ms)
            };
        }
        if is_sending {
            return self.told(WorkState::Sent, now_ms);
        }
        let state = match &self.claim {
            Some(held) if held.what.claimant == claim.claimant => WorkState::Yours,
            // Both sides must have said that doing it twice is no harm.
            Some(held) if claim.lease_ms.is_none() || !held.ran_out(now_ms) => WorkState::Elsewhere,
            _ => {
                self.claim = Some(Since {
                    at_ms: now_ms,
                    what: claim.clone(),
                });
                WorkState::Yours
            }
        };
        self.told(state, now_ms)
    }

    /// Somebody would send the reply.
    fn send(&mut self, claimant: &str) -> WorkState {
        if self.is_handed {
            return WorkState::Done;
        }
        if self.delivery.is_some() {
            return WorkState::Sent;
        }
        let sender = self.sender.get_or_insert_with(|| claimant.to_owned());
        if sender == claimant {
            WorkState::Yours
        } else {
            WorkState::Sent
        }
    }

    fn told(&self, state: WorkState, now_ms: i64) -> Work {
        let age_ms = now_ms.saturating_sub(self.claimed_at_ms.unwrap_or(now_ms));
        Work {
            state,
            // Stores' clocks may differ.
            age_ms: u64::try_from(age_ms).unwrap_or(0),
            reply: None,
            create_time: None,
        }
    }
}

impl Since<Claim> {
    fn ran_out(&self, now_ms: i64) -> bool {
        self.what
            .lease_ms
            .is_some_and(|lease_ms| self.at_ms.saturating_add(lease_ms) <= now_ms)
    }
}

/// What an event does to the entry of a push.
#[derive(Debug)]
enum Step<'a> {
    Given(&'a Answer),
    Delivered(&'a Delivery),
    Claim(&'a Claim),
    Send(&'a str),
}

/// What a batch does to one entry.
#[derive(Debug, Default)]
pub(crate) struct Page<'a> {
    account_key: i64,
    openid: Option<&'a str>,
    /// Each with its event's place in the batch and the time.
    steps: Vec<(usize, i64, Step<'a>)>,
}

impl Page<'_> {
    /// Takes the steps in the order of their events; `answer` gets the place of each that asks, and what it is told.
    pub(crate) fn walk(&self, mut entry: Entry, answer: &mut impl FnMut(usize, Work)) -> Entry {
        if entry.account_key == 0 {
            entry.account_key = self.account_key;
        }
        if entry.openid.is_none() {
            entry.openid = self.openid.map(str::to_owned);
        }
        for (place, now_ms, step) in &self.steps {
            if let Some(work) = entry.take(step, *now_ms) {
                answer(*place, work);
            }
        }
        entry
    }
}

/// The pages of a batch by source and push, which is the order their rows are locked in.
pub(crate) type Pages<'a> = BTreeMap<(i64, &'a str), Page<'a>>;

/// An event of a batch that concerns the ledger, as the database has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Concern<'a> {
    /// In the batch.
    pub(crate) place: usize,
    pub(crate) event: &'a NewEvent,
    pub(crate) is_new: bool,
    pub(crate) source_key: i64,
    /// 0: none.
    pub(crate) account_key: i64,
}

/// Whether there is anything in an event for the ledger.
pub(crate) fn is_concerned(event: &NewEvent) -> bool {
    event.claim.is_some() || event.fact.as_ref().is_some_and(|fact| fact.reply.is_some())
}

/// What a batch does to the ledger, in the order of its events.
pub(crate) fn pages<'a>(concerns: impl Iterator<Item = Concern<'a>>) -> Pages<'a> {
    let mut pages = Pages::new();
    for concern in concerns {
        let event = concern.event;
        let mut step = |push: &'a str, step| {
            let page = pages.entry((concern.source_key, push)).or_default();
            if page.account_key == 0 {
                page.account_key = concern.account_key;
            }
            page.openid = page.openid.or_else(|| event.user());
            page.steps.push((concern.place, event.stored_at_ms, step));
        };
        let reply = event.fact.as_ref().and_then(|fact| fact.reply.as_deref());
        if let Some(reply) = reply.filter(|_| concern.is_new) {
            match &reply.news {
                ReplyNews::Given(answer) => step(&reply.push, Step::Given(answer)),
                ReplyNews::Delivered(delivery) => step(&reply.push, Step::Delivered(delivery)),
                ReplyNews::Late => {}
            }
        }
        match (&event.claim, reply) {
            (None, _) => {}
            (Some(claim), _) if event.kind != TYPE_REPLY_LATE => {
                step(&event.id, Step::Claim(claim));
            }
            (Some(claim), Some(late)) => step(&late.push, Step::Send(&claim.claimant)),
            // Nobody knows what for.
            (Some(_), None) => {}
        }
    }
    pages
}
