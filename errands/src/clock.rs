//! The machine's clock, as events and journals write it.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Unix milliseconds.
#[must_use]
pub fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// The second of `unix_ms` as RFC 3339 in UTC, `2024-04-26T06:20:45Z`. What is no date is the beginning of 1970.
#[must_use]
pub fn rfc3339(unix_ms: i64) -> String {
    let second = OffsetDateTime::from_unix_timestamp(unix_ms.div_euclid(1000));
    let text = second.ok().and_then(|second| second.format(&Rfc3339).ok());
    text.unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

/// `unix_ms` as RFC 3339 in UTC, to the millisecond: `2024-04-26T06:20:45.999Z`. What is no date is the beginning of 1970.
#[must_use]
pub fn rfc3339_ms(unix_ms: i64) -> String {
    let second = rfc3339(unix_ms);
    let millisecond = unix_ms.rem_euclid(1000);
    format!("{}.{millisecond:03}Z", second.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_its_second() {
        assert_eq!(rfc3339(1_714_112_445_999), "2024-04-26T06:20:45Z");
        assert_eq!(rfc3339(i64::MAX), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339_ms(1_714_112_445_009), "2024-04-26T06:20:45.009Z");
    }
}
