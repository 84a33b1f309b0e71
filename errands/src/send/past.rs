//! What earlier runs of a campaign had to do with somebody, and what the next has.

use super::fate::{Fate, Outcome};

/// How long WeChat recognises a `client_msg_id`, less what a call and a clock may be off. Source: WeChat's documentation of
/// template messages, 10 minutes.
pub const RECOGNISED_MS: i64 = 9 * 60 * 1000;

/// What is kept of somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// When the message that may have been sent left for the first time, Unix milliseconds.
    pub first_intent_ms: Option<i64>,
    /// The last result, unless there is an intent after it.
    pub fate: Option<Fate>,
}

impl Past {
    /// They are about to be sent it.
    pub fn intend(&mut self, at_ms: i64) {
        self.first_intent_ms.get_or_insert(at_ms);
        self.fate = None;
    }

    /// This became of it.
    pub fn settle(&mut self, fate: Fate) {
        if fate.outcome != Outcome::Unknown {
            self.first_intent_ms = None;
        }
        self.fate = Some(fate);
    }
}

/// What is tried again beyond what may be by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repeat {
    /// Those of whom it is not known whether they were sent it: they may get it twice.
    pub unknown: bool,
    /// Those whom WeChat refused.
    pub refused: bool,
}

/// What is to be done about somebody.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// Send it.
    Send {
        /// It may have been sent at this time already, under an id that WeChat recognises.
        since_ms: Option<i64>,
    },
    /// This is what became of it.
    Leave(Fate),
}

/// Decides by what is kept. `recognised`: WeChat knows a message that it has had.
#[must_use]
pub fn plan(past: Option<&Past>, recognised: bool, repeat: Repeat, now_ms: i64) -> Plan {
    let Some(past) = past else {
        return Plan::Send { since_ms: None };
    };
    if let Some(since_ms) = past.first_intent_ms {
        let in_time = recognised && (0..RECOGNISED_MS).contains(&(now_ms - since_ms));
        if in_time {
            let since_ms = Some(since_ms);
            return Plan::Send { since_ms };
        }
        if repeat.unknown {
            return Plan::Send { since_ms: None };
        }
        let cut = || Fate::unknown("the run ended before the answer was known", false);
        let mut fate = past.fate.clone().unwrap_or_else(cut);
        fate.retryable = false;
        return Plan::Leave(fate);
    }
    match &past.fate {
        Some(fate) if fate.outcome == Outcome::Sent => Plan::Leave(fate.clone()),
        Some(fate) if !fate.retryable && !repeat.refused => Plan::Leave(fate.clone()),
        _ => Plan::Send { since_ms: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000_000;
    const AGAIN: Plan = Plan::Send { since_ms: None };

    fn begun(ago_ms: i64) -> Past {
        let mut past = Past::default();
        past.intend(NOW - ago_ms);
        past
    }

    fn planned(past: &Past, recognised: bool) -> Plan {
        plan(Some(past), recognised, Repeat::default(), NOW)
    }

    #[test]
    fn a_message_that_may_have_left_is_sent_again_only_while_wechat_recognises_it() {
        let since_ms = Some(NOW - RECOGNISED_MS + 1);
        assert_eq!(
            planned(&begun(RECOGNISED_MS - 1), true),
            Plan::Send { since_ms }
        );
        for (ago_ms, recognised) in [(RECOGNISED_MS, true), (1, false), (-1, true)] {
            let left = planned(&begun(ago_ms), recognised);
            let Plan::Leave(fate) = left else {
                panic!("{left:?}");
            };
            assert_eq!((fate.outcome, fate.retryable), (Outcome::Unknown, false));
        }
        let repeat = Repeat {
            unknown: true,
            refused: false,
        };
        assert_eq!(plan(Some(&begun(RECOGNISED_MS)), true, repeat, NOW), AGAIN);
    }

    #[test]
    fn who_was_sent_it_is_left_alone_and_who_was_refused_is_asked_for() {
        let settled = |fate: Fate| {
            let mut past = begun(1);
            past.settle(fate);
            past
        };
        assert_eq!(plan(None, true, Repeat::default(), NOW), AGAIN);
        let all = Repeat {
            unknown: true,
            refused: true,
        };
        let sent = settled(Fate::sent(0, None));
        assert!(matches!(plan(Some(&sent), true, all, NOW), Plan::Leave(_)));
        assert_eq!(planned(&settled(Fate::postponed("the quota")), true), AGAIN);
        let refused = settled(Fate::refused("no consent"));
        assert!(matches!(planned(&refused, true), Plan::Leave(_)));
        assert_eq!(plan(Some(&refused), true, all, NOW), AGAIN);
    }
}
