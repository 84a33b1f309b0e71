//! What wit-bindgen makes of `wit/`.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    rustdoc::all,
    reason = "generated"
)]

#[cfg(not(feature = "keyvalue"))]
wit_bindgen::generate!({
    world: "edge",
    path: "wit",
    generate_all,
});

#[cfg(feature = "keyvalue")]
wit_bindgen::generate!({
    world: "edge-keyvalue",
    path: "wit",
    generate_all,
});

use crate::Component;
pub(crate) use exports::weir::edge::setup::Guest as Setup;

wasip2::http::proxy::export!(Component);
export!(Component);
