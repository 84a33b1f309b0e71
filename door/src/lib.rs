//! The WeChat API door: applications call WeChat through it, without a secret and without a token.
//!
//! Like the engine of the push filter this decides and does nothing else: no socket, no clock, no chance of its own. A
//! stream's callbacks ask [`Door::on_request`] and its like, and do the [`Step`] that is said; what has to happen at the
//! root comes out of [`Door::poll`] as [`Effect`]s.
//!
//! ```text
//!            ┌ refused: answered here
//!  request ──┼ login (token, stable_token): answered with a stand-in
//!            ├ kept for all (tickets, addresses): answered, or asked once
//!            └ body ─ linter ─ credit ─ quota ─ access token ──▶ WeChat ──▶ answer ─┬ passes
//!                                                   ▲                              ├ token refused: held, once more
//!                                                   └────── replay ────────────────┘
//! ```
//!
//! A message is sent again only when WeChat has said that it refused the token: never twice.
//!
//! | module | is |
//! |---|---|
//! | `target`   | the path in its one spelling, the parameters |
//! | `admit`    | who asks, for which account, and whether they may |
//! | `stand_in` | what an SDK gets in place of an access token |
//! | `door`     | a request on its way, at the stream's callbacks |
//! | `passing`  | WeChat's answer to it, likewise |
//! | `root`     | both at the root's turn: tokens, replays, the store |
//! | `exchange` | what is remembered of a request |
//! | `cache`, `quota` | what the workers share, beside the access tokens |
//! | `lint`     | mistakes found before WeChat finds them |
//! | `node`     | a request's body, as the linter and the record read it |
//! | `credits` | what the store knows of a user's accepts, before a message is sent |
//! | `sends` | what was sent, for the store |
//! | `verdict` | what became of a message, in a word |

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod admit;
mod answers;
mod cache;
pub mod config;
mod credits;
mod door;
mod effect;
mod exchange;
mod lint;
pub mod metric;
mod node;
mod passing;
mod quota;
mod root;
mod sends;
mod stand_in;
mod target;
mod verdict;

pub use admit::Head;
pub use door::Door;
pub use effect::{Call, Effect, Step};
pub use passing::{HeldAnswer, Passing};
pub use verdict::{RESULT_HEADER, Verdict};
