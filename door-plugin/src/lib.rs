//! The WeChat API door as an Envoy filter.
//!
//! This crate decides nothing: a callback becomes a question to the [`Door`](weir_door::Door), and what that says becomes
//! hostcalls.
//!
//! | file | is |
//! |---|---|
//! | `entry` | what the host needs to start the module and to put bytes into it |
//! | `contexts` | the callbacks, and which root a stream belongs to |
//! | `root` | the root context: configuration, ticks, wake-ups, answers of calls, the end |
//! | `stream` | one HTTP request and its answer |
//! | `worker` | what both share: the door and the loop that does what it wants |
//! | `meter` | counters, defined once |
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

mod contexts;
mod entry;
mod meter;
mod root;
mod stream;
mod worker;
