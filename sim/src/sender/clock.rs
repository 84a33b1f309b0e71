//! How patient the sender is.

use std::time::Duration;

/// What follows an attempt that failed before its time was up (a status other than 200, a refused connection).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterFailure {
    /// The next attempt starts in its own slot, 5 s after the last began.
    #[default]
    WaitForSlot,
    /// The next attempt starts at once.
    AtOnce,
}

/// When attempts start and how long each may take. The default is WeChat's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendingClock {
    /// In all, not retries: 3.
    pub attempts: u32,
    /// After this long an unanswered connection is closed: 5 s.
    pub cut: Duration,
    /// From the start of one attempt to the start of the next: 5 s.
    pub interval: Duration,
    /// Not documented by WeChat.
    pub after_failure: AfterFailure,
}

impl Default for SendingClock {
    fn default() -> Self {
        Self {
            attempts: 3,
            cut: Duration::from_secs(5),
            interval: Duration::from_secs(5),
            after_failure: AfterFailure::default(),
        }
    }
}

impl SendingClock {
    /// WeChat's timing, `factor` times as fast: 100 makes 50 ms of 5 s.
    pub fn faster(factor: u32) -> Self {
        let real = Self::default();
        Self {
            cut: real.cut / factor.max(1),
            interval: real.interval / factor.max(1),
            ..real
        }
    }
}
