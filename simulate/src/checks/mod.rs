//! What must hold, looked at whenever something happens and once more at the end.
//!
//! | name | means |
//! |---|---|
//! | `acknowledged-is-stored` | under `after_store` nobody is told 200 of what the store has not, but at the deadline of the last attempt; then it is lost only with the engine that said so |
//! | `one-effect` | one row, one profile, one tag for each push, however often it comes |
//! | `nothing-forgotten` | what a stored push causes happens, or is counted as given up |
//! | `same-reply` | every copy of a push gets the same bytes from a node |
//! | `right-reply` | it is the reply to this push; `success` only where there is nothing to say, or at the last attempt |
//! | `app-once` | an application is called after the store has given the work to its caller, and once, unless it knows pushes again |
//! | `reply-once` | a reply is sent once at most, and only if no attempt got it |
//! | `in-time` | no answer after the attempt's deadline |
//! | `every-wait-ends` | each stream is answered, gone or given up; no engine holds anything in the end |
//! | `bounds` | what is held and queued stays within the configured bounds; the gauges tell the truth |
//! | `losses-are-counted` | the counters of lost events are what was lost |
//! | `once` | a stream is answered once and counted once |
//! | `manners` | calls come from the root, one of a name at a time, in batches within bounds, not before their time |
//! | `order` | what was sent in vain is sent again first, in the same order |
//! | `one-fetch` | a good access token is not fetched again |
//! | `prompt` | where nothing goes wrong, nobody waits for a tick |
//!
//! Where a fault makes more than one effect possible (an answer of the API was lost, a worker died between work and note),
//! as many more are allowed as there were such faults.

mod at_the_end;
mod outgoing;
mod responses;

use weir_engine::Response;

use crate::node::{Meter, Slot};
use crate::plan::Plan;
use crate::shared::Left;
use crate::wechat::{Home, Request};
use crate::world::Scope;

/// An attempt's deadline. Source: the default of the configuration.
pub(crate) const DEADLINE_MS: u64 = 4_500;
/// The last attempt is answered so long before it. Source: `weir_engine`.
const AHEAD_MS: u64 = 200;
/// WeChat takes a push as delivered after so many requests. Source: wechat-protocol 3.1.
const LAST: u64 = 3;
/// Where nothing goes wrong, waking the root and a call to the store take no longer than this.
const PROMPT_MS: u64 = 18;
/// And an application no longer than this.
const APP_MS: u64 = 210;
/// So long after its end an engine is taken for dead. Source: `weir_engine`'s owners.
const NOTICED_MS: u64 = 3_100;
/// A fetch of an access token holds its lease so long. Source: `weir_engine`'s tokens.
const LEASE_MS: u64 = 10_000;
/// A token with less to live may be renewed. Source: the same.
const EARLY_MS: u64 = 300_000;

/// Something that must hold and does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which; the list is in the module's header.
    pub invariant: &'static str,
    /// In which way.
    pub detail: String,
}

/// What a run came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Pushes that WeChat sent.
    pub pushes: u64,
    /// Requests that engines had.
    pub requests: u64,
    /// Pushes of which WeChat heard 200.
    pub heard: u64,
    /// Pushes that the store has.
    pub stored: u64,
    /// Engines that died with what they knew.
    pub deaths: u64,
    /// Engines that ended and left all they had to others.
    pub handovers: u64,
    /// Threads that stood still.
    pub stalls: u64,
    /// Effects of the API whose answers were lost.
    pub api_answers_lost: u64,
    /// Pushes answered at the deadline of the last attempt that died with the engine that held them: the documented loss.
    pub lost_with_worker: u64,
    /// Replies of applications that the store handed out to attempts that did not wait any longer.
    pub handed_in_vain: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.pushes += other.pushes;
        self.requests += other.requests;
        self.heard += other.heard;
        self.stored += other.stored;
        self.deaths += other.deaths;
        self.handovers += other.handovers;
        self.stalls += other.stalls;
        self.api_answers_lost += other.api_answers_lost;
        self.lost_with_worker += other.lost_with_worker;
        self.handed_in_vain += other.handed_in_vain;
    }
}

/// A response, with all that is known about it.
pub(crate) struct Responded<'a> {
    /// Whether the engine had the stream and had not answered it.
    pub(crate) known: bool,
    pub(crate) scope: Scope,
    pub(crate) number: usize,
    pub(crate) requests: &'a [Request],
    pub(crate) by: usize,
    pub(crate) slot: &'a Slot,
    pub(crate) response: &'a Response,
    pub(crate) home: &'a mut Home,
    pub(crate) now_ms: u64,
    /// Whether shared data has refused something on this node.
    pub(crate) unrecorded: bool,
    /// Whether the store has the push.
    pub(crate) stored: bool,
    /// Whether the store has handed its reply out, or given the right to send it.
    pub(crate) is_sent: bool,
    /// Whether its work has gone from one to another because a lease ran out.
    pub(crate) moved: bool,
}

/// The access token as a node's engines know it.
#[derive(Default)]
struct KnownToken {
    life: u16,
    token: String,
    refused: bool,
    /// Since when somebody fetches, and who.
    fetching: Option<(u64, usize)>,
}

pub(crate) struct Checks<'p> {
    plan: &'p Plan,
    violation: Option<Violation>,
    pub(crate) tally: Tally,
    tokens: Vec<KnownToken>,
    /// How many events the answer that is being handed over rejects.
    rejected: u64,
    /// The first reply of an application to each push.
    given: Vec<Option<String>>,
}

impl<'p> Checks<'p> {
    pub(crate) fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            violation: None,
            tally: Tally::default(),
            tokens: plan.nodes.iter().map(|_| KnownToken::default()).collect(),
            rejected: 0,
            given: plan.pushes.iter().map(|_| None).collect(),
        }
    }

    pub(crate) fn is_violated(&self) -> bool {
        self.violation.is_some()
    }

    pub(crate) fn take(&mut self) -> Option<Violation> {
        self.violation.take()
    }

    /// Remembers the first violation.
    pub(crate) fn violated(&mut self, invariant: &'static str, detail: String) {
        self.violation
            .get_or_insert(Violation { invariant, detail });
    }

    fn must(&mut self, holds: bool, invariant: &'static str, detail: impl FnOnce() -> String) {
        if !holds {
            self.violated(invariant, detail());
        }
    }

    /// An engine has taken an input and done all it wants.
    pub(crate) fn after_input(
        &mut self,
        slot: &Slot,
        before: &Meter,
        scope: Scope,
        what: What,
        left: (Left, Left),
    ) {
        let (name, meter, limits) = (slot.name, &slot.meter, self.plan.limits);
        self.must(slot.held.len() <= limits.parked, "bounds", || {
            format!("{name} holds {} streams", slot.held.len())
        });
        let rejected = std::mem::take(&mut self.rejected);
        self.must(
            meter.rejected - before.rejected == rejected,
            "losses-are-counted",
            || format!("{name} counts other rejections than the store made"),
        );
        let counted = meter.abandoned - before.abandoned;
        // What it had is lost, or left to others; and who finds that there are none loses what was left before, too.
        let holds = match what {
            What::HandOver { had } => counted + left.1.counts == had + left.0.counts,
            _ => counted == 0,
        };
        self.must(holds, "losses-are-counted", || {
            format!("{name}: {what:?}, and counts {counted} as lost, {left:?} being left")
        });
        if scope != Scope::Root || what == What::Woken {
            return;
        }
        // The gauges are shown at the root's turns.
        let held = match what {
            // It is no more, and its streams are the host's to end.
            What::HandOver { .. } => 0,
            _ => slot.held.len(),
        };
        self.must(meter.parked == held as i64, "bounds", || {
            format!("{name} shows {} held streams and has {held}", meter.parked)
        });
        let events = u64::try_from(meter.outbox_events);
        self.must(
            events.is_ok_and(|events| events <= limits.outbox_events) && meter.outbox_bytes >= 0,
            "bounds",
            || format!("{name} has {} events in its outbox", meter.outbox_events),
        );
        let forwards = u64::try_from(meter.forwards);
        let in_bounds = forwards.is_ok_and(|forwards| forwards <= limits.forwards);
        self.must(in_bounds, "bounds", || {
            format!("{name} has {} pushes forwarded", meter.forwards)
        });
        let shown = (meter.outbox_events, meter.outbox_bytes, meter.forwards);
        self.must(
            !matches!(what, What::HandOver { .. }) || shown == (0, 0, 0),
            "bounds",
            || format!("{name} is no more and shows {shown:?}"),
        );
    }
}

/// What kind of input it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Woken,
    /// With so many events and replies.
    HandOver {
        had: u64,
    },
    Other,
}
