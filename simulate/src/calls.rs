//! Calls on their way: when they take effect at the peer, and when and how they return. The two are independent: an
//! answer can be lost after the effect, and the effect can come after the caller has given up.

use weir_engine::Call;

/// A call of an engine's.
pub(crate) struct InFlight {
    /// Whose: an index into the engines.
    pub(crate) engine: usize,
    pub(crate) call: Call,
    pub(crate) path: String,
    pub(crate) body: Vec<u8>,
    pub(crate) began_ms: u64,
    pub(crate) course: Course,
    /// The pushes whose reply the store has handed out in its answer.
    pub(crate) handed: Vec<String>,
    /// What the peer answered when it took effect.
    pub(crate) answer: Option<Vec<u8>>,
}

/// How a call goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    /// When it takes effect, milliseconds after it began; never, if not at all.
    pub(crate) effect_ms: Option<u64>,
    /// When it returns, milliseconds after it began.
    pub(crate) return_ms: u64,
    pub(crate) end: End,
}

/// How a call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With what the peer answered.
    Answered,
    /// With a status and no body.
    Status(u16, Option<u32>),
    /// With 200 and something that is no answer.
    Malformed,
    /// Not at all.
    Reset,
}

impl Course {
    /// It works.
    pub(crate) fn smooth(effect_ms: u64, return_ms: u64) -> Self {
        Self {
            effect_ms: Some(effect_ms),
            return_ms,
            end: End::Answered,
        }
    }
}

/// Where a call goes, for people.
pub(crate) fn name_of(call: Call) -> &'static str {
    match call {
        Call::Store => "the store",
        Call::AccessToken(_) => "stable_token",
        Call::Profiles(_) => "user/info/batchget",
        Call::Tags(_) => "batchtagging",
        Call::App(_) => "the application",
        Call::Send(_) => "message/custom/send",
    }
}
