//! WeChat's side in a box, for any backend that speaks WeChat.
//!
//! Two halves, each usable alone:
//!
//! - **The sender** does what WeChat does to a server: it verifies the URL and sends pushes (消息推送) with
//!   WeChat's patience (5 s for an answer, three attempts, the same `MsgId`), signs and encrypts them for each
//!   of the three modes, and judges the answer as strictly as WeChat does.
//! - **The API** is a fake `api.weixin.qq.com` over HTTP or TLS: access tokens that expire, get renewed and get
//!   invalidated, users, quotas, WeChat's errors in WeChat's words, and faults on demand.
//!
//! Beside them, [`app`] is an application behind the backend, for those that forward pushes: it answers late, wrongly or
//! never, as asked.
//!
//! [`walk`] puts both together: verify, follow, text, unfollow, each step checked.
//!
//! ```no_run
//! # async fn demo() -> anyhow::Result<()> {
//! use weir_sim::{Push, Sender, UserSees, wechat};
//!
//! let account = wechat::account::load("accounts.json".as_ref())?.remove(0);
//! let sender = Sender::new(account, "http://127.0.0.1:10000/wechat/demo")?;
//! let exchange = sender.push(&Push::text(sender.account(), &wechat::ids::openid(), "hello")).await;
//! match &exchange.reply {
//!     UserSees::Reply(reply) => println!("{}", reply.summary()),
//!     UserSees::Nothing => println!("no reply"),
//!     UserSees::ServiceFault(fault) => println!("fault notice: {fault}"),
//! }
//! # Ok(()) }
//! ```
//!
//! Signatures and encryption here share no code with the rest of the workspace: a mistake made on one side would
//! otherwise be made on the other too, and no test would see it.
//!
//! Out of scope: WeCom (企业微信), third-party platforms, payment.

pub mod api;
pub mod app;
pub mod clock;
pub mod fields;
pub mod http;
pub mod push;
mod resettable;
pub mod sender;
pub mod walk;
pub mod wechat;

pub use clock::Clock;
pub use fields::{Fields, Value};
pub use push::{Push, Scene};
pub use sender::{Attempt, Exchange, Fault, Outcome, Reply, Sender, SendingClock, UserSees};
pub use wechat::Account;
