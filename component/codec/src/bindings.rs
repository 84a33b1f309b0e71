//! What wit-bindgen makes of `wit/`.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    rustdoc::all,
    reason = "generated"
)]

wit_bindgen::generate!({
    world: "weir-codec",
    path: "wit",
});

use crate::Component;
pub(crate) use exports::weir::codec::codec::*;

export!(Component);
