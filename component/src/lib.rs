//! Weir as a WASI component.
//!
//! This crate decides nothing: a request becomes an [`Input`](weir_engine::Input), an [`Effect`](weir_engine::Effect) becomes
//! a call of the host.
//!
//! | file | is |
//! |---|---|
//! | `setup` | the configuration, read once per instance |
//! | `drive` | one request, and the loop that drives its engine |
//! | `clock` | time and chance |
//! | `call` | one outgoing call, polled |
//! | `incoming` | what came and what is answered |
//! | `state` | shared data and metrics: `weir:state`, or with the feature `keyvalue` `wasi:keyvalue` |
//!
//! A host may make an instance for each request, or use one again: then an engine with nothing left to do stays in it. What
//! engines have in common is in shared data; what one leaves behind when its time is over, the next one takes up.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod bindings;
mod call;
mod clock;
mod drive;
mod incoming;
mod setup;
#[cfg_attr(feature = "keyvalue", path = "state_keyvalue.rs")]
mod state;

use wasip2::http::types::{IncomingRequest, ResponseOutparam};

struct Component;

impl wasip2::exports::http::incoming_handler::Guest for Component {
    fn handle(request: IncomingRequest, answer: ResponseOutparam) {
        drive::serve(&request, answer);
    }
}

impl bindings::Setup for Component {
    fn check() -> Result<(), Vec<String>> {
        setup::check()
    }
}
