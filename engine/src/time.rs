//! The two clocks of the engine, as values.
//!
//! WeChat and the store speak Unix time, which may step; deadlines, leases and retention are measured
//! on a clock that only goes forward and that all workers of one process share. Both come in with every
//! input; nothing in this crate reads a clock.

/// The present, on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since 1970-01-01 UTC; may step in either direction.
    pub unix_ms: u64,
    /// Milliseconds since an origin shared by all workers of the process; never goes back.
    pub mono_ms: u64,
}

impl Now {
    /// Whole Unix seconds, as WeChat writes time.
    #[must_use]
    pub fn unix_s(self) -> u64 {
        self.unix_ms / 1000
    }
}

/// `unix_s` as RFC 3339 in UTC, `2024-04-26T06:20:45Z`. Years past 9999 are clamped to the last second of 9999.
#[must_use]
pub fn rfc3339(unix_s: u64) -> String {
    const END_OF_9999: u64 = 253_402_300_799;
    let t = unix_s.min(END_OF_9999);
    let (days, secs) = (t / 86_400, t % 86_400);
    // Civil date from a day count, in years that start in March so that leap days come last
    // (Howard Hinnant, "chrono-compatible low-level date algorithms", days_from_civil inverted).
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    // By hand: this runs at every push, and the formatter takes ten times as long.
    let mut out = *b"0000-00-00T00:00:00Z";
    for (at, number) in [
        (0, year / 100),
        (2, year % 100),
        (5, month),
        (8, day),
        (11, secs / 3600),
        (14, secs / 60 % 60),
        (17, secs % 60),
    ] {
        if let Some([tens, ones, ..]) = out.get_mut(at..) {
            // Of two digits each.
            *tens += (number / 10) as u8;
            *ones += (number % 10) as u8;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn unix_seconds_become_the_civil_date() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_714_112_445, "2024-04-26T06:20:45Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(unix), text);
        }
    }
}
