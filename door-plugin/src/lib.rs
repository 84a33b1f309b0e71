//! The WeChat API door as an Envoy filter.
//!
//! This crate decides nothing: what the [`Door`](weir_door::Door) wants becomes hostcalls, by way of the adapter that all modules
//! share.
//!
//! | file | is |
//! |---|---|
//! | `filter` | the door, as the adapter sees it; what its words are as hostcalls |
//! | `stream` | one HTTP request and its answer |
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

weir_adapter::module!(filter::DoorFilter);
