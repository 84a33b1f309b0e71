//! The real engine in a world of models, on a virtual clock, with everything that can go wrong drawn from a seed.
//!
//! A seed says how many nodes and workers there are, what WeChat pushes, and which troubles there will be; the same seed
//! always does the same. While it runs, and when it is over, the invariants of `checks` must hold.
//!
//! | module | is |
//! |---|---|
//! | `plan`, `faults` | from a seed to what is to happen and what goes wrong |
//! | `world`, `queue`, `rng` | the one queue of events, its clock, and chance |
//! | `node`, `shared` | processes: workers, engines, clocks, shared data |
//! | `wechat`, `store`, `ledger`, `api`, `app`, `calls` | models of everybody whom the engine meets |
//! | `checks` | what must hold |
//! | `timeline` | what happened, for people, and its hash |
//! | `shrink` | the same failure with less |
//! | `teeth` | mistakes planted in the engine, each of which must be noticed |
//!
//! Out of scope: threads (an engine takes one input at a time, and the inputs of all of them are interleaved here in every
//! order, but a worker never sees another in the midst of one input); what is not the engine's (parsers have `fuzz`, the
//! plugin and hosts have `host-tests`).

mod api;
mod app;
mod calls;
mod checks;
mod faults;
mod ledger;
mod node;
mod plan;
mod queue;
mod rng;
mod shared;
mod shrink;
mod store;
pub mod teeth;
mod timeline;
mod wechat;
mod world;

pub use checks::{Tally, Violation};
pub use faults::{Fault, Faults};
pub use plan::Without;
pub use shrink::shrink;

use plan::Plan;

/// What came of a seed.
pub struct Outcome {
    /// What did not hold, if anything.
    pub violation: Option<Violation>,
    /// Of all that happened; the same for the same seed.
    pub hash: u64,
    /// What it came to.
    pub tally: Tally,
    /// How long the world lived, milliseconds of its own time.
    pub virtual_ms: u64,
    timeline: timeline::Timeline,
}

impl Outcome {
    /// What happened, a line each.
    pub fn timeline(&self) -> impl Iterator<Item = String> {
        self.timeline.lines()
    }
}

/// Runs a seed, less what is left out.
#[must_use]
pub fn run(seed: u64, without: &Without) -> Outcome {
    let plan = Plan::new(seed, without);
    let course = world::run(&plan);
    Outcome {
        violation: course.violation,
        hash: course.timeline.hash(),
        tally: course.tally,
        virtual_ms: course.virtual_ms,
        timeline: course.timeline,
    }
}

impl Tally {
    /// Adds the tally of another run.
    pub fn and(&mut self, other: &Self) {
        self.add(other);
    }
}

/// The kinds of trouble that a seed has.
#[must_use]
pub fn faults_of(seed: u64) -> Faults {
    Plan::new(seed, &Without::default()).faults
}
