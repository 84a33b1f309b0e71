//! Login at the edge: who the user of a mini program or a page is, said to the application in headers that nobody can spoof.
//!
//! Like the engine of the push filter this decides and does nothing else: no socket, no clock, no chance of its own. A
//! stream's callbacks ask [`Login::on_request`] and its like, and do the [`Step`] that is said; what has to happen at the root
//! comes out of [`Login::poll`] as [`Effect`]s.
//!
//! ```text
//!  mini program ── POST {path}/login {code} ──▶ jscode2session ──▶ a session, sealed
//!                  POST {path}/phone {code} ──▶ getuserphonenumber ──▶ the phone, and an event
//!                  POST {path}/open-data, /check ──▶ decrypted, or checked, with the session's key
//!
//!  browser ─ GET a page ─┬ has a session ─────────────────────────────▶ application, with identity headers
//!                        ├ visitors may come ── a guest, negative uid ─▶ application
//!                        └ else 302 open.weixin.qq.com ─ 302 {callback}?code&state ─ oauth2/access_token ─ 302 the page
//! ```
//!
//! # What holds
//! * A session is a value that only this filter can make or read (XChaCha20-Poly1305). The `session_key` is inside and comes
//!   out nowhere. There is no table of sessions, so nothing to fill up and nothing to share between nodes.
//! * Identity headers of a request are taken out before anything else: what the application sees is this filter's word.
//! * A `state` belongs to the browser that was sent to WeChat: it is sealed in a cookie of that browser, and good for ten
//!   minutes. After the login the browser goes back to a path of this site, never elsewhere.
//! * A code is used once: a call that may have used one is not made again.
//!
//! | module | is |
//! |---|---|
//! | `config`  | what the operator says |
//! | `seal`    | values that only we can make |
//! | `session` | who somebody is, as one of them |
//! | `head`    | what of a request matters |
//! | `login`   | a request at the stream's callbacks |
//! | `mini`, `web` | the calls of mini programs; pages and their redirects |
//! | `root`    | the same at the root's turn: WeChat's answers, access tokens, the store |
//! | `welcome` | the end of a login: the store is told, and a session handed out |
//! | `answers`, `events` | what is said to clients, and to the store |

#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod answers;
pub mod config;
mod effect;
mod events;
mod head;
mod login;
pub mod metric;
mod mini;
mod root;
mod seal;
mod session;
mod web;
mod welcome;

pub use effect::{Answer, Call, Effect, Identity, Step};
pub use head::Head;
pub use login::Login;
pub use seal::Key;

/// The headers by which an application learns who asks. Taken out of every request that comes in.
pub const IDENTITY_HEADERS: [&str; 4] = [
    "x-weixin-account",
    "x-weixin-openid",
    "x-weixin-unionid",
    "x-weixin-uid",
];
