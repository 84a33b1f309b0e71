//! What the door wants done.

use weir_engine::config::AccountId;
use weir_engine::{HttpRequest, LogLevel, Response, StreamId};

use crate::metric::Metric;
use crate::sends;
use crate::verdict::Verdict;

/// What becomes of a request, said while it passes.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// It is answered with this.
    Respond(Response),
    /// It is a message, and is answered with this instead of being sent.
    Refuse {
        /// The answer.
        response: Response,
        /// What that means.
        verdict: Verdict,
    },
    /// It goes to WeChat with this `:path`, and without what it said of the caller.
    Forward {
        /// `:path`; it has an access token in it: never log it.
        path: String,
        /// The headers that say something of the caller, of those that it has.
        hide: &'static [&'static str],
    },
    /// It is held: for its body, where [`Door::wants`](crate::Door::wants) it, or until an [`Effect`] says more.
    Hold,
}

impl Step {
    /// The door refuses a request by itself.
    pub(crate) fn refuse(path: &str, response: Response) -> Self {
        if sends::is_send(path) {
            let verdict = Verdict::of(&response.body);
            Self::Refuse { response, verdict }
        } else {
            Self::Respond(response)
        }
    }
}

/// One thing to do.
#[derive(Debug)]
pub enum Effect {
    /// A held request is to go on as this says.
    Release {
        /// Which.
        stream: StreamId,
        /// How; never [`Step::Hold`].
        step: Step,
    },
    /// An answer that was held back passes as it is.
    Pass {
        /// Whose.
        stream: StreamId,
    },
    /// This is the answer instead of the one that was held back.
    Replace {
        /// Whose.
        stream: StreamId,
        /// HTTP status.
        status: u16,
        /// The body, JSON.
        body: Vec<u8>,
        /// What became of the message, if it is one.
        verdict: Option<Verdict>,
    },
    /// Start a call.
    Call {
        /// The door's name for it.
        call: Call,
        /// What to send.
        request: HttpRequest,
    },
    /// Call the root soon with [`Door::on_woken`](crate::Door::on_woken). Where a host cannot, the next tick will do.
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

/// The door's own name for a call. At most one of each name is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// `stable_token` for an account.
    AccessToken(AccountId),
    /// A request once more.
    Replay(StreamId),
    /// A batch of events to the store.
    Store,
    /// What the store knows of the credit that a message needs.
    Credit(StreamId),
}
