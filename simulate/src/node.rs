//! A process: workers that share data and clocks; and the engines that live in them.

use std::collections::{BTreeMap, BTreeSet};

use weir_engine::metric::{Loss, Metric};
use weir_engine::owners::Mailbox;
use weir_engine::time::Now;
use weir_engine::{Call, Engine};

use crate::plan::BEGIN_UNIX_MS;
use crate::rng::Rng;
use crate::shared::Shared;
use crate::timeline::Name;

/// One process.
pub(crate) struct Node {
    pub(crate) up: bool,
    /// How many lives it has had: what is shared lives as long as one.
    pub(crate) life: u16,
    pub(crate) workers: Vec<Worker>,
    pub(crate) shared: Shared,
    /// How many changes earlier lives could not record.
    pub(crate) unrecorded_before: u64,
    /// Those whose leavings wait for somebody.
    pub(crate) left_by: Vec<usize>,
    /// What its engines draw from.
    pub(crate) chance: Rng,
    /// Its wall clock less the true one.
    pub(crate) ahead_ms: i64,
    /// What its monotonic clock showed when the world began.
    pub(crate) origin_ms: u64,
}

/// A thread with a VM in it.
#[derive(Default)]
pub(crate) struct Worker {
    /// Who serves new requests; nobody after a crash.
    pub(crate) serves: Option<usize>,
    /// Those that were replaced and still have something to do.
    pub(crate) draining: Vec<usize>,
    pub(crate) lives: u16,
    pub(crate) stalled_until_ms: u64,
    /// What wakes whoever serves here, as long as the VM lives.
    pub(crate) mailbox: Option<Mailbox>,
}

impl Node {
    /// How many changes to what is shared were not recorded in all its lives.
    pub(crate) fn unrecorded(&self) -> u64 {
        self.unrecorded_before + self.shared.unrecorded()
    }

    pub(crate) fn now(&self, world_ms: u64) -> Now {
        Now {
            unix_ms: (BEGIN_UNIX_MS + world_ms).saturating_add_signed(self.ahead_ms),
            mono_ms: self.origin_ms + world_ms,
        }
    }
}

/// An engine and what the host knows of it.
pub(crate) struct Slot {
    pub(crate) name: Name,
    pub(crate) node_life: u16,
    /// `None`: it is gone.
    pub(crate) engine: Option<Engine>,
    /// How it went, and when.
    pub(crate) end: Option<(Ending, u64)>,
    pub(crate) draining: bool,
    /// It ends with its last stream.
    pub(crate) ends_with_streams: bool,
    /// Who took what it left.
    pub(crate) heirs: Vec<usize>,
    /// What it left is lost.
    pub(crate) left_in_vain: bool,
    /// The wall clock's lead over the monotonic one at the root's last turn.
    pub(crate) unix_ahead_ms: i64,
    /// Requests that it has and has not responded to.
    pub(crate) held: BTreeSet<usize>,
    /// How many requests it has had, and how many of them are over for it.
    pub(crate) ended: u64,
    pub(crate) calls: BTreeMap<Call, usize>,
    pub(crate) meter: Meter,
    pub(crate) store: Manners,
    pub(crate) ticked_ms: u64,
    pub(crate) tick_due_ms: u64,
    pub(crate) tick_number: u32,
}

/// How an engine went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With everything that it knew.
    Crashed,
    /// It has left to others what it could.
    HandedOver,
    /// With nothing left to do.
    Drained,
}

impl Slot {
    /// Whether it has ended, and others go on with what it had.
    pub(crate) fn was_left(&self) -> bool {
        matches!(self.end, Some((Ending::HandedOver, _)))
    }

    /// Whether it has taken something with it, or left it to nobody.
    pub(crate) fn died(&self) -> bool {
        match self.end {
            Some((Ending::Crashed, _)) => true,
            Some((Ending::HandedOver, _)) => self.meter.abandoned > 0 || self.left_in_vain,
            Some((Ending::Drained, _)) | None => false,
        }
    }
}

/// How an engine behaves towards the store.
#[derive(Default)]
pub(crate) struct Manners {
    pub(crate) failures: u32,
    /// No call before.
    pub(crate) not_before_ms: u64,
    /// The events of the call under way, by id.
    pub(crate) sent: Vec<String>,
    /// Those that were sent in vain and are to come again.
    pub(crate) again: Vec<String>,
}

/// What an engine has counted.
#[derive(Default, Clone)]
pub(crate) struct Meter {
    pub(crate) pushes: u64,
    pub(crate) outbox_events: i64,
    pub(crate) outbox_bytes: i64,
    pub(crate) parked: i64,
    pub(crate) forwards: i64,
    pub(crate) overflow: u64,
    pub(crate) rejected: u64,
    pub(crate) abandoned: u64,
    pub(crate) profiles_given_up: u64,
    pub(crate) tags_given_up: u64,
}

impl Meter {
    pub(crate) fn count(&mut self, metric: Metric) {
        match metric {
            Metric::Push { .. } => self.pushes += 1,
            Metric::OutboxEvents(change) => self.outbox_events += change,
            Metric::OutboxBytes(change) => self.outbox_bytes += change,
            Metric::Parked(change) => self.parked += change,
            Metric::Forwards(change) => self.forwards += change,
            Metric::Lost { reason, count } => match reason {
                Loss::Overflow => self.overflow += count,
                Loss::Rejected | Loss::Gone | Loss::TooLarge | Loss::MediaType => {
                    self.rejected += count;
                }
                Loss::Abandoned => self.abandoned += count,
            },
            Metric::ProfilesGivenUp { count, .. } => self.profiles_given_up += count,
            Metric::TagsGivenUp { count, .. } => self.tags_given_up += count,
            _ => {}
        }
    }
}
