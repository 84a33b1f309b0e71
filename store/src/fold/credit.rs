//! How many subscribe messages of one template may still be sent to a user, from news that arrives in any order.
//!
//! Every accept allows one message, a refusal withdraws what is left, and a message uses one up. News are taken in the
//! order in which they happened, so nothing is ever below 0 and what was used before the first accept that is known
//! costs nothing later. What shares a millisecond is taken in the one order that makes sense: refused, accepted, used.
//!
//! # When the number is certain
//! The user's own word must have been heard, an accept or a refusal: where no pushes arrive, a user who accepts again would
//! be taken for one who has not. And nothing may contradict it: if WeChat took a message where nothing was left, there is more
//! than is known of, accepts from before Weir listened or a long-term template. From there on the balance is only what there
//! is at least, until a refusal says that nothing is left.
//!
//! # One message, told twice
//! The gateway tells of a message when it is sent, and WeChat pushes how that ended. With a `msgid` the two are known to be
//! one. Where a send was answered without (`bizsend`), the sends and the pushes that no send is known of are taken
//! for each other in their order.
//!
//! # Bounds
//! Whether a template is a one-time one is not told: of a long-term one the balance means nothing until a second message was
//! taken after one accept. Gateway and WeChat have clocks of their own: a message sent within their difference of the accept may
//! count before it. WeChat's own word, 43101, withdraws what is left.

use std::collections::BTreeMap;

use super::Clock;

/// What can happen to a user's credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreditChange {
    /// The user accepted: one message more.
    Granted,
    /// The user refused.
    Withdrawn,
    /// WeChat says that nothing is left.
    NoneLeft,
    /// A message was sent, says the gateway.
    UsedBySend,
    /// A message was sent, says WeChat.
    UsedAsPushed,
}

/// One change, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditNews {
    /// When.
    pub at: Clock,
    /// Which of its event's, if that has several.
    pub place: i64,
    /// What happened.
    pub change: CreditChange,
    /// Of the message that used it, where it is known.
    pub msgid: Option<String>,
}

/// When something happened, among everything else.
type Moment = (Clock, i64);

/// What is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// How many messages are allowed.
    pub left: u64,
    /// Whether these are all: the user's word was heard, and nothing contradicts it.
    pub certain: bool,
}

/// What is left after all that is known.
#[must_use]
pub fn balance(news: &[CreditNews]) -> Balance {
    let mut steps: Vec<(Moment, CreditChange)> = news
        .iter()
        .filter(|news| !is_use(news))
        .map(|news| ((news.at, news.place), news.change))
        .collect();
    let used = |moment| (moment, CreditChange::UsedBySend);
    steps.extend(uses(news).into_iter().map(used));
    steps.sort_unstable_by_key(|(moment, change)| {
        let (at, _) = *moment;
        (at.second(), at.millisecond(), rank(*change), *moment)
    });
    let mut left = 0_u64;
    let mut is_heard = false;
    let mut is_complete = true;
    for (_, change) in steps {
        match change {
            CreditChange::Granted => (left, is_heard) = (left + 1, true),
            CreditChange::Withdrawn => (left, is_heard, is_complete) = (0, true, true),
            CreditChange::NoneLeft => (left, is_complete) = (0, true),
            CreditChange::UsedBySend | CreditChange::UsedAsPushed => {
                is_complete &= left > 0;
                left = left.saturating_sub(1);
            }
        }
    }
    Balance {
        left,
        certain: is_heard && is_complete,
    }
}

/// The order within a millisecond: what was said of the time before an accept, the user's own word, what that allowed.
fn rank(change: CreditChange) -> u8 {
    match change {
        CreditChange::NoneLeft => 0,
        CreditChange::Granted | CreditChange::Withdrawn => 1,
        CreditChange::UsedBySend | CreditChange::UsedAsPushed => 2,
    }
}

fn is_use(news: &CreditNews) -> bool {
    matches!(
        news.change,
        CreditChange::UsedBySend | CreditChange::UsedAsPushed
    )
}

/// When messages were sent, each once.
fn uses(news: &[CreditNews]) -> Vec<Moment> {
    /// A message with a name.
    struct Named {
        first: Moment,
        by_send: bool,
    }
    let mut named: BTreeMap<&str, Named> = BTreeMap::new();
    // By send and as pushed.
    let mut nameless: [Vec<Moment>; 2] = [Vec::new(), Vec::new()];
    for news in news.iter().filter(|news| is_use(news)) {
        let (moment, by_send) = (
            (news.at, news.place),
            news.change == CreditChange::UsedBySend,
        );
        match &news.msgid {
            None => nameless[usize::from(!by_send)].push(moment),
            Some(msgid) => {
                let message = named.entry(msgid).or_insert(Named {
                    first: moment,
                    by_send,
                });
                message.first = message.first.min(moment);
                message.by_send |= by_send;
            }
        }
    }
    let [mut sends, mut pushes] = nameless;
    let mut uses = Vec::new();
    for message in named.into_values() {
        if message.by_send {
            uses.push(message.first);
        } else {
            pushes.push(message.first);
        }
    }
    sends.sort_unstable();
    pushes.sort_unstable();
    let both = sends.len().min(pushes.len());
    let pairs = sends.iter().zip(&pushes);
    uses.extend(pairs.map(|(send, push)| *send.min(push)));
    uses.extend_from_slice(&sends[both..]);
    uses.extend_from_slice(&pushes[both..]);
    uses
}

#[cfg(test)]
mod tests {
    use super::CreditChange::{Granted, NoneLeft, UsedAsPushed, UsedBySend, Withdrawn};
    use super::*;

    /// What is left after changes at these seconds, with these message ids.
    fn after(changes: &[(i64, CreditChange, &str)]) -> u64 {
        whole(changes).left
    }

    fn is_certain(changes: &[(i64, CreditChange, &str)]) -> bool {
        whole(changes).certain
    }

    fn whole(changes: &[(i64, CreditChange, &str)]) -> Balance {
        let news: Vec<_> = changes
            .iter()
            .map(|(second, change, msgid)| CreditNews {
                at: Clock::new(*second, second * 1000, "s", &format!("{second}{change:?}")),
                place: 0,
                change: *change,
                msgid: Some((*msgid).to_owned()).filter(|msgid| !msgid.is_empty()),
            })
            .collect();
        balance(&news)
    }

    #[test]
    fn accepts_add_up_messages_use_them_and_a_refusal_withdraws_all() {
        assert_eq!(after(&[]), 0);
        assert_eq!(after(&[(1, Granted, ""), (2, Granted, "")]), 2);
        assert_eq!(
            after(&[(1, Granted, ""), (2, Granted, ""), (3, UsedBySend, "a")]),
            1
        );
        assert_eq!(
            after(&[(3, Withdrawn, ""), (1, Granted, ""), (4, Granted, "")]),
            1
        );
    }

    #[test]
    fn what_was_used_before_it_was_known_costs_nothing_later() {
        assert_eq!(after(&[(1, UsedBySend, "a"), (2, Granted, "")]), 1);
    }

    #[test]
    fn a_message_that_nothing_allowed_shows_that_not_all_is_known_until_wechat_says_no() {
        let grant = (1, Granted, "");
        let sends = [(2, UsedBySend, "a"), (3, UsedBySend, "b")];
        assert!(!is_certain(&[]));
        assert!(is_certain(&[grant, sends[0]]));
        assert!(!is_certain(&[grant, sends[0], sends[1]]));
        assert!(!is_certain(&[sends[0]]), "accepted before anybody listened");
        assert!(!is_certain(&[sends[0], sends[1], (4, Granted, "")]));
        assert!(is_certain(&[grant, sends[0], sends[1], (4, Withdrawn, "")]));
        assert!(is_certain(&[grant, sends[0], sends[1], (4, NoneLeft, "")]));
    }

    #[test]
    fn within_a_millisecond_a_message_is_refused_then_allowed_then_sent() {
        let story = [(1, NoneLeft, ""), (1, Granted, ""), (1, UsedBySend, "a")];
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ] {
            let told = order.map(|step| story[step]);
            assert!(is_certain(&told) && after(&told) == 0, "{order:?}");
            let unsent: Vec<_> = (told.into_iter())
                .filter(|step| step.1 != UsedBySend)
                .collect();
            assert_eq!(after(&unsent), 1, "{order:?}");
        }
    }

    #[test]
    fn what_wechat_refuses_is_certain_only_of_users_who_are_heard() {
        let none = (3, NoneLeft, "");
        assert_eq!(after(&[(1, Granted, ""), (2, Granted, ""), none]), 0);
        assert!(is_certain(&[(1, Granted, ""), none]));
        assert!(is_certain(&[(1, Withdrawn, ""), none]));
        assert!(!is_certain(&[none]), "an accept would not be heard either");
        assert!(!is_certain(&[(1, UsedBySend, "a"), none]));
    }

    #[test]
    fn a_message_that_is_told_twice_counts_once() {
        let grants = [(1, Granted, ""), (2, Granted, ""), (3, Granted, "")];
        let with = |more: &[(i64, CreditChange, &str)]| after(&[&grants, more].concat());
        assert_eq!(with(&[(5, UsedBySend, "a"), (6, UsedAsPushed, "a")]), 2);
        assert_eq!(with(&[(5, UsedBySend, "a"), (6, UsedAsPushed, "b")]), 1);
        assert_eq!(with(&[(5, UsedBySend, ""), (6, UsedAsPushed, "b")]), 2);
        assert_eq!(
            with(&[
                (5, UsedBySend, ""),
                (6, UsedAsPushed, "b"),
                (7, UsedAsPushed, "c")
            ]),
            1
        );
        assert_eq!(with(&[(5, UsedBySend, ""), (6, UsedBySend, "")]), 1);
    }

    #[test]
    fn a_message_counts_when_it_was_sent_not_when_that_was_pushed() {
        let story = [
            (1, Granted, ""),
            (5, UsedBySend, "a"),
            (6, Granted, ""),
            (7, Withdrawn, ""),
            (8, Granted, ""),
            (9, UsedAsPushed, "a"),
        ];
        assert_eq!(after(&story), 1);
    }
}
