//! How often an account may call an API: per day (Beijing time) and per minute.
//!
//! Source: WeChat's page on call limits of a new account; stable_token's own page.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;
/// Times a month that `clear_quota` works. Source: WeChat's page on it.
const CLEARED_PER_MONTH: u32 = 10;

/// A limit; `None` is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    /// Calls per day, Beijing time: over it, 45009.
    pub per_day: Option<u64>,
    /// Calls per minute: over it, 45011.
    pub per_minute: Option<u64>,
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exceeded {
    Day,
    Minute,
}

/// The limits of one account and what is used of them.
pub(super) struct Quotas {
    limits: HashMap<String, Limit>,
    used: HashMap<String, Used>,
    /// The month (30 days), and how often all was cleared in it.
    cleared: (i64, u32),
}

#[derive(Default)]
struct Used {
    day: i64,
    today: u64,
    minute: i64,
    this_minute: u64,
}

impl Default for Quotas {
    fn default() -> Self {
        let daily = |path: &str, per_day| {
            (
                path.to_owned(),
                Limit {
                    per_day: Some(per_day),
                    per_minute: None,
                },
            )
        };
        let stable = Limit {
            per_day: Some(500_000),
            per_minute: Some(10_000),
        };
        let limits = HashMap::from([
            daily("/cgi-bin/token", 2000),
            ("/cgi-bin/stable_token".to_owned(), stable),
            daily("/cgi-bin/user/info", 5_000_000),
            daily("/cgi-bin/user/get", 500),
            daily("/cgi-bin/message/custom/send", 500_000),
            daily("/cgi-bin/message/template/send", 100_000),
            daily("/cgi-bin/media/upload", 100_000),
            daily("/cgi-bin/media/get", 200_000),
            daily("/cgi-bin/menu/create", 1000),
            daily("/cgi-bin/menu/get", 10_000),
            daily("/cgi-bin/menu/delete", 1000),
        ]);
        Self {
            limits,
            used: HashMap::new(),
            cleared: (0, 0),
        }
    }
}

impl Quotas {
    /// Another limit for `path`; what was used so far is forgotten.
    pub(super) fn set(&mut self, path: &str, limit: Limit) {
        self.limits.insert(path.to_owned(), limit);
        self.used.remove(path);
    }

    /// Counts a call, unless a limit is reached. Paths without a limit are not counted.
    pub(super) fn take(&mut self, now_ms: i64, path: &str) -> Result<(), Exceeded> {
        let Some(limit) = self.limits.get(path) else {
            return Ok(());
        };
        let used = self.used.entry(path.to_owned()).or_default();
        let (day, minute) = (beijing_day(now_ms), now_ms.div_euclid(MINUTE_MS));
        if used.day != day {
            (used.day, used.today) = (day, 0);
        }
        if used.minute != minute {
            (used.minute, used.this_minute) = (minute, 0);
        }
        if limit.per_day.is_some_and(|max| used.today >= max) {
            return Err(Exceeded::Day);
        }
        if limit.per_minute.is_some_and(|max| used.this_minute >= max) {
            return Err(Exceeded::Minute);
        }
        used.today += 1;
        used.this_minute += 1;
        Ok(())
    }

    /// `clear_quota`: nothing is used any more; `false` if that was done too often.
    pub(super) fn clear(&mut self, now_ms: i64) -> bool {
        let month = beijing_day(now_ms) / 30;
        if self.cleared.0 != month {
            self.cleared = (month, 0);
        }
        if self.cleared.1 >= CLEARED_PER_MONTH {
            return false;
        }
        self.cleared.1 += 1;
        self.used.clear();
        true
    }

    /// What a day allows for `path`, and what is used of it; 0 and 0 where nothing is counted.
    pub(super) fn today(&self, now_ms: i64, path: &str) -> (u64, u64) {
        let limit = self.limits.get(path).and_then(|limit| limit.per_day);
        let used = self
            .used
            .get(path)
            .filter(|used| used.day == beijing_day(now_ms));
        (limit.unwrap_or(0), used.map_or(0, |used| used.today))
    }
}

/// The day in Beijing (UTC+8), counted from 1970.
pub(super) fn beijing_day(now_ms: i64) -> i64 {
    (now_ms + 8 * 3_600_000).div_euclid(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_until_its_day_or_minute_is_over() {
        let noon = 1_714_104_000_000;
        let mut quotas = Quotas::default();
        quotas.set(
            "/p",
            Limit {
                per_day: Some(3),
                per_minute: Some(2),
            },
        );
        assert_eq!(quotas.take(noon, "/p"), Ok(()));
        assert_eq!(quotas.take(noon, "/p"), Ok(()));
        assert_eq!(
            quotas.take(noon + MINUTE_MS - 1, "/p"),
            Err(Exceeded::Minute)
        );
        assert_eq!(quotas.take(noon + MINUTE_MS, "/p"), Ok(()));
        assert_eq!(quotas.take(noon + 2 * MINUTE_MS, "/p"), Err(Exceeded::Day));
        assert_eq!(quotas.take(noon + DAY_MS / 2, "/p"), Ok(()));
    }
}
