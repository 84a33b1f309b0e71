//! Behaviour of the store, seen from outside. `suite` runs against both databases, and so do most of the others.

#[macro_use]
mod world;

mod asking;
mod campaigns;
mod cards;
mod care;
mod catch_up;
mod concurrency;
mod crash;
mod crash_ledger;
mod dice;
mod door;
mod erasure;
mod failures;
mod http;
mod ledger;
mod migrations;
mod openapi;
mod orders;
mod people;
mod process;
mod schemathesis;
mod scripted;
mod sends;
mod suite;
mod syncs;
mod tags;
