//! The pushes that are being worked on, and the streams that wait for them.
//!
//! ```text
//!             claim: First / TakenOver                   store took the event
//!   request ───────────────────────────▶ owned ─────────────────────────────▶ every waiting stream is answered
//!      │                                   ▲    last attempt at its deadline        ▲
//!      │ claim: InFlight elsewhere         │ owner died                             │ owner's slot says answered,
//!      └─────────────────────────────▶ beside ──────────────────────────────────────┘ or last attempt at its deadline
//!
//!   a stream of an earlier attempt is held until WeChat gives up: no answer is what makes it come again
//! ```

use std::collections::BTreeSet;

use crate::admit::Seal;
use crate::claims::Fingerprint;
use crate::config::AccountId;
use crate::event::EventId;
use crate::fold::FoldMap;
use crate::forward::Forward;
use crate::input::StreamId;
use crate::metric::Kind;
use crate::outbox::Event;
use crate::planted::{Bug, planted};
use crate::time::Now;

/// A push that is not answered yet.
pub(crate) struct Exchange {
    pub(crate) account: AccountId,
    /// Every copy gets this one.
    answer: Answer,
    /// How often WeChat has sent it, as far as is known.
    pub(crate) attempts: u8,
    pub(crate) role: Role,
    /// The event is in our outbox as well, though another works on it.
    pub(crate) kept: bool,
    waiting: Vec<StreamId>,
}

/// What it is answered with.
pub(crate) enum Answer {
    /// The reply, not sealed; `None` is `success`.
    Ready(Option<Vec<u8>>),
    /// It depends on what the store knows of the user.
    AsksStore(Box<Deferred>),
    /// An application says it.
    AsksApp(Box<Forward>),
}

/// What is needed to decide later.
pub(crate) struct Deferred {
    /// The push, decrypted.
    pub(crate) body: Vec<u8>,
    pub(crate) id: EventId,
    /// The account it is about: the authorised one at a platform, else the account itself.
    pub(crate) appid: String,
    /// Of the reply, Unix seconds.
    pub(crate) create_time: u64,
    /// When the push was complete.
    pub(crate) received: Now,
    /// The query it came with.
    pub(crate) query: String,
    /// Under what name the work behind it is claimed at the store.
    pub(crate) claimant: String,
}

/// Who works on it.
pub(crate) enum Role {
    /// This engine: its event is in our outbox.
    Owner,
    /// Another worker. We keep the event in case that one dies.
    Beside(Event),
}

/// A stream that is held.
pub(crate) struct Parked {
    pub(crate) print: Fingerprint,
    pub(crate) seal: Option<Seal>,
    pub(crate) arrived_ms: u64,
    pub(crate) account: AccountId,
    pub(crate) kind: Kind,
}

/// What a held stream's time is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// The latest moment at which an answer still reaches WeChat.
    Deadline,
    /// WeChat has certainly given up, and yet the stream is there.
    GivenUp,
}

/// The exchanges and their streams.
#[derive(Default)]
pub(crate) struct Exchanges {
    by_print: FoldMap<Fingerprint, Exchange>,
    parked: FoldMap<StreamId, Parked>,
    alarms: BTreeSet<(u64, StreamId, Alarm)>,
    /// How many exchanges are worked on elsewhere, so that a tick can skip looking when there are none.
    beside: usize,
    /// How many wait for an application.
    forwards: usize,
}

impl Exchange {
    /// What it is answered with, as far as it is known.
    pub(crate) fn answer(&self) -> &Answer {
        &self.answer
    }

    fn forwards(&self) -> usize {
        usize::from(matches!(self.answer, Answer::AsksApp(_)))
    }

    fn beside(&self) -> usize {
        usize::from(matches!(self.role, Role::Beside(_)))
    }
}

impl Exchanges {
    pub(crate) fn parked(&self) -> usize {
        self.parked.len()
    }

    pub(crate) fn get(&self, print: Fingerprint) -> Option<&Exchange> {
        self.by_print.get(&print)
    }

    pub(crate) fn get_mut(&mut self, print: Fingerprint) -> Option<&mut Exchange> {
        self.by_print.get_mut(&print)
    }

    /// Whether this engine works on it.
    pub(crate) fn is_ours(&self, print: Fingerprint) -> bool {
        let exchange = self.by_print.get(&print);
        exchange.is_some_and(|exchange| matches!(exchange.role, Role::Owner))
    }

    /// Opens an exchange; who waited for the push before waits on.
    pub(crate) fn open(
        &mut self,
        print: Fingerprint,
        account: AccountId,
        answer: Answer,
        attempts: u8,
        role: Role,
    ) {
        let before = self.remove(print);
        let exchange = Exchange {
            account,
            answer,
            attempts,
            role,
            kept: false,
            waiting: before.map(|before| before.waiting).unwrap_or_default(),
        };
        self.beside += exchange.beside();
        self.forwards += exchange.forwards();
        self.by_print.insert(print, exchange);
    }

    fn remove(&mut self, print: Fingerprint) -> Option<Exchange> {
        let exchange = self.by_print.remove(&print)?;
        self.beside -= exchange.beside();
        self.forwards -= exchange.forwards();
        Some(exchange)
    }

    /// It is answered with this from now on; what was meant before.
    pub(crate) fn set_answer(&mut self, print: Fingerprint, answer: Answer) -> Option<Answer> {
        let exchange = self.by_print.get_mut(&print)?;
        self.forwards -= exchange.forwards();
        let before = std::mem::replace(&mut exchange.answer, answer);
        self.forwards += exchange.forwards();
        Some(before)
    }

    /// How many wait for an application.
    pub(crate) fn forwards(&self) -> usize {
        self.forwards
    }

    /// Forgets everything; returns how many replies of applications nobody will hear now.
    pub(crate) fn abandon(&mut self) -> usize {
        std::mem::take(self).forwards
    }

    /// Holds `stream` until the exchange `print` is answered.
    pub(crate) fn park(&mut self, stream: StreamId, parked: Parked, deadline_ms: u64) {
        let Some(exchange) = self.by_print.get_mut(&parked.print) else {
            return;
        };
        exchange.waiting.push(stream);
        self.alarms
            .insert((parked.arrived_ms + deadline_ms, stream, Alarm::Deadline));
        self.alarms
            .insert((parked.arrived_ms + 2 * deadline_ms, stream, Alarm::GivenUp));
        self.parked.insert(stream, parked);
    }

    /// Lets `stream` go, because it is answered or gone. Its exchange stays.
    pub(crate) fn unpark(&mut self, stream: StreamId, deadline_ms: u64) -> Option<Parked> {
        let parked = self.parked.remove(&stream)?;
        self.alarms
            .remove(&(parked.arrived_ms + deadline_ms, stream, Alarm::Deadline));
        self.alarms
            .remove(&(parked.arrived_ms + 2 * deadline_ms, stream, Alarm::GivenUp));
        if let Some(exchange) = self.by_print.get_mut(&parked.print) {
            exchange.waiting.retain(|waiting| *waiting != stream);
            // Nobody waits for it here, and somebody else works on it.
            if exchange.waiting.is_empty() && matches!(exchange.role, Role::Beside(_)) {
                self.remove(parked.print);
            }
        }
        Some(parked)
    }

    /// Closes an exchange; the streams that are still in time are to be answered. The others are held on until they are
    /// gone: what is not answered in time comes again.
    pub(crate) fn close(
        &mut self,
        print: Fingerprint,
        deadline_ms: u64,
        mono_ms: u64,
    ) -> Option<(Exchange, Vec<(StreamId, Parked)>)> {
        let mut exchange = self.remove(print)?;
        let mut streams = std::mem::take(&mut exchange.waiting);
        streams.retain(|stream| self.is_in_time(*stream, deadline_ms, mono_ms));
        let streams = streams
            .into_iter()
            .filter_map(|stream| Some((stream, self.unpark(stream, deadline_ms)?)))
            .collect();
        Some((exchange, streams))
    }

    /// Whether a stream can still be answered.
    pub(crate) fn is_in_time(&self, stream: StreamId, deadline_ms: u64, mono_ms: u64) -> bool {
        let parked = self.parked.get(&stream);
        parked.is_some_and(|parked| {
            mono_ms <= parked.arrived_ms + deadline_ms || planted(Bug::LateStreamsAnswered)
        })
    }

    /// Whether a stream that waits for it can still be answered.
    pub(crate) fn is_awaited(&self, print: Fingerprint, deadline_ms: u64, mono_ms: u64) -> bool {
        let exchange = self.by_print.get(&print);
        exchange.is_some_and(|exchange| {
            (exchange.waiting.iter()).any(|s| self.is_in_time(*s, deadline_ms, mono_ms))
        })
    }

    /// The next stream whose time has come; deadlines are told already when they come within `soon_ms`.
    pub(crate) fn next_alarm(&mut self, mono_ms: u64, soon_ms: u64) -> Option<(StreamId, Alarm)> {
        let (due, stream, alarm) = *(self.alarms.iter())
            .take_while(|(due, _, _)| *due <= soon_ms)
            .find(|(due, _, alarm)| *alarm == Alarm::Deadline || *due <= mono_ms)?;
        self.alarms.remove(&(due, stream, alarm));
        Some((stream, alarm))
    }

    /// What a held stream waits for.
    pub(crate) fn parked_at(&self, stream: StreamId) -> Option<&Parked> {
        self.parked.get(&stream)
    }

    /// Whether it is not decided yet what it is answered with.
    pub(crate) fn asks_store(&self, print: Fingerprint) -> bool {
        let exchange = self.by_print.get(&print);
        exchange.is_some_and(|exchange| matches!(exchange.answer, Answer::AsksStore(_)))
    }

    /// The application it waits for.
    pub(crate) fn forward(&self, print: Fingerprint) -> Option<&Forward> {
        match &self.by_print.get(&print)?.answer {
            Answer::AsksApp(forward) => Some(forward),
            _ => None,
        }
    }

    /// The same, to change it.
    pub(crate) fn forward_mut(&mut self, print: Fingerprint) -> Option<&mut Forward> {
        match &mut self.by_print.get_mut(&print)?.answer {
            Answer::AsksApp(forward) => Some(forward),
            _ => None,
        }
    }

    /// From now on another works on it; `event` is delivered should that one die. Nobody may wait for it here: then it is
    /// that one's alone.
    pub(crate) fn leave(&mut self, print: Fingerprint, event: Event) {
        let Some(exchange) = self.by_print.get_mut(&print) else {
            return;
        };
        if exchange.waiting.is_empty() {
            self.remove(print);
        } else if matches!(exchange.role, Role::Owner) {
            exchange.role = Role::Beside(event);
            self.beside += 1;
        }
    }

    /// The exchanges worked on elsewhere.
    pub(crate) fn beside(&self) -> Vec<Fingerprint> {
        if self.beside == 0 {
            return Vec::new();
        }
        (self.by_print.iter())
            .filter(|(_, exchange)| matches!(exchange.role, Role::Beside(_)))
            .map(|(print, _)| *print)
            .collect()
    }

    /// Makes this engine the owner; returns the event that is now ours to deliver.
    pub(crate) fn take_over(&mut self, print: Fingerprint) -> Option<Event> {
        let exchange = self.by_print.get_mut(&print)?;
        match std::mem::replace(&mut exchange.role, Role::Owner) {
            Role::Owner => None,
            Role::Beside(event) => {
                self.beside -= 1;
                Some(event)
            }
        }
    }
}
