//! What must hold for every input.
//!
//! A target takes any bytes and asks of the code what an outsider could: not only that it returns, but that it is
//! right. What two ways of saying one thing must agree on, what another implementation reads, what a slow and obvious
//! model decides. A target panics where that fails.
//!
//! | target | input | holds |
//! |---|---|---|
//! | [`xml`], [`json`] | a push's body, or what stands in one | read as another parser reads it; written and read again the same, typed or not; blanks and a cut change what they must and nothing else |
//! | [`bounds`] | what to repeat in such a body, and how often | the same, at any size |
//! | [`decrypt`] | pieces that the target signs and encrypts | every inside opened or refused as a model says; a changed byte never verifies |
//! | [`query`] | a query string | values as another decoder has them; order and escapes do not matter |
//! | [`rules`] | rules, a push | a slow and obvious model decides the same; the answer is well-formed for another parser and to the right user; the event has all of the push |
//! | [`config`] | a document | accepted once, accepted always; problems have places and no secrets |
//!
//! # Who runs them
//! libFuzzer, coverage-guided, by `cargo xtask fuzz` (programs in `src/bin`, feature `libfuzzer`); and the tests,
//! which replay the committed corpora in `corpus/` without libFuzzer, on every `cargo test`. A crash that was found becomes a file
//! there, or a test of the crate at fault. Results of long runs are in `LEDGER.md`.
//!
//! # Bounds
//! No input may take longer than [`unit::LIMIT`].

pub mod bounds;
pub mod config;
pub mod decrypt;
pub mod json;
mod model;
mod pieces;
mod push;
pub mod query;
mod reference;
pub mod rules;
mod typed;
pub mod unit;
mod worker;
pub mod xml;

/// A target: its name, and what it does with an input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 7] = [
    ("xml", xml::check),
    ("json", json::check),
    ("bounds", bounds::check),
    ("decrypt", decrypt::check),
    ("query", query::check),
    ("rules", rules::check),
    ("config", config::check),
];
