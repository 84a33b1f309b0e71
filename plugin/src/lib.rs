//! Weir as an Envoy filter.
//!
//! This crate decides nothing: a callback becomes an [`Input`](weir_engine::Input), an
//! [`Effect`](weir_engine::Effect) becomes a hostcall.
//!
//! | file | is |
//! |---|---|
//! | `root` | the root context: configuration, ticks, wake-ups, answers of calls, draining |
//! | `contexts` | the callbacks of streams, and which root a stream belongs to |
//! | `stream` | one HTTP request |
//! | `worker` | what both share: the engine and the loop that drives it |
//! | `meter` | metrics, defined once |
//! | `host` | the hostcalls, none of which panics |
//!
//! Everything is per VM, and a VM is one thread. Never hold a borrow of the worker across a call into the SDK.
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
mod host;
mod meter;
mod root;
mod stream;
mod worker;

use proxy_wasm::types::LogLevel;

mod entry {
    use super::{LogLevel, root};

    proxy_wasm::main! {{
        proxy_wasm::set_log_level(LogLevel::Warn);
        proxy_wasm::set_root_context(|context_id| Box::new(root::Root::new(context_id)));
    }}
}
