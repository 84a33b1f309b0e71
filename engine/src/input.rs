//! Everything that can happen to an engine.

use crate::claims::Fingerprint;
use crate::config::AccountId;

/// The host's number for an HTTP stream; unique among the living ones of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// One thing that happened.
///
/// [`Request`](Input::Request) and [`Gone`](Input::Gone) come from a stream and may cause a response to that very
/// stream, counts, and [`Effect::Wake`](crate::Effect::Wake). Everything else (calls, responses to other streams) is
/// caused by the other inputs, which come from the root: a host may be unable to do those from a stream.
#[derive(Debug)]
pub enum Input<'a> {
    /// A request to an account's path is complete.
    Request {
        /// Where the response goes.
        stream: StreamId,
        /// The request.
        request: Request<'a>,
    },
    /// A stream that was not responded to is gone (WeChat cut it, or the host did).
    Gone {
        /// Which.
        stream: StreamId,
    },
    /// A call is over.
    CallDone {
        /// Which.
        call: Call,
        /// How it went.
        outcome: CallOutcome<'a>,
    },
    /// The root is called as [`Effect::Wake`](crate::Effect::Wake) asked.
    Woken,
    /// The root's timer: at least every [`TICK_MS`](crate::TICK_MS).
    Tick,
    /// The host will not wait any longer: what others of the process can go on with is left to them, the rest is lost, and
    /// counted. Nothing comes after it.
    HandOver,
}

/// A complete request.
#[derive(Debug)]
pub struct Request<'a> {
    /// Whose path it was.
    pub account: AccountId,
    /// The appid in the path of a third-party platform: the account that authorised it.
    pub authorizer: Option<&'a str>,
    /// GET is a URL verification, POST a push.
    pub method: Method,
    /// What follows the `?`, without it; not decoded.
    pub query: &'a str,
    /// The body.
    pub body: &'a [u8],
    /// When its headers came, on the monotonic clock. The reply deadline counts from here.
    pub arrived_mono_ms: u64,
}

/// The two methods WeChat uses, and the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// URL verification.
    Get,
    /// A push.
    Post,
    /// Not WeChat.
    Other,
}

/// The engine's own name for a pending call. At most one of each name is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// A batch of events to the store.
    Store,
    /// `stable_token` for an account.
    AccessToken(AccountId),
    /// `user/info/batchget` for an account.
    Profiles(AccountId),
    /// `tags/members/batchtagging` for an account.
    Tags(AccountId),
    /// An application, about a push.
    App(Fingerprint),
    /// `message/custom/send`, for the late reply to a push.
    Send(Fingerprint),
}

/// How a call went.
#[derive(Debug, Clone, Copy)]
pub enum CallOutcome<'a> {
    /// An answer came, from the peer or (503, 504) from the host on its behalf.
    Answer {
        /// HTTP status.
        status: u16,
        /// `Retry-After` in seconds, where one was given as a number.
        retry_after_s: Option<u32>,
        /// The body.
        body: &'a [u8],
    },
    /// The host did not take the call (no such cluster, breaker full).
    Refused,
    /// The connection broke in the middle of the answer.
    Reset,
}
