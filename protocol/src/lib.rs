//! WeChat's formats: bytes in, values out.
//!
//! Everything the platform sends and expects is read and written here, and nothing else happens here: no IO, no
//! clock, no randomness, no global state. Random bytes and times are arguments.
//!
//! | module | is |
//! |---|---|
//! | [`signature`] | `signature` and `msg_signature`, compared in constant time |
//! | [`query`] | the query string of a callback |
//! | [`verification`] | the GET that verifies a URL, WeCom's too |
//! | [`aes_key`], [`cipher`] | EncodingAESKey, and the encryption of bodies |
//! | [`envelope`] | the outer body in compatible and encrypted mode, inbound and outbound |
//! | [`push`], [`fields`] | a message or event, and all its fields |
//! | [`kinds`] | every kind of push that is known, and pushes written by it |
//! | [`json`] | JSON, read and written without loss |
//! | [`reply`] | passive replies |
//! | [`api`] | requests and answers of `api.weixin.qq.com` |
//! | [`open_data`] | `encryptedData` and `rawData` of mini programs |
//! | [`error`] | errors by blame, with the official numeric codes |
//!
//! # One push in encrypted mode
//! ```
//! use weir_protocol::{aes_key::EncodingAesKey, cipher, envelope::Envelope, push::{Kind, Push}, query::CallbackQuery};
//! use weir_protocol::{reply::Reply, signature::{self, Token}};
//!
//! fn answer(token: &Token, key: &EncodingAesKey, appid: &str, query: &str, body: &[u8]) -> Option<Vec<u8>> {
//!     let query = CallbackQuery::parse(query).ok()?;
//!     let stamp = query.stamp().ok()?; // judge its freshness here
//!     let envelope = Envelope::parse(body).ok()?;
//!     let given = query.msg_signature.as_deref()?;
//!     if !signature::verify_encrypted(token, stamp.timestamp, stamp.nonce, &envelope.encrypt, given) {
//!         return None;
//!     }
//!     let message = cipher::decrypt(key, &envelope.encrypt, appid).ok()?;
//!     let push = Push::parse(&message).ok()?;
//!     let Kind::Text { content } = push.kind() else { return Some(b"success".to_vec()) };
//!     let reply = Reply::Text { content: content.into() }
//!         .encode(push.format(), push.from_user_name(), push.to_user_name(), stamp.seconds);
//!     Some(Envelope::seal(envelope.format, key, token, appid, &reply, stamp.seconds, stamp.nonce, &[7; 16]))
//! }
//! ```
//!
//! # Third-party platforms and WeCom
//! The same parts, with another id and other fields:
//!
//! | | Official Account, mini program | third-party platform | WeCom |
//! |---|---|---|---|
//! | mode | plain, compatible or encrypted | encrypted | encrypted, without `encrypt_type=aes` to say so |
//! | `receive_id` of [`cipher`] and [`Envelope::seal`](envelope::Envelope::seal) | the appid | the **platform's** appid, also in pushes of accounts that authorised it | the CorpID, or the SuiteID |
//! | outside, in the [`Envelope`](envelope::Envelope) | `to_user_name` | `app_id` in notices, `to_user_name` else | `to_user_name` (the CorpID) and `agent_id` |
//! | inside, in the [`Push`](push::Push) | `to_user_name()` | `app_id()` and `info_type()` in notices; else the account's `to_user_name()` | `to_user_name()` (the CorpID), `field("AgentID")` |
//! | formats | XML, JSON | XML | XML |
//! | GET | [`verification::echostr`] | the same | [`verification::open_echostr`] |
//! | answer | a reply or `success` | `success` to notices, else as the account's | as the others |
//!
//! A platform has a second URL for the pushes of the accounts that authorised it; which account is in its path.
//! [`write_identity`](push::Push::write_identity) knows them all.
//!
//! # Cost
//! In ns, as wasm32-wasip1 under V8's optimising compiler, best of 1500 rounds on one 2.5 GHz machine:
//!
//! | per push | ns | | ns |
//! |---|---|---|---|
//! | [`CallbackQuery::parse`](query::CallbackQuery::parse) | 410 | [`cipher::decrypt`], 608 bytes | 4 800 |
//! | [`signature::verify`] | 240 | [`cipher::encrypt`], 608 bytes | 4 700 |
//! | [`signature::verify_encrypted`], 812 characters | 1 450 | [`Envelope::seal`](envelope::Envelope::seal), 560 bytes | 7 150 |
//! | [`Push::parse`](push::Push::parse), text message, XML | 440 | [`Envelope::parse`](envelope::Envelope::parse), encrypted mode | 640 |
//! | the same, JSON | 740 | the same, compatible mode | 940 |
//! | [`write_identity`](push::Push::write_identity), message | 20 | [`Reply::encode`](reply::Reply::encode), text | 300 |
//!
//! # Bounds
//! See [`limits`]. No input makes this crate panic, recurse, or work longer than linearly in its length
//! (times a constant number of names per object).

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod aes;
pub mod aes_key;
pub mod api;
pub mod cipher;
mod document;
pub mod envelope;
pub mod error;
pub mod fields;
mod flat;
pub mod json;
pub mod kinds;
pub mod limits;
pub mod open_data;
pub mod push;
pub mod query;
pub mod reply;
mod scan;
pub mod signature;
pub mod verification;
mod write;
mod xml;
