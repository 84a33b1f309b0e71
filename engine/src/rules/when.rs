//! The conditions of a rule.

use sha1::{Digest as _, Sha1};
use weir_protocol::push::Kind;

use super::index::Proven;
use super::pattern::Pattern;
use super::{Facts, FactsNeeded, Subject};

/// When a rule applies: all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct When {
    /// Any of these `MsgType`s; `*` is any message. Empty together with `events`: see [`When::is_for_messages`].
    pub messages: Vec<String>,
    /// Any of these events, in lower case; `*` is any event.
    pub events: Vec<String>,
    /// The text has one of these; empty: no matter.
    pub keywords: Vec<Keyword>,
    /// The text is like one of these; empty: no matter.
    pub patterns: Vec<Pattern>,
    /// The event's key.
    pub event_key: Option<Texts>,
    /// The scene of a followed or scanned QR code.
    pub scene: Option<Texts>,
    /// Other fields, by path, and what they must be.
    pub fields: Vec<(String, String)>,
    /// When the user did it.
    pub hours: Option<Hours>,
    /// Whether it is the user's first push.
    pub first_push: Option<bool>,
    /// A share of the users.
    pub share: Option<Share>,
}

/// A word to be found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyword {
    /// Where.
    pub anchor: Anchor,
    /// In lower case, never empty.
    pub word: String,
}

/// Where a word must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// It is the whole text.
    Exact,
    /// The text begins with it.
    Prefix,
    /// Anywhere.
    Contains,
}

/// Texts, or how they begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    /// [`Anchor::Exact`] or [`Anchor::Prefix`].
    pub anchor: Anchor,
    /// Any of these.
    pub texts: Vec<String>,
}

/// Hours of a day, perhaps of some days only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// First minute of the day.
    pub from: u32,
    /// The minute after the last; less than `from` when it is on the next day.
    pub to: u32,
    /// Bit 0 is Monday.
    pub days: u8,
    /// The clock's offset from UTC, minutes.
    pub offset: i64,
}

/// A stable share of the users, in hundredths of a percent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Shares of different names are independent.
    pub of: String,
    /// Where it begins.
    pub from: u32,
    /// Where it ends.
    pub to: u32,
}

impl When {
    /// Without a word on what kind of push it is for, a rule is for messages.
    #[must_use]
    pub fn is_for_messages(&self) -> bool {
        self.messages.is_empty()
            && self.events.is_empty()
            && self.event_key.is_none()
            && self.scene.is_none()
            && self.fields.is_empty()
    }

    /// Whether the decision hangs on what the store knows.
    #[must_use]
    pub fn asks_facts(&self) -> bool {
        self.first_push.is_some()
    }

    /// Whether all conditions hold. What the index has `proven` is not looked at again.
    pub(super) fn holds(
        &self,
        subject: &Subject<'_>,
        proven: Proven,
        facts: Option<&Facts>,
    ) -> Result<bool, FactsNeeded> {
        let push = subject.push;
        let holds = self.is_kind(subject)
            && (proven == Proven::Text || self.text_holds(subject))
            && self
                .event_key
                .as_ref()
                .is_none_or(|texts| proven == Proven::EventKey || texts.hold(push.event_key()))
            && self
                .scene
                .as_ref()
                .is_none_or(|texts| proven == Proven::Scene || texts.hold(subject.scene()))
            && self
                .fields
                .iter()
                .all(|(path, expected)| subject.field(path).unwrap_or_default() == expected)
            && self
                .hours
                .is_none_or(|hours| hours.hold(push.create_time()))
            && self
                .share
                .as_ref()
                .is_none_or(|share| share.has(push.openid()));
        match (holds, self.first_push) {
            (true, Some(first)) => Ok(facts.ok_or(FactsNeeded)?.first_push == first),
            (holds, _) => Ok(holds),
        }
    }

    fn is_kind(&self, subject: &Subject<'_>) -> bool {
        if matches!(subject.kind, Kind::Component { .. }) {
            return false;
        }
        match subject.push.event() {
            Some(event) => {
                !self.is_for_messages()
                    && (self.events.is_empty() && self.messages.is_empty()
                        || self
                            .events
                            .iter()
                            .any(|e| e == "*" || e.eq_ignore_ascii_case(event)))
            }
            None => {
                self.is_for_messages()
                    || self.events.is_empty()
                        && self.messages.is_empty()
                        && self.event_key.is_none()
                        && self.scene.is_none()
                    || self
                        .messages
                        .iter()
                        .any(|m| m == "*" || m == subject.push.msg_type())
            }
        }
    }

    fn text_holds(&self, subject: &Subject<'_>) -> bool {
        if self.keywords.is_empty() && self.patterns.is_empty() {
            return true;
        }
        let Some(text) = subject.lower() else {
            return false;
        };
        // With both, both must hold; keywords are then what the index proves.
        (self.keywords.is_empty() || self.keywords.iter().any(|keyword| keyword.is_in(text)))
            && (self.patterns.is_empty()
                || self.patterns.iter().any(|pattern| pattern.matches(text)))
    }
}

impl Keyword {
    fn is_in(&self, lower: &str) -> bool {
        match self.anchor {
            Anchor::Exact => lower == self.word,
            Anchor::Prefix => lower.starts_with(&self.word),
            Anchor::Contains => lower.contains(&self.word),
        }
    }
}

impl Texts {
    fn hold(&self, text: Option<&str>) -> bool {
        let text = text.unwrap_or_default();
        match self.anchor {
            Anchor::Prefix => self.texts.iter().any(|prefix| text.starts_with(prefix)),
            _ => self.texts.iter().any(|exact| text == exact),
        }
    }
}

impl Hours {
    fn hold(&self, unix_s: u64) -> bool {
        const MINUTES: i64 = 24 * 60;
        let minutes = i64::try_from(unix_s / 60).unwrap_or(0) + self.offset;
        // The first of January 1970 was a Thursday, day 3.
        let (mut day, minute) = (minutes.div_euclid(MINUTES) + 3, minutes.rem_euclid(MINUTES));
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        let within = if from <= to {
            (from..to).contains(&minute)
        } else if minute < to {
            day -= 1;
            true
        } else {
            minute >= from
        };
        within && self.days >> day.rem_euclid(7) & 1 == 1
    }
}

impl Share {
    fn has(&self, openid: &str) -> bool {
        let digest = Sha1::new()
            .chain_update(self.of.as_bytes())
            .chain_update([0])
            .chain_update(openid.as_bytes())
            .finalize();
        (self.from..self.to).contains(&(super::answer::number(&digest) % 10_000))
    }
}

#[cfg(test)]
mod tests {
    use super::{Hours, Share};

    #[test]
    fn hours_are_of_the_evening_they_began_in() {
        let hours = |from: u32, to: u32, days| Hours {
            from: from * 60,
            to: to * 60,
            days,
            offset: 480,
        };
        let check = |hours: Hours, utc: u64, expected| {
            assert_eq!(hours.hold(utc), expected, "{hours:?} {utc}");
        };
        // Friday, the 1st of November 2024, 01:00 in Beijing.
        let friday = 1_730_394_000;
        let every_day = 0b111_1111;
        check(hours(1, 2, every_day), friday, true);
        check(hours(0, 1, every_day), friday, false);
        check(hours(2, 24, every_day), friday, false);
        check(hours(22, 2, every_day), friday, true);
        check(hours(22, 2, 1 << 4), friday, false);
        check(hours(22, 2, 1 << 3), friday, true);
        check(hours(22, 2, 1 << 4), friday + 22 * 3600, true);
        check(hours(1, 2, 1 << 4), friday, true);
        check(hours(5, 5, every_day), friday, false);
        check(hours(0, 24, 1 << 4), friday, true);
    }

    #[test]
    fn a_share_is_about_as_large_as_it_says_and_shares_are_disjoint() {
        let share = |of: &str, from, to| Share {
            of: of.to_owned(),
            from,
            to,
        };
        let count = |share: &Share| (0..10_000).filter(|n| share.has(&format!("o{n}"))).count();
        let (low, high) = (share("a", 0, 3_000), share("a", 3_000, 10_000));
        assert!((2_700..3_300).contains(&count(&low)));
        assert_eq!(count(&low) + count(&high), 10_000);
        let both =
            |n: &u32| low.has(&format!("o{n}")) && share("b", 0, 3_000).has(&format!("o{n}"));
        assert!((700..1_100).contains(&(0..10_000).filter(both).count()));
        assert_eq!(count(&share("a", 0, 0)), 0);
        assert_eq!(count(&share("a", 0, 10_000)), 10_000);
    }
}
