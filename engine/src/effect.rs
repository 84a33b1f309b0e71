//! Everything an engine can ask of its host.

use std::borrow::Cow;

use crate::input::{Call, StreamId};
use crate::metric::Metric;
use crate::owners::Mailbox;
use crate::request::HttpRequest;

/// One thing to do.
#[derive(Debug)]
pub enum Effect {
    /// Answer a stream, once. A stream that is gone by then is not an error.
    Respond {
        /// Which.
        stream: StreamId,
        /// With what.
        response: Response,
    },
    /// Start a call. If the host refuses it, feed back [`CallOutcome::Refused`](crate::CallOutcome::Refused).
    Call {
        /// The engine's name for it.
        call: Call,
        /// What to send.
        request: HttpRequest,
    },
    /// Call the root soon with [`Input::Woken`](crate::Input::Woken). Where a host cannot, the next tick will do.
    Wake,
    /// Wake another engine of the process by its mailbox: its root is called with
    /// [`Input::Woken`](crate::Input::Woken). If that fails, its next tick will do.
    WakeOther(Mailbox),
    /// Count something.
    Count(Metric),
    /// Write a line for the operator: rare, without secrets, openids or anything a stranger chose.
    Log {
        /// How loud.
        level: LogLevel,
        /// One line.
        line: String,
    },
}

/// How loud a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Good to know.
    Info,
    /// Somebody should look.
    Warn,
    /// Users notice.
    Error,
}

/// An HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// `content-type`; `None` when there is no body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Cow<'static, [u8]>,
}

impl Response {
    /// A status without a body: all a stranger learns.
    #[must_use]
    pub const fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            body: Cow::Borrowed(&[]),
        }
    }
}
