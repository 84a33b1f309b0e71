//! Syncs by the clock: `demo=24h`, `demo=03:30`.
//!
//! With a duration a sync is asked for when so much time has passed since the last one was. With a time of day, which is
//! Beijing's as WeChat's quotas are, it is asked for once a day, up to an hour late if no store was there. The wish is a row of
//! the database like any other, so several stores with the same configuration ask once.

use std::str::FromStr;
use std::time::Duration;

/// Beijing's time, which has no summer. WeChat's day begins at its midnight.
const BEIJING_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 24 * 3_600_000;
/// How late a time of day may be.
const LATE_MS: i64 = 3_600_000;
/// At most so much later than asked for, so that not all accounts begin at once.
const JITTER: Duration = Duration::from_secs(300);

/// A sync that the configuration asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Whose.
    pub account: String,
    /// When.
    pub when: When,
}

/// When a sync is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// So long after the last was.
    Every(Duration),
    /// At this minute of Beijing's day.
    At {
        /// From 0 to 1439.
        minute: u32,
    },
}

impl FromStr for Timer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "ACCOUNT=24h, ACCOUNT=90m or ACCOUNT=03:30 (Beijing time)".to_owned();
        let (account, when) = text.split_once('=').ok_or_else(wrong)?;
        if !super::is_account(account) {
            return Err("an account's name has 1 to 32 of a-z, 0-9, _ and -".to_owned());
        }
        let number = |text: &str| text.parse::<u32>().ok();
        let when = if let Some((hour, minute)) = when.split_once(':') {
            let hour = number(hour).filter(|hour| *hour < 24).ok_or_else(wrong)?;
            let minute = number(minute).filter(|minute| *minute < 60);
            When::At {
                minute: hour * 60 + minute.ok_or_else(wrong)?,
            }
        } else {
            let hours = when.strip_suffix('h').and_then(number);
            let minutes = when.strip_suffix('m').and_then(number);
            let minutes = hours
                .map(|hours| u64::from(hours) * 60)
                .or(minutes.map(u64::from));
            let minutes = minutes.filter(|minutes| *minutes > 0).ok_or_else(wrong)?;
            When::Every(Duration::from_secs(minutes * 60))
        };
        Ok(Self {
            account: account.to_owned(),
            when,
        })
    }
}

impl When {
    /// Whether it is time, when the last sync was asked for then. Unix milliseconds.
    #[must_use]
    pub fn is_due(self, now_ms: i64, last_ms: Option<i64>) -> bool {
        match self {
            Self::Every(time) => {
                let time_ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
                last_ms.is_none_or(|last_ms| now_ms.saturating_sub(last_ms) >= time_ms)
            }
            Self::At { minute } => {
                let of_day_ms = (now_ms + BEIJING_MS).rem_euclid(DAY_MS);
                let late_ms = (of_day_ms - i64::from(minute) * 60_000).rem_euclid(DAY_MS);
                late_ms < LATE_MS && last_ms.is_none_or(|last_ms| last_ms < now_ms - late_ms)
            }
        }
    }

    /// How much later it begins: up to five minutes, and no more than a twentieth of the time between two. `chance`: 0 to 1.
    #[must_use]
    pub fn jitter(self, chance: f64) -> Duration {
        let most = match self {
            Self::Every(time) => JITTER.min(time / 20),
            Self::At { .. } => JITTER,
        };
        most.mul_f64(chance.clamp(0.0, 1.0))
    }
}

/// The next midnight in Beijing, when WeChat counts from 0 again. Unix milliseconds.
#[must_use]
pub fn next_quota_ms(now_ms: i64) -> i64 {
    now_ms - (now_ms + BEIJING_MS).rem_euclid(DAY_MS) + DAY_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-04-26T06:30:00Z: 14:30 in Beijing.
    const NOW_MS: i64 = 1_714_113_000_000;

    #[test]
    fn a_timer_is_an_account_and_a_duration_or_a_time_of_day() {
        let when = |text: &str| text.parse::<Timer>().map(|timer| timer.when);
        assert_eq!(
            when("demo=24h"),
            Ok(When::Every(Duration::from_secs(86_400)))
        );
        assert_eq!(
            when("demo=90m"),
            Ok(When::Every(Duration::from_secs(5_400)))
        );
        assert_eq!(when("demo=03:30"), Ok(When::At { minute: 210 }));
        for wrong in [
            "",
            "demo",
            "demo=",
            "demo=0h",
            "demo=24",
            "demo=24:00",
            "demo=1:60",
            "De mo=1h",
            "=1h",
            "demo=-1h",
        ] {
            assert!(when(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_duration_counts_from_the_last_sync() {
        let every = When::Every(Duration::from_secs(3_600));
        assert!(every.is_due(NOW_MS, None));
        assert!(!every.is_due(NOW_MS, Some(NOW_MS - 3_599_999)));
        assert!(every.is_due(NOW_MS, Some(NOW_MS - 3_600_000)));
        assert_eq!(every.jitter(1.0), Duration::from_secs(180));
    }

    #[test]
    fn a_time_of_day_is_beijings_once_a_day_and_up_to_an_hour_late() {
        let at = When::At {
            minute: 14 * 60 + 30,
        };
        assert!(at.is_due(NOW_MS, None));
        assert!(!at.is_due(NOW_MS - 1, None));
        assert!(at.is_due(NOW_MS + 3_599_999, Some(NOW_MS - 1)));
        assert!(!at.is_due(NOW_MS + 3_599_999, Some(NOW_MS)));
        assert!(!at.is_due(NOW_MS + 3_600_000, None));
        assert!(at.is_due(NOW_MS + DAY_MS, Some(NOW_MS)));
        // Midnight is no edge.
        let late = When::At {
            minute: 23 * 60 + 59,
        };
        let midnight_ms = next_quota_ms(NOW_MS);
        assert!(late.is_due(midnight_ms + 60_000, Some(midnight_ms - 60_001)));
        assert!(!late.is_due(midnight_ms + 60_000, Some(midnight_ms - 60_000)));
    }

    #[test]
    fn quotas_begin_anew_at_midnight_in_beijing() {
        assert_eq!(next_quota_ms(NOW_MS) - NOW_MS, (9 * 60 + 30) * 60_000);
        let midnight_ms = next_quota_ms(NOW_MS);
        assert_eq!(next_quota_ms(midnight_ms), midnight_ms + DAY_MS);
        assert_eq!(next_quota_ms(midnight_ms - 1), midnight_ms);
    }
}
