//! The host, as the plugins see it: the only crate that names hostcalls.
//!
//! A panic, or an end of the program by the C library, costs a worker its VM. So every status becomes a value, and
//! nothing is asked of the C library that asks the host (the environment, the clocks, random bytes). The SDK has the ABI's
//! numbers; its wrappers panic on statuses they do not expect, so the calls are declared here.
//!
//! | file | has |
//! |---|---|
//! | `abi` | the host's functions as the ABI has them, and what goes over the boundary |
//! | `system` | log, clocks, chance, environment, configuration, contexts |
//! | `http` | a stream: its request, its response, and what else is known of it |
//! | `headers` | all headers of a request at once |
//! | `calls` | calls of the root, and their answers |
//! | `shared` | shared data, and the queues that wake a root |
//! | `metrics` | metrics |
//!
//! Source: proxy-wasm ABI 0.2.1; WASI preview 1 (`clock_time_get`, `random_get`, `environ_*`).
#![allow(unsafe_code, reason = "the host's C ABI")]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod abi;
mod calls;
mod headers;
mod http;
mod metrics;
mod shared;
mod system;

pub use abi::Unreadable;
pub use calls::{call, call_body, call_header};
pub use headers::RequestHeaders;
pub use http::{
    Half, add_response_header, go_on, property, remove_request_header, remove_response_header,
    replace_response_body, request_body, request_header, respond, respond_with, response_body,
    response_header, set_request_header, set_response_header,
};
pub use metrics::{define_metric, increment_metric, record_metric};
pub use shared::{Queue, Shared, creation_failed};
pub use system::{
    Environment, Pool, configuration, done, log, mono_ms, now, random, set_tick_period, within,
};
