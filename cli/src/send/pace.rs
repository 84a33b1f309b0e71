//! When the next call may be made: so many a second, none while WeChat or the door have had enough, none after the run was
//! stopped.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Why a run ends before its list does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// Somebody wants it to.
    Interrupted,
    /// No message would be sent; why.
    Useless { errcode: Option<i64>, why: String },
    /// The journal takes no more.
    NoJournal,
}

/// Shared by all that send.
pub(super) struct Pace {
    /// Between two calls.
    interval: Duration,
    times: Mutex<Times>,
    stop: watch::Sender<Option<Stop>>,
}

#[derive(Debug, Clone, Copy)]
struct Times {
    /// When the next call may be made.
    next: Instant,
    /// Before this, none may.
    paused_until: Instant,
}

impl Pace {
    pub(super) fn new(per_second: f64) -> Self {
        let now = Instant::now();
        Self {
            interval: Duration::try_from_secs_f64(1.0 / per_second).unwrap_or(Duration::MAX),
            times: Mutex::new(Times {
                next: now,
                paused_until: now,
            }),
            stop: watch::Sender::new(None),
        }
    }

    /// Waits until a call may be made. `false`: none may any more.
    pub(super) async fn turn(&self) -> bool {
        loop {
            let due = self.take();
            if !self.wait_until(due).await {
                return false;
            }
            // A pause that began meanwhile takes the turn away: after it, turns are as far apart as ever.
            let paused_until = self.times().paused_until;
            if paused_until <= Instant::now() {
                return true;
            }
            if !self.wait_until(paused_until).await {
                return false;
            }
        }
    }

    /// Waits. `false`: the run was stopped before the time was over.
    pub(super) async fn wait(&self, time: Duration) -> bool {
        self.wait_until(Instant::now() + time).await
    }

    /// No turns for a while.
    pub(super) fn pause(&self, time: Duration) {
        let mut times = self.times();
        times.paused_until = times.paused_until.max(Instant::now() + time);
    }

    /// No turns any more. The first reason counts.
    pub(super) fn stop(&self, why: Stop) {
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            if first {
                *stop = Some(why);
            }
            first
        });
    }

    /// Why there are no turns any more.
    pub(super) fn stopped(&self) -> Option<Stop> {
        self.stop.borrow().clone()
    }

    fn take(&self) -> Instant {
        let mut times = self.times();
        let due = times.next.max(Instant::now());
        times.next = due.checked_add(self.interval).unwrap_or(due);
        due
    }

    async fn wait_until(&self, due: Instant) -> bool {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            biased;
            _ = stop.wait_for(Option::is_some) => false,
            () = tokio::time::sleep_until(due) => true,
        }
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().expect("nobody panics while holding it")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn after(pace: &Pace, begun: Instant) -> u128 {
        assert!(pace.turn().await);
        begun.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn turns_are_apart_and_what_was_not_used_is_not_made_up_for() {
        let (pace, begun) = (Pace::new(10.0), Instant::now());
        assert_eq!(after(&pace, begun).await, 0);
        assert_eq!(after(&pace, begun).await, 100);
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(after(&pace, begun).await, 5_100);
        assert_eq!(after(&pace, begun).await, 5_200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_those_who_wait_and_they_come_out_apart() {
        let (pace, begun) = (Arc::new(Pace::new(10.0)), Instant::now());
        assert_eq!(after(&pace, begun).await, 0);
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                tokio::spawn({
                    let pace = pace.clone();
                    async move { after(&pace, begun).await }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        pace.pause(Duration::from_secs(60));
        let mut times = Vec::new();
        for turn in waiting {
            times.push(turn.await.unwrap());
        }
        times.sort_unstable();
        assert!(times[0] >= 60_000, "{times:?}");
        assert!(
            times.windows(2).all(|pair| pair[1] - pair[0] >= 99),
            "{times:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_run_that_was_stopped() {
        let pace = Pace::new(0.001);
        assert!(pace.turn().await);
        pace.stop(Stop::Interrupted);
        pace.stop(Stop::NoJournal);
        assert!(!pace.turn().await);
        assert_eq!(pace.stopped(), Some(Stop::Interrupted));
    }
}
