//! Logins as an Envoy filter.
//!
//! This crate decides nothing: what [`Login`](weir_login::Login) wants becomes hostcalls, by way of the adapter that all
//! modules share.
//!
//! | file | is |
//! |---|---|
//! | `filter` | the logins, as the adapter sees them; what their words are as hostcalls |
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

weir_adapter::module!(filter::LoginFilter);
