//! The proxy-wasm adapter of all modules: the host's callbacks, the root context, and the loop that does what a [`Filter`]
//! wants.
//!
//! It decides nothing: a callback becomes a question to the filter, and what that says becomes hostcalls. It is compiled for
//! each filter anew, and what a module does not export is not in it: a push pays for nothing that only the door needs.
//!
//! | file | is |
//! |---|---|
//! | `contexts` | the callbacks, and which root a stream belongs to |
//! | `root` | the root context: configuration, ticks, wake-ups, answers of calls, the end |
//! | `worker` | what a root and its streams share: the filter and the loop |
//! | `meter` | metrics, defined once |
//!
//! Everything is per VM, and a VM is one thread.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

pub mod contexts;
mod meter;
mod root;
mod worker;

use std::hash::Hash;
use std::rc::Rc;

use proxy_wasm::types::Action;
use weir_config::Problem;
use weir_engine::metric::Shape;
use weir_engine::owners::Mailbox;
use weir_engine::{CallOutcome, Env, HttpRequest, LogLevel, StreamId};

pub use worker::Worker;

/// The decisions of a module, of one worker under one configuration.
pub trait Filter: Sized + 'static {
    /// What the operator says.
    type Config: 'static;
    /// Its names for its calls.
    type Call: Copy + 'static;
    /// What it counts.
    type Metric: Copy + Eq + Hash + 'static;
    /// What it wants done at a stream, from the root.
    type Act: 'static;
    /// One HTTP request and its answer.
    type Stream: Stream<Self>;

    /// The beginning of its queues' names; no other module has the same.
    const QUEUE: &'static str;
    /// Whether a stream that is not known passes. A filter that guards something lets nobody by whom it has not looked at.
    const PASSES_UNKNOWN: bool;

    /// Reads the configuration, or says everything that is wrong with it.
    ///
    /// # Errors
    /// All problems, with their paths.
    fn parse(
        document: &[u8],
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self::Config, Vec<Problem>>;
    /// A line for the log: what is in the configuration, and how long it took to take it up.
    fn greeting(config: &Self::Config, took_ms: u64) -> String;
    /// A filter that runs it, and how others of the process wake it. Creates what is to be shared: called while configuring,
    /// never later.
    fn new(config: Rc<Self::Config>, mailbox: Option<Mailbox>, env: &mut Env<'_>) -> Self;

    /// The root's timer.
    fn on_tick(&mut self, env: &mut Env<'_>);
    /// The root is called as [`Effect::Wake`] asked.
    fn on_woken(&mut self, env: &mut Env<'_>);
    /// A call is over.
    fn on_call_done(&mut self, call: Self::Call, outcome: &CallOutcome<'_>, env: &mut Env<'_>);
    /// The host waits no longer: what is left goes to others, or is lost and counted.
    fn on_end(&mut self, env: &mut Env<'_>);
    /// Whether it may be dropped without loss.
    fn is_idle(&self) -> bool;
    /// The next thing to do, in order.
    fn poll(&mut self) -> Option<Effect<Self>>;

    /// Does something at the stream that is effective now.
    fn act(act: Self::Act);
    /// The name of a metric.
    fn metric_name(metric: Self::Metric, config: &Self::Config) -> String;
}

/// One HTTP request and its answer, at the host's callbacks.
pub trait Stream<F: Filter>: 'static {
    /// A new one.
    fn new(id: StreamId) -> Self;
    /// The request's headers are there.
    fn headers(&mut self, worker: &Worker<F>, ends: bool) -> Action;
    /// So much of the body is there.
    fn body(&mut self, worker: &Worker<F>, size: usize, ends: bool) -> Action;
    /// With trailers the body never says that it ends.
    fn trailers(&mut self, worker: &Worker<F>) -> Action;
    /// The answer begins.
    fn answer_headers(&mut self, _worker: &Worker<F>, _ends: bool) -> Action {
        Action::Continue
    }
    /// So much of the answer is there.
    fn answer_body(&mut self, _worker: &Worker<F>, _size: usize, _ends: bool) -> Action {
        Action::Continue
    }
    /// It is over.
    fn done(self, worker: &Worker<F>);
}

/// One thing to do.
pub enum Effect<F: Filter> {
    /// Something at a stream. One that is gone by then is no error.
    At(StreamId, F::Act),
    /// Start a call.
    Call(F::Call, HttpRequest),
    /// Call the root soon. Where a host cannot, the next tick will do.
    Wake,
    /// Call the root of another filter of the process soon, or else its next tick will do.
    WakeOther(Mailbox),
    /// Count or measure something.
    Count(F::Metric, Shape),
    /// Write a line for the operator.
    Log(LogLevel, String),
}
