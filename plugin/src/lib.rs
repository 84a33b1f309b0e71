//! Weir as an Envoy filter.
//!
//! This crate decides nothing: a callback becomes an [`Input`](weir_engine::Input), an [`Effect`](weir_engine::Effect) becomes
//! a hostcall, by way of the adapter that all modules share.
//!
//! | file | is |
//! |---|---|
//! | `filter` | the engine, as the adapter sees it |
//! | `stream` | one HTTP request |
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]
#![allow(unsafe_code, reason = "the names of the host's callbacks")]

mod filter;
mod stream;

weir_adapter::module!(filter::PushFilter);
