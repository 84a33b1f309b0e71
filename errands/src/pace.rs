//! When the next call may be made: so many a second, none while WeChat or the door have had enough, none after the run was
//! stopped; and how long to be patient with what does not work.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// Tries to reach somebody who has answered before: half a minute.
const CONNECTS: u32 = 9;
/// Tries to reach somebody who never has.
const FIRST_CONNECTS: u32 = 2;
/// Pauses in a row, after which WeChat means it.
const PAUSES: u32 = 10;
/// The first wait; each is twice as long as the one before.
const WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(8);

/// Why a run ends before its work does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// Somebody wants it to.
    Interrupted,
    /// Nothing more would come of it; why.
    Useless {
        /// WeChat's, if it was WeChat who said so.
        errcode: Option<i64>,
        /// In words.
        why: String,
    },
    /// How far it is can be kept no more; why.
    NotKept(String),
}

impl Stop {
    /// For people.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Interrupted => "interrupted".to_owned(),
            Self::NotKept(why) => why.clone(),
            Self::Useless { errcode, why } => match errcode {
                Some(errcode) => format!("{errcode}: {why}"),
                None => why.clone(),
            },
        }
    }
}

/// Shared by all who call.
#[derive(Debug)]
pub struct Pace {
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
    /// So many turns a second.
    #[must_use]
    pub fn new(per_second: f64) -> Self {
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
    pub async fn turn(&self) -> bool {
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
    pub async fn wait(&self, time: Duration) -> bool {
        self.wait_until(Instant::now() + time).await
    }

    /// No turns for a while.
    pub fn pause(&self, time: Duration) {
        let mut times = self.times();
        times.paused_until = times.paused_until.max(Instant::now() + time);
    }

    /// No turns any more. The first reason counts.
    pub fn stop(&self, why: Stop) {
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            if first {
                *stop = Some(why);
            }
            first
        });
    }

    /// Why there are no turns any more.
    #[must_use]
    pub fn stopped(&self) -> Option<Stop> {
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

/// What one call has met so far that is no reason to give up yet.
#[derive(Debug, Default)]
pub struct Patience {
    connects: u32,
    pauses: u32,
}

impl Patience {
    /// Somebody is not reached, who has answered before or not. How long to wait; `None`: no longer.
    pub fn connect(&mut self, answered: bool) -> Option<Duration> {
        self.connects += 1;
        let most = if answered { CONNECTS } else { FIRST_CONNECTS };
        (self.connects < most).then(|| backoff(self.connects))
    }

    /// There was too much of it. How long all have to pause, if it is not said how long; `None`: it is no matter of time.
    pub fn pause(&mut self, time: Option<Duration>) -> Option<Duration> {
        let time = time.unwrap_or_else(|| backoff(self.pauses));
        self.pauses += 1;
        (self.pauses < PAUSES).then(|| jittered(time))
    }
}

/// How long to wait after so many tries in a row: from 0.2 s to 8 s, and up to a quarter more.
#[must_use]
pub fn backoff(tries: u32) -> Duration {
    let wait = WAIT.saturating_mul(1 << tries.saturating_sub(1).min(16));
    jittered(wait.min(LONGEST_WAIT))
}

/// Up to a quarter more, so that not everybody comes at once.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(1.0 + fastrand::f64() / 4.0)
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
        pace.stop(Stop::NotKept("the disk is full".to_owned()));
        assert!(!pace.turn().await);
        assert_eq!(pace.stopped(), Some(Stop::Interrupted));
    }
}
