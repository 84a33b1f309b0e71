//! What is done for an account through the API door while nobody's request waits: all of its followers into the store,
//! one message to many.
//!
//! ```text
//!            ┌ door ── calls (patience: pace, errcodes) ──▶ WeChat's API
//!  errand ───┼ sync::Progress, send::Ledger: how far it is, durable
//!            └ sync::Store: where what WeChat says goes
//! ```
//!
//! The steps are here; who runs them is elsewhere: the `weir` command keeps its progress in a file and speaks to the store by
//! HTTP, the store keeps it in its database and speaks to itself.
//!
//! | module | idea |
//! |---|---|
//! | [`door`] | the API door, spoken to as a client without an access token: one call, once |
//! | [`errcodes`] | what WeChat's error codes mean for what was asked |
//! | [`pace`] | when the next call may be made, and when none may any more |
//! | [`calls`] | calls that may be made again, made until they worked or waiting does not help |
//! | [`sync`] | a pass over an account's followers |
//! | [`send`] | one message to many, each of them once |
//!
//! # One question to WeChat
//!
//! ```no_run
//! use std::time::Duration;
//! use weir_errands::calls::{Calls, Failed};
//! use weir_errands::door::{Address, Entrance};
//! use weir_errands::pace::Pace;
//!
//! # async fn tags() -> anyhow::Result<()> {
//! let entrance = Entrance::new(Address::new("http://127.0.0.1:10001", "the client's key"))?;
//! let calls = Calls::new(entrance.door("demo")?, Duration::from_secs(60));
//! // Ten calls a second, by all who share it.
//! let pace = Pace::new(10.0);
//! match calls.get(&pace, "/cgi-bin/tags/get").await {
//!     Ok(answer) => println!("{}", answer["tags"]),
//!     Err(Failed::Refused { errcode, why }) => println!("WeChat says no: {errcode}, {why}"),
//!     Err(Failed::Ended) => println!("given up: {:?}", pace.stopped()),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Out of scope
//! Access tokens and quotas (the door's), what a store makes of events, when an errand is run.

pub mod calls;
pub mod clock;
pub mod door;
pub mod errcodes;
pub mod pace;
pub mod send;
pub mod sync;
