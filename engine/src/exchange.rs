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
use crate::input::StreamId;
use crate::metric::Kind;
use crate::outbox::Event;

/// A push that is not answered yet.
pub(crate) struct Exchange {
    pub(crate) account: AccountId,
    pub(crate) kind: Kind,
    /// Every copy gets this one.
    pub(crate) answer: Answer,
    /// How often WeChat has sent it, as far as is known.
    pub(crate) attempts: u8,
    pub(crate) role: Role,
    waiting: Vec<StreamId>,
}

/// What it is answered with.
pub(crate) enum Answer {
    /// The reply, not sealed; `None` is `success`.
    Ready(Option<Vec<u8>>),
    /// It depends on what the store knows of the user.
    AsksStore(Box<Deferred>),
}

/// What is needed to decide later.
pub(crate) struct Deferred {
    /// The push, decrypted.
    pub(crate) body: Vec<u8>,
    pub(crate) id: EventId,
    /// Of the reply, Unix seconds.
    pub(crate) create_time: u64,
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
}

impl Exchanges {
    pub(crate) fn parked(&self) -> usize {
        self.parked.len()
    }

    pub(crate) fn get_mut(&mut self, print: Fingerprint) -> Option<&mut Exchange> {
        self.by_print.get_mut(&print)
    }

    /// Opens an exchange without streams.
    pub(crate) fn open(
        &mut self,
        print: Fingerprint,
        account: AccountId,
        kind: Kind,
        answer: Answer,
        attempts: u8,
        role: Role,
    ) {
        self.beside += usize::from(matches!(role, Role::Beside(_)));
        let exchange = Exchange {
            account,
            kind,
            answer,
            attempts,
            role,
            waiting: Vec::new(),
        };
        self.by_print.insert(print, exchange);
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
                self.by_print.remove(&parked.print);
                self.beside -= 1;
            }
        }
        Some(parked)
    }

    /// Closes an exchange; its streams are to be answered.
    pub(crate) fn close(
        &mut self,
        print: Fingerprint,
        deadline_ms: u64,
    ) -> Option<(Exchange, Vec<(StreamId, Parked)>)> {
        let mut exchange = self.by_print.remove(&print)?;
        self.beside -= usize::from(matches!(exchange.role, Role::Beside(_)));
        let streams = std::mem::take(&mut exchange.waiting)
            .into_iter()
            .filter_map(|stream| Some((stream, self.unpark(stream, deadline_ms)?)))
            .collect();
        Some((exchange, streams))
    }

    /// The next stream whose time has come.
    pub(crate) fn next_alarm(&mut self, mono_ms: u64) -> Option<(StreamId, Alarm)> {
        let (due, stream, alarm) = *self.alarms.first()?;
        if due > mono_ms {
            return None;
        }
        self.alarms.pop_first();
        Some((stream, alarm))
    }

    /// The exchange a held stream waits for.
    pub(crate) fn print_of(&self, stream: StreamId) -> Option<Fingerprint> {
        self.parked.get(&stream).map(|parked| parked.print)
    }

    /// Whether it is not decided yet what it is answered with.
    pub(crate) fn asks_store(&self, print: Fingerprint) -> bool {
        let exchange = self.by_print.get(&print);
        exchange.is_some_and(|exchange| matches!(exchange.answer, Answer::AsksStore(_)))
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
