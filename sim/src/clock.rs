//! What time it is for the simulated WeChat.
//!
//! Token lifetimes, quotas and `CreateTime` follow this clock and not the machine's, so that two hours can pass
//! in a test without waiting: [`Clock::advance`] jumps, [`Clock::faster`] speeds it up, [`Clock::manual`] stands
//! still until told otherwise. Cloning shares the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A shared clock in Unix time. See the module.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pace: Pace,
    offset_ms: AtomicI64,
}

#[derive(Debug)]
enum Pace {
    /// Real time since `started`, times `factor`, counted from `epoch_ms`.
    Running {
        epoch_ms: i64,
        started: Instant,
        factor: f64,
    },
    /// Stands at `epoch_ms`.
    Still { epoch_ms: i64 },
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self::faster(1.0)
    }

    /// Starts at the machine's time and runs `factor` times as fast.
    pub fn faster(factor: f64) -> Self {
        let epoch_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_millis() as i64);
        Self::with_pace(Pace::Running {
            epoch_ms,
            started: Instant::now(),
            factor,
        })
    }

    /// Stands still at `unix_s` (Unix seconds) until [`advance`](Self::advance) moves it.
    pub fn manual(unix_s: i64) -> Self {
        Self::with_pace(Pace::Still {
            epoch_ms: unix_s * 1000,
        })
    }

    fn with_pace(pace: Pace) -> Self {
        Self(Arc::new(Inner {
            pace,
            offset_ms: AtomicI64::new(0),
        }))
    }

    /// Unix milliseconds.
    pub fn now_ms(&self) -> i64 {
        let base = match &self.0.pace {
            Pace::Running {
                epoch_ms,
                started,
                factor,
            } => epoch_ms + (started.elapsed().as_secs_f64() * 1000.0 * factor) as i64,
            Pace::Still { epoch_ms } => *epoch_ms,
        };
        base + self.0.offset_ms.load(Ordering::Relaxed)
    }

    /// Unix seconds.
    pub fn now_s(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// Jumps forward, for every holder of this clock.
    pub fn advance(&self, by: Duration) {
        self.0
            .offset_ms
            .fetch_add(by.as_millis() as i64, Ordering::Relaxed);
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_for_every_clone() {
        let clock = Clock::manual(1_700_000_000);
        let clone = clock.clone();
        assert_eq!(clock.now_s(), 1_700_000_000);
        clone.advance(Duration::from_millis(1500));
        assert_eq!(clock.now_ms(), 1_700_000_001_500);
    }
}
