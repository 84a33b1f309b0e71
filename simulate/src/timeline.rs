//! What happened, in order: hashed as it happens, written out for people when a run fails. It names nothing secret: users
//! are numbers, bodies do not occur.

use std::fmt;
use std::hash::{Hash, Hasher};

use weir_engine::fold::Fold;

use crate::faults::Fault;

/// An engine: node, worker, and the how many-th of that worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) node: u8,
    pub(crate) worker: u8,
    pub(crate) life: u16,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = char::from(b'A' + self.node);
        write!(f, "{node}{}.{}", self.worker, self.life)
    }
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Note {
    Attempt {
        push: usize,
        attempt: u8,
        request: usize,
        node: u8,
        worker: u8,
    },
    Copy {
        push: usize,
        request: usize,
        node: u8,
        worker: u8,
    },
    Lost {
        request: usize,
    },
    Arrived {
        request: usize,
        at: Name,
    },
    NobodyHome {
        request: usize,
    },
    Responded {
        request: usize,
        by: Name,
        status: u16,
        after_ms: u64,
    },
    Heard {
        request: usize,
        status: u16,
        counts: bool,
    },
    Cut {
        request: usize,
    },
    Gone {
        request: usize,
        at: Name,
    },
    GaveUp {
        push: usize,
    },
    Woken {
        who: Name,
    },
    LostWake {
        who: Name,
    },
    Called {
        call: usize,
        by: Name,
        what: &'static str,
        jobs: usize,
    },
    HostRefused {
        by: Name,
        what: &'static str,
    },
    Committed {
        call: usize,
        new: usize,
        known: usize,
    },
    Returned {
        call: usize,
        to: Name,
        what: &'static str,
        status: u16,
    },
    Began {
        who: Name,
    },
    Crashed {
        who: Name,
    },
    NodeDied {
        node: u8,
    },
    Replaced {
        who: Name,
    },
    Drained {
        who: Name,
    },
    HandedOver {
        who: Name,
    },
    Stalled {
        node: u8,
        worker: u8,
        ms: u64,
    },
    ClockStepped {
        node: u8,
        by_s: i64,
    },
    StoreDown {
        ms: u64,
    },
    StoreUp,
    TokenReplaced,
    Metric {
        who: Name,
        what: &'static str,
        count: u64,
    },
    Calm,
    Fault(Fault),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = |node: &u8, worker: &u8| format!("{}{worker}", char::from(b'A' + node));
        match self {
            Self::Attempt {
                push,
                attempt,
                request,
                node,
                worker,
            } => {
                let to = place(node, worker);
                write!(
                    f,
                    "WeChat   push {push}, attempt {attempt}: request {request} to {to}"
                )
            }
            Self::Copy {
                push,
                request,
                node,
                worker,
            } => {
                let to = place(node, worker);
                write!(f, "network  push {push} copied: request {request} to {to}")
            }
            Self::Lost { request } => write!(f, "network  request {request} is lost on its way"),
            Self::Arrived { request, at } => write!(f, "{at}     request {request} arrives"),
            Self::NobodyHome { request } => {
                write!(f, "network  request {request}: nobody is there")
            }
            Self::Responded {
                request,
                by,
                status,
                after_ms,
            } => write!(
                f,
                "{by}     responds {status} to request {request} after {after_ms} ms"
            ),
            Self::Heard {
                request,
                status,
                counts: true,
            } => write!(f, "WeChat   hears {status} to request {request}"),
            Self::Heard { request, .. } => {
                write!(
                    f,
                    "WeChat   does not hear the response to request {request}"
                )
            }
            Self::Cut { request } => write!(f, "WeChat   closes request {request}"),
            Self::Gone { request, at } => {
                write!(f, "{at}     learns that request {request} is gone")
            }
            Self::GaveUp { push } => write!(f, "WeChat   gives push {push} up"),
            Self::Woken { who } => write!(f, "{who}     is woken"),
            Self::LostWake { who } => write!(f, "{who}     a wake-up is lost"),
            Self::Called {
                call,
                by,
                what,
                jobs,
            } => write!(f, "{by}     call {call} to {what}, of {jobs}"),
            Self::HostRefused { by, what } => {
                write!(f, "{by}     the host refuses a call to {what}")
            }
            Self::Committed { call, new, known } => {
                write!(
                    f,
                    "peer     call {call} takes effect: {new} new, {known} known"
                )
            }
            Self::Returned {
                call,
                to,
                what,
                status: 0,
            } => write!(f, "{to}     call {call} to {what} breaks off"),
            Self::Returned {
                call,
                to,
                what,
                status,
            } => write!(f, "{to}     call {call} to {what} returns {status}"),
            Self::Began { who } => write!(f, "{who}     begins"),
            Self::Crashed { who } => write!(f, "{who}     crashes"),
            Self::NodeDied { node } => write!(f, "{}        dies", char::from(b'A' + node)),
            Self::Replaced { who } => write!(f, "{who}     is replaced, and drains"),
            Self::Drained { who } => write!(f, "{who}     is drained"),
            Self::HandedOver { who } => write!(f, "{who}     hands over"),
            Self::Stalled { node, worker, ms } => {
                write!(f, "{}       stands still for {ms} ms", place(node, worker))
            }
            Self::ClockStepped { node, by_s } => {
                let node = char::from(b'A' + node);
                write!(f, "{node}        its wall clock steps by {by_s} s")
            }
            Self::StoreDown { ms } => write!(f, "store    down for {ms} ms"),
            Self::StoreUp => write!(f, "store    up again"),
            Self::TokenReplaced => write!(f, "API      somebody else got a new access token"),
            Self::Metric { who, what, count } => write!(f, "{who}     counts {what}: {count}"),
            Self::Calm => write!(f, "world    no more faults"),
            Self::Fault(fault) => write!(f, "world    has {fault}"),
        }
    }
}

/// Everything that happened.
#[derive(Default)]
pub(crate) struct Timeline {
    hash: Fold,
    notes: Vec<(u64, Note)>,
}

impl Timeline {
    pub(crate) fn note(&mut self, at_ms: u64, note: Note) {
        (at_ms, note).hash(&mut self.hash);
        self.notes.push((at_ms, note));
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// A line each: seconds, then what happened.
    pub(crate) fn lines(&self) -> impl Iterator<Item = String> {
        let line = |(at_ms, note): &(u64, Note)| {
            format!("{:>4}.{:03}  {note}", at_ms / 1_000, at_ms % 1_000)
        };
        self.notes.iter().map(line)
    }
}
