//! Pauses that grow and are jittered, so that callers of a service that recovers do not come all at once.

/// Doubling pauses between two bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// After the first failure, milliseconds.
    pub(crate) first_ms: u64,
    /// The longest, milliseconds.
    pub(crate) most_ms: u64,
}

impl Backoff {
    /// The pause after the `failures`th failure in a row: between half and all of the doubled value.
    pub(crate) fn pause_ms(self, failures: u32, random: u32) -> u64 {
        let doublings = failures.saturating_sub(1).min(20);
        let whole = (self.first_ms << doublings).min(self.most_ms);
        let half = whole / 2;
        half + u64::from(random) % (whole - half + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;

    #[test]
    fn pauses_double_up_to_the_bound_and_keep_at_least_half() {
        let backoff = Backoff {
            first_ms: 100,
            most_ms: 1_000,
        };
        for (failures, whole) in [
            (0, 100),
            (1, 100),
            (2, 200),
            (3, 400),
            (4, 800),
            (5, 1_000),
            (99, 1_000),
        ] {
            for random in [0, 1, 12_345, u32::MAX] {
                let pause = backoff.pause_ms(failures, random);
                assert!(
                    (whole / 2..=whole).contains(&pause),
                    "{failures} {random}: {pause}"
                );
            }
        }
    }
}
