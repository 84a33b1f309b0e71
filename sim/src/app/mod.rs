//! An application that is asked what to answer a push: for backends that forward pushes to one.
//!
//! It records every call and answers by plan: after a delay, with any status and body, by a reset, or never. A call is a
//! POST of a CloudEvent, or of a push as WeChat sends it; the answer is a reply in JSON (`{"text": "…"}`) or in WeChat's
//! XML, or nothing. Without a plan it does as the user's words ask ([`Answer::by_words`]), so that people can try things.
//!
//! ```no_run
//! # async fn demo() -> anyhow::Result<()> {
//! use std::time::Duration;
//! use weir_sim::app::{Answer, App};
//!
//! let app = App::start(([127, 0, 0, 1], 0).into()).await?;
//! app.plan("parcel", Answer::text("On its way.").after(Duration::from_secs(7)));
//! // … a push with “parcel” in it is forwarded …
//! assert_eq!(app.calls().len(), 1);
//! # Ok(()) }
//! ```

mod answer;
mod server;

pub use answer::Answer;
pub use server::{App, Asked, MAX_BODY_BYTES};
