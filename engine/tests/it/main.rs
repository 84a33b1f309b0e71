//! The engine's behaviour, in a world whose clock we move.
#![allow(missing_docs, reason = "tests are read, not linked to")]

mod admit;
mod configuration;
mod forward;
mod handover;
mod models;
mod parked;
mod profiles;
mod replies;
mod retries;
mod rules;
mod store_down;
mod world;
