//! The decisions of Weir, without IO.
//!
//! An [`Engine`] serves one worker under one configuration. It opens no socket, reads no clock and draws no
//! random number: the present, the shared data and chance come in with every input ([`Env`]). The contract is
//! one loop, the same in Envoy, in a component, in a simulator:
//!
//! ```text
//! engine.handle(input, &mut env);            // something happened
//! while let Some(effect) = engine.poll() {   // do what it wants, in order
//!     perform(effect);                       // what fails comes back as an input
//! }
//! ```
//!
//! * Inputs from a stream ([`Input::Request`], [`Input::Gone`]) cause nothing but a response to that stream, counts,
//!   and [`Effect::Wake`]. Calls and responses to other streams happen on inputs from the root.
//! * A stream that gets no [`Effect::Respond`] after its request is held. Every hold ends: with the store's answer, at
//!   the deadline of the last attempt, when the stream is gone, or at twice the deadline.
//! * The engine names its own calls ([`Call`]); a host's numbers do not come in.
//! * [`Input::Tick`] at least every [`TICK_MS`]; lateness costs time, never correctness.
//!
//! Nothing here panics on any input. What is shared between workers is in [`shared`]; everything else is one
//! worker's memory.

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod admit;
mod api_queue;
mod backoff;
pub mod capability;
pub mod claims;
pub mod config;
mod deliveries;
mod effect;
mod engine;
mod event;
mod exchange;
pub mod fold;
mod forward;
pub mod handover;
mod input;
mod journal;
mod late;
pub mod metric;
mod outbox;
pub mod owners;
#[cfg(feature = "planted")]
pub mod planted;
#[cfg(not(feature = "planted"))]
mod planted;
mod pushes;
pub mod records;
mod request;
pub mod rules;
mod sends;
pub mod shared;
mod tags;
pub mod template;
pub mod time;
pub mod token_call;
pub mod tokens;
mod waiting;

pub use effect::{Effect, LogLevel, Response};
pub use engine::{Engine, Env, Random};
pub use input::{Call, CallOutcome, Input, Method, Request, StreamId};
pub use request::HttpRequest;

/// The longest time between two [`Input::Tick`]s, milliseconds.
pub const TICK_MS: u64 = 50;
