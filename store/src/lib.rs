//! The store: takes Weir's events, keeps them, and answers questions about accounts, users, messages, sends and cards.
//!
//! # The way of an event
//! [`routes`](server::router) → `body` cuts the request → [`event`] reads each, and [`fact`] what it tells →
//! [`ingest`] gathers requests into one transaction → [`repo`] writes the log, and the projections that [`fold`]
//! computes, and the [`ledger`] of who does the work behind a push. The sender is answered when all of it is durable.
//!
//! # What it promises
//! - An event is named by `source` and `id`, and counts once, however often and wherever it is sent.
//! - 2xx comes after the commit is durable. After 503 the sender sends again.
//! - The projections depend on the events alone, not on the order they came in.
//! - What only WeChat's API can tell is asked for through the gateway's door ([`asking`]), if there is one.
//! - The work behind a push is given to one, and its reply is handed out or sent, never both.
//! - Syncs and campaigns ([`jobs`]) are run by one store at a time, and go on where a killed one was.
//!
//! # Out of scope
//! WeChat's formats beyond the fields that projections use; what users are answered; access tokens (the door's); TLS and
//! authorization beyond one bearer token (a gateway stands in front).

pub mod asking;
mod auth;
mod body;
mod cache;
pub mod cards;
mod catch_up;
pub mod config;
pub mod cursor;
pub mod door;
pub mod error;
pub mod event;
pub mod fact;
pub mod fold;
pub mod ingest;
pub mod jobs;
pub mod ledger;
mod lenient;
pub mod metrics;
pub mod openapi;
pub mod people;
pub mod reply;
pub mod repo;
mod routes;
pub mod sends;
pub mod server;
pub mod tags;
#[cfg(feature = "testing")]
pub mod testing;
pub mod wechat;

pub use server::{AppState, Store, router, serve};
