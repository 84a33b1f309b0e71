//! A fake `api.weixin.qq.com`, over HTTP or TLS.
//!
//! [`World`] is all of it without a network: accounts, their tokens, users, quotas and tags, the faults to play and the
//! ledger of calls. [`Server`] puts it on a socket, and [`control`] is the second door through which a test (or a
//! person with curl) sets up users, expires tokens, injects faults and reads the ledger.
//!
//! | call | |
//! |---|---|
//! | `GET /cgi-bin/token` | a new token each time; the one before lives 5 more minutes |
//! | `POST /cgi-bin/stable_token` | the same token with what is left of its life; `force_refresh` |
//! | `GET /cgi-bin/user/info`, `POST …/batchget`, `GET /cgi-bin/user/get` | users |
//! | `GET /cgi-bin/tags/get`, `POST …/members/batchtagging` | tags |
//! | `POST /cgi-bin/message/custom/send`, `…/template/send` | recorded in the ledger |
//! | `GET /cgi-bin/getcallbackip`, `…/get_api_domain_ip` | addresses |
//!
//! As WeChat does, every error is a 200 with `errcode` and `errmsg`.
//!
//! Bounds: the ledger keeps the last [`ledger::MAX_SENDS`] sends, an account its last [`tokens::MAX_REMEMBERED`] tokens, a
//! request body is at most [`server::MAX_BODY_BYTES`]. Nothing here writes a log: secrets and tokens travel in these calls.

mod calls;
mod client;
pub mod control;
mod error;
pub mod faults;
pub mod ledger;
mod quotas;
pub mod server;
mod tls;
pub mod tokens;
pub mod users;
mod world;

pub use calls::{Call, Method};
pub use client::ControlClient;
pub use control::TokenAction;
pub use error::ApiError;
pub use faults::{FaultRule, Then};
pub use ledger::Ledger;
pub use quotas::Limit;
pub use server::{Options, Server, TlsOptions};
pub use tokens::Kind;
pub use users::{Act, Follow, Profile};
pub use world::{NoSuchAccount, World};
