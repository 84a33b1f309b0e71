//! What the filter wants done.

use weir_engine::config::AccountId;
use weir_engine::{HttpRequest, LogLevel, StreamId};

use crate::metric::Metric;

/// An HTTP response with headers of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Names and values. May hold a session: never log them.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Who asks, as the application learns it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The account's name.
    pub account: String,
    /// The user; not of a guest.
    pub openid: Option<String>,
    /// Where WeChat says it.
    pub unionid: Option<String>,
    /// The person's in the store, where it said so at the login; of a guest negative.
    pub uid: Option<i64>,
}

/// What becomes of a request, said while it passes.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// It is answered with this.
    Respond(Answer),
    /// It goes on to the application.
    Forward {
        /// Who asks; nobody known if absent.
        identity: Option<Identity>,
        /// The response gets this `set-cookie`.
        set_cookie: Option<String>,
    },
    /// It is held: for its body, where [`Login::wants`](crate::Login::wants) it, or until an [`Effect`] says more.
    Hold,
}

/// One thing to do.
#[derive(Debug)]
pub enum Effect {
    /// A held request is answered.
    Respond {
        /// Which.
        stream: StreamId,
        /// With what.
        answer: Answer,
    },
    /// Start a call.
    Call {
        /// The filter's name for it.
        call: Call,
        /// What to send.
        request: HttpRequest,
    },
    /// Call the root soon with [`Login::on_woken`](crate::Login::on_woken). Where a host cannot, the next tick will do.
    Wake,
    /// Count something, so often.
    Count(Metric, u64),
    /// Write a line for the operator: rare, without secrets or anything a stranger chose.
    Log {
        /// How loud.
        level: LogLevel,
        /// One line.
        line: String,
    },
}

/// The filter's own name for a call. At most one of each name is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// `stable_token` for an account.
    AccessToken(AccountId),
    /// What a request waits for.
    Of(StreamId),
    /// A login to the store, which a request waits for.
    Told(StreamId),
    /// A batch of events to the store.
    Store,
}
