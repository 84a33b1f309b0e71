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
//! | `GET /cgi-bin/tags/get`, `POST …/create`, `…/update`, `…/delete`, `…/getidlist`, `…/members/batchtagging`, `…/members/batchuntagging` | tags |
//! | `POST /card/membercard/userinfo/get`, `…/activate`, `…/updateuser`, `POST /card/code/get` | member cards |
//! | `POST /cgi-bin/message/custom/send` | within the windows that users open; recorded in the ledger, as the following are |
//! | `POST …/template/send` | to followers; a `client_msg_id` is not sent twice within 10 minutes, but answered with the first one's `msgid` |
//! | `POST …/subscribe/send`, `…/subscribe/bizsend` | as long as there are credits |
//! | `POST /cgi-bin/media/upload`, `GET /cgi-bin/media/get` | multipart in, the same bytes out |
//! | `POST /cgi-bin/menu/create`, `GET …/get`, `…/delete` | the menu |
//! | `GET /cgi-bin/ticket/getticket` | `jsapi` and `wx_card`: the same with what is left of its life |
//! | `POST /cgi-bin/clear_quota`, `…/openapi/quota/get` | quotas |
//! | `GET /cgi-bin/getcallbackip`, `…/get_api_domain_ip` | addresses |
//! | `GET /sns/jscode2session` | who logged in to a mini program: codes are good once and for five minutes |
//! | `POST /wxa/business/getuserphonenumber` | the number behind a code of the phone button |
//! | `GET /sns/oauth2/access_token`, `…/refresh_token` | who came back from `open.weixin.qq.com`, and the user's own tokens |
//! | `GET /sns/userinfo`, `GET /sns/auth` | what the user agreed to |
//!
//! As WeChat does, every error is a 200 with `errcode` and `errmsg`. Answers under `/sns/` are JSON that is called `text/plain`.
//!
//! Bounds: the ledger keeps the last [`ledger::MAX_SENDS`] sends, an account its last [`tokens::MAX_REMEMBERED`] tokens
//! and [`media::MAX_KEPT`] media, [`login::MAX_CODES`] codes of each kind, a request body is at most [`server::MAX_BODY_BYTES`]. Nothing here writes a log: secrets and tokens travel in these calls.

mod calls;
pub mod cards;
mod client;
pub mod control;
mod error;
pub mod faults;
pub mod ledger;
pub mod login;
pub mod media;
mod quotas;
pub mod sends;
pub mod server;
mod stream;
mod tickets;
mod tls;
pub mod tokens;
pub mod users;
mod world;

pub use calls::{Answer, Call, Method};
pub use cards::Card;
pub use client::ControlClient;
pub use control::TokenAction;
pub use error::ApiError;
pub use faults::{FaultRule, Then};
pub use ledger::Ledger;
pub use login::{NotAuthorised, Phone};
pub use quotas::Limit;
pub use server::{Options, Server, TlsOptions};
pub use tokens::Kind;
pub use users::{Act, Follow, Profile};
pub use world::{NoSuchAccount, World};
