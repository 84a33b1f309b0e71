//! Weir as an Envoy filter.
//!
//! This crate decides nothing: a callback becomes an [`Input`](weir_engine::Input), an
//! [`Effect`](weir_engine::Effect) becomes a hostcall.
//!
//! | file | is |
//! |---|---|
//! | `entry` | what the host needs to start the module and to put bytes into it |
//! | `root` | the root context: configuration, ticks, wake-ups, answers of calls, draining |
//! | `contexts` | the callbacks, and which root a stream belongs to |
//! | `stream` | one HTTP request |
//! | `worker` | what both share: the engine and the loop that drives it |
//! | `meter` | metrics, defined once |
//!
//! The hostcalls are a crate of their own, `hostcalls`.
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
