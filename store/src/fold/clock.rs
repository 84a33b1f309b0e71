//! When something happened, exactly enough that any two facts have an order.

use serde::{Deserialize, Serialize};

/// A point in time with its tie-breaks; compared field by field, from the first to the last.
///
/// WeChat counts in whole seconds, so a follow and an unfollow can share one. The gateway's
/// milliseconds then tell which came first; the tie, made from the event's name, only ensures
/// that every store decides the same. All three are the event's own, so the order does not
/// depend on when or where the event was stored.
///
/// As JSON: `[second, millisecond, tie]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Clock(i64, i64, i64);

impl Clock {
    /// `second`: Unix time, of WeChat's clock where it has one; `millisecond`: Unix time of the gateway's clock.
    #[must_use]
    pub fn new(second: i64, millisecond: i64, source: &str, id: &str) -> Self {
        Self(second, millisecond, tie(source, id))
    }

    /// From its parts as a database holds them.
    pub(crate) fn from_parts(second: i64, millisecond: i64, tie: i64) -> Self {
        Self(second, millisecond, tie)
    }

    /// The last part.
    pub(crate) fn tie(self) -> i64 {
        self.2
    }

    /// The Unix time in seconds.
    #[must_use]
    pub fn second(self) -> i64 {
        self.0
    }

    /// The Unix time in milliseconds, of the gateway's clock.
    #[must_use]
    pub fn millisecond(self) -> i64 {
        self.1
    }
}

/// FNV-1a of the event's name. It is stored with the data: another function would need a migration.
fn tie(source: &str, id: &str) -> i64 {
    let bytes = source.bytes().chain([0]).chain(id.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_decide_before_milliseconds_and_milliseconds_before_names() {
        let earlier = Clock::new(100, 999_000, "/accounts/demo", "b");
        let later = Clock::new(101, 1_000, "/accounts/demo", "a");
        assert!(earlier < later);
        assert!(Clock::new(100, 1, "s", "x") < Clock::new(100, 2, "s", "a"));
        assert_ne!(Clock::new(100, 1, "s", "x"), Clock::new(100, 1, "s", "y"));
    }

    #[test]
    fn the_tie_is_the_published_function_because_it_is_stored() {
        // FNV-1a, 64 bit, of "\0a": computed with the reference algorithm.
        assert_eq!(
            Clock::new(0, 0, "", "a").2,
            0x0832_6707_b4eb_37da_u64.cast_signed()
        );
    }
}
