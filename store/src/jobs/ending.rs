//! What becomes of a job whose run is over: decided by why it is.

use std::time::Duration;

use weir_errands::errcodes::{self, Then};
use weir_errands::pace::Stop;

use super::schedule::next_quota_ms;

/// Rests in a row because of trouble that passes, where nobody says more.
pub(super) const TROUBLES: i64 = 5;
/// The first of those; each is twice as long as the one before.
const REST: Duration = Duration::from_secs(60);
/// Rests in a row because of a used-up quota: a month of them.
const QUOTAS: i64 = 30;
/// So much after midnight the first begins at the latest, so that not all do at once.
const AFTER_MIDNIGHT: Duration = Duration::from_secs(600);

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is complete.
    Done,
    /// Somebody ended it.
    Stopped,
    /// It ended before it was complete.
    Failed {
        /// WeChat's.
        errcode: Option<i64>,
        /// In words.
        why: String,
    },
    /// It goes on then.
    Rest {
        /// Unix milliseconds.
        until_ms: i64,
        /// WeChat's.
        errcode: Option<i64>,
        /// In words.
        why: String,
    },
    /// This store goes: another goes on at once.
    Left,
    /// Another store has it.
    Lost,
}

/// How a run ended.
#[derive(Debug)]
pub(super) struct Over {
    /// Why it ended before its work did.
    pub(super) stop: Option<Stop>,
    /// Somebody wanted it to.
    pub(super) is_stopped: bool,
    /// How often in a row it has rested.
    pub(super) tries: i64,
    /// How often in a row it may rest because of trouble that passes.
    pub(super) troubles: i64,
    /// Unix milliseconds.
    pub(super) now_ms: i64,
    /// 0 to 1.
    pub(super) chance: f64,
}

/// Decides.
pub(super) fn ending(over: Over) -> Ending {
    let later_ms = |time: Duration| {
        let jittered = time.mul_f64(1.0 + over.chance / 4.0);
        over.now_ms + i64::try_from(jittered.as_millis()).unwrap_or(i64::MAX / 2)
    };
    match over.stop {
        None => Ending::Done,
        Some(Stop::Interrupted) if over.is_stopped => Ending::Stopped,
        Some(Stop::Interrupted) => Ending::Left,
        Some(Stop::NotKept(_)) => Ending::Lost,
        Some(Stop::Useless { errcode, why }) if errcode == Some(errcodes::QUOTA) => {
            if over.tries >= QUOTAS {
                return Ending::Failed { errcode, why };
            }
            let after_ms = AFTER_MIDNIGHT.mul_f64(over.chance).as_millis();
            let after_ms = i64::try_from(after_ms).unwrap_or(0);
            Ending::Rest {
                until_ms: next_quota_ms(over.now_ms) + after_ms,
                errcode,
                why,
            }
        }
        Some(Stop::Useless { errcode, why }) => {
            let passes = errcode.is_none_or(|errcode| {
                matches!(
                    errcodes::meaning(errcode).then,
                    Then::Busy | Then::NextMinute
                )
            });
            if !passes || over.tries >= over.troubles {
                return Ending::Failed { errcode, why };
            }
            let doublings = u32::try_from(over.tries).unwrap_or(0);
            Ending::Rest {
                until_ms: later_ms(REST * 2_u32.pow(doublings.min(6))),
                errcode,
                why,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_714_113_000_000;

    fn ended(stop: Option<Stop>, tries: i64) -> Ending {
        ending(Over {
            stop,
            is_stopped: false,
            tries,
            troubles: TROUBLES,
            now_ms: NOW_MS,
            chance: 0.0,
        })
    }

    fn useless(errcode: Option<i64>) -> Option<Stop> {
        let why = "why".to_owned();
        Some(Stop::Useless { errcode, why })
    }

    #[test]
    fn a_used_up_quota_is_waited_for_until_midnight_in_beijing_and_not_for_ever() {
        let Ending::Rest {
            until_ms, errcode, ..
        } = ended(useless(Some(45009)), 0)
        else {
            panic!("it does not rest");
        };
        assert_eq!((until_ms, errcode), (next_quota_ms(NOW_MS), Some(45009)));
        let last = ended(useless(Some(45009)), QUOTAS);
        assert!(matches!(last, Ending::Failed { .. }), "{last:?}");
    }

    #[test]
    fn trouble_that_passes_is_waited_for_longer_and_longer_and_five_times() {
        let rests = |tries| match ended(useless(None), tries) {
            Ending::Rest { until_ms, .. } => Some((until_ms - NOW_MS) / 1000),
            _ => None,
        };
        assert_eq!(
            (0..6).map(rests).collect::<Vec<_>>(),
            [60, 120, 240, 480, 960]
                .map(Some)
                .into_iter()
                .chain([None])
                .collect::<Vec<_>>()
        );
        assert!(matches!(ended(useless(Some(-1)), 0), Ending::Rest { .. }));
        assert!(matches!(
            ended(useless(Some(48001)), 0),
            Ending::Failed { .. }
        ));
    }

    #[test]
    fn who_is_interrupted_leaves_it_to_others_unless_somebody_ended_it() {
        assert_eq!(ended(None, 0), Ending::Done);
        assert_eq!(ended(Some(Stop::Interrupted), 0), Ending::Left);
        let over = Over {
            stop: Some(Stop::Interrupted),
            is_stopped: true,
            tries: 0,
            troubles: TROUBLES,
            now_ms: NOW_MS,
            chance: 0.0,
        };
        assert_eq!(ending(over), Ending::Stopped);
        assert_eq!(
            ended(Some(Stop::NotKept("lost".to_owned())), 0),
            Ending::Lost
        );
    }
}
