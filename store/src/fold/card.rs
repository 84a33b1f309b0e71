//! One card of one user, from what was pushed and answered about it, in any order.
//!
//! | what | how facts change it |
//! |---|---|
//! | who has it, its state, how it was taken, its last use, where it goes | each by the newest that tells it |
//! | WeChat's own word on it: form, bonus, balance, status | the newest answer, as a whole |
//! | changes of bonus and balance | a set: those that are newer than that answer |
//! | when it was first seen, and first known to be active | the earliest |
//! | when its form was handed in, when it was looked at | the latest |
//! | until when what is personal is not kept | the latest |
//!
//! Maxima, minima and a set cut by a maximum: applying a fact again, or two facts the other way round, changes nothing.
//!
//! # Erasure
//! What is personal and of before is gone, and stays away in whatever order it arrives: the form, names, how the card was
//! taken, where it goes, what its user did with it. Of WeChat's later words nothing personal is kept either, until the user takes the
//! card again or hands in a form. Who has it, its state, bonus and balance stay: the card is still good.
//!
//! # Bounds
//! [`CHANGES`] changes are remembered. A card that changed more often since WeChat's last word has a bonus that is not known.

use serde::{Deserialize, Serialize};
use weir_store_api::read::{CardState, FormFields};

use super::Clock;

/// Changes of bonus and balance that are remembered: the newest.
pub const CHANGES: usize = 32;

/// What became known of a card.
#[derive(Debug, Clone, PartialEq)]
pub enum CardChange {
    /// It was taken.
    Taken(Taking),
    /// A friend took it, under this code.
    TakenByFriend(Giving),
    /// Its user gives it away.
    Offered(Giving),
    /// Nobody took it: it is its user's again.
    Returned,
    /// Its user deleted it.
    Deleted,
    /// It was used.
    Used {
        /// By what: `FROM_API` …
        by: Option<String>,
    },
    /// Its user looked at it.
    Viewed,
    /// Its bonus or balance changed by so much.
    Changed {
        /// Points.
        bonus: i64,
        /// Fen.
        balance: i64,
    },
    /// Its form was filled in.
    Submitted,
    /// What WeChat's API said of it.
    Told(Box<Told>),
}

impl CardChange {
    /// Whether only WeChat's API can tell the rest.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        match self {
            Self::Submitted | Self::Changed { .. } => true,
            Self::Taken(taking) => taking.restored,
            _ => false,
        }
    }
}

/// How a card was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taking {
    /// The friend who gave it, where one did.
    pub friend: Option<String>,
    /// Its code at that friend.
    pub old_code: Option<String>,
    /// The channel it was handed out by.
    pub channel: Option<String>,
    /// Where it was taken: `SOURCE_SCENE_…`.
    pub scene: Option<String>,
    /// It had been deleted, and was got back.
    pub restored: bool,
}

/// To whom a card goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Giving {
    /// The openid; `None`: a group, or not told.
    pub openid: Option<String>,
    /// The code that it has there, where it is known.
    pub code: Option<String>,
}

/// WeChat's word on a card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// The member's number.
    pub membership_number: Option<String>,
    /// What the member is called.
    pub nickname: Option<String>,
    /// `MALE`, `FEMALE` …
    pub sex: Option<String>,
    /// Points.
    pub bonus: Option<i64>,
    /// Fen.
    pub balance: Option<i64>,
    /// `NORMAL`, `EXPIRE` … An open list.
    pub status: Option<String>,
    /// Whether it is active.
    pub active: Option<bool>,
    /// WeChat's fields of the form, without `USER_FORM_INFO_FLAG_`, in lower case.
    pub common: FormFields,
    /// The account's own fields of the form.
    pub custom: FormFields,
}

impl Told {
    /// Forgets what its user told of themselves.
    fn erase(&mut self) {
        *self = Self {
            bonus: self.bonus,
            balance: self.balance,
            status: self.status.take(),
            active: self.active,
            ..Self::default()
        };
    }
}

/// What is known of a card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Card {
    /// Unix seconds.
    first_seen: Option<i64>,
    holder: Option<(Clock, String)>,
    state: Option<(Clock, CardState)>,
    taking: Option<(Clock, Taking)>,
    giving: Option<(Clock, Giving)>,
    used: Option<(Clock, Option<String>)>,
    told: Option<(Clock, Told)>,
    /// In their order.
    changes: Vec<(Clock, i64, i64)>,
    /// Unix seconds.
    submitted: Option<i64>,
    activated: Option<i64>,
    viewed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    erased: Option<i64>,
}

/// Keeps the newer of two.
fn newer<T>(slot: &mut Option<(Clock, T)>, at: Clock, value: T) {
    if slot.as_ref().is_none_or(|(known, _)| *known < at) {
        *slot = Some((at, value));
    }
}

fn later(slot: &mut Option<i64>, second: i64) {
    *slot = (*slot).max(Some(second));
}

fn earlier(slot: &mut Option<i64>, second: i64) {
    *slot = Some(slot.map_or(second, |known| known.min(second)));
}

impl Card {
    /// Takes in one fact. To be called once per event, which names the holder or not.
    pub fn apply(&mut self, at: Clock, holder: Option<&str>, change: &CardChange) {
        earlier(&mut self.first_seen, at.second());
        if let Some(holder) = holder {
            newer(&mut self.holder, at, holder.to_owned());
        }
        if self.erased.is_none_or(|erased| erased < at.second()) {
            self.note(at, change);
        }
        let state = match change {
            CardChange::Taken(_) | CardChange::Returned => Some(CardState::Held),
            CardChange::TakenByFriend(_) => Some(CardState::Given),
            CardChange::Offered(_) => Some(CardState::Offered),
            CardChange::Deleted => Some(CardState::Deleted),
            CardChange::Used { .. } | CardChange::Viewed | CardChange::Submitted => None,
            CardChange::Changed { bonus, balance } => {
                self.change(at, *bonus, *balance);
                None
            }
            CardChange::Told(told) => {
                if told.active == Some(true) {
                    earlier(&mut self.activated, at.second());
                }
                let mut said = (**told).clone();
                if self.is_impersonal() {
                    said.erase();
                }
                newer(&mut self.told, at, said);
                told.status.as_deref().and_then(state_of)
            }
        };
        if let Some(state) = state {
            newer(&mut self.state, at, state);
        }
        // What WeChat said includes what had changed before.
        let told = self.told.as_ref().map(|(at, _)| *at);
        self.changes
            .retain(|(at, ..)| told.is_none_or(|told| told < *at));
    }

    /// Takes in what of a fact is personal.
    fn note(&mut self, at: Clock, change: &CardChange) {
        match change {
            CardChange::Taken(taking) => newer(&mut self.taking, at, taking.clone()),
            CardChange::TakenByFriend(giving) | CardChange::Offered(giving) => {
                newer(&mut self.giving, at, giving.clone());
            }
            CardChange::Returned => newer(&mut self.giving, at, Giving::default()),
            CardChange::Used { by } => newer(&mut self.used, at, by.clone()),
            CardChange::Viewed => later(&mut self.viewed, at.second()),
            CardChange::Submitted => later(&mut self.submitted, at.second()),
            CardChange::Deleted | CardChange::Changed { .. } | CardChange::Told(_) => {}
        }
    }

    /// Forgets what is personal and was told up to this Unix second.
    pub fn erase(&mut self, second: i64) {
        later(&mut self.erased, second);
        let is_gone = |at: Clock| at.second() <= second;
        self.taking.take_if(|(at, _)| is_gone(*at));
        self.giving.take_if(|(at, _)| is_gone(*at));
        self.used.take_if(|(at, _)| is_gone(*at));
        self.viewed.take_if(|at| *at <= second);
        self.submitted.take_if(|at| *at <= second);
        let is_impersonal = self.is_impersonal();
        if let Some((at, told)) = &mut self.told
            && (is_impersonal || is_gone(*at))
        {
            told.erase();
        }
    }

    /// Whether what its user told of themselves is not to be kept: it was erased, and they have told nothing since.
    #[must_use]
    pub fn is_impersonal(&self) -> bool {
        let taken = self.taking.as_ref().map(|(at, _)| at.second());
        self.erased.is_some() && self.erased >= taken.max(self.submitted)
    }

    /// One more than is remembered is kept, to know whether there are more.
    fn change(&mut self, at: Clock, bonus: i64, balance: i64) {
        if let Err(place) = self.changes.binary_search_by_key(&at, |(at, ..)| *at) {
            self.changes.insert(place, (at, bonus, balance));
        }
        let beyond = self.changes.len().saturating_sub(CHANGES + 1);
        self.changes.drain(..beyond);
    }

    /// Who has it, or had it last.
    #[must_use]
    pub fn holder(&self) -> Option<&str> {
        self.holder.as_ref().map(|(_, openid)| openid.as_str())
    }

    /// Where it is.
    #[must_use]
    pub fn state(&self) -> CardState {
        self.state.map_or(CardState::Unknown, |(_, state)| state)
    }

    /// How it was taken last.
    #[must_use]
    pub fn taking(&self) -> Option<(i64, &Taking)> {
        let (at, taking) = self.taking.as_ref()?;
        Some((at.second(), taking))
    }

    /// To whom it goes or went, while that is its state.
    #[must_use]
    pub fn giving(&self) -> Option<&Giving> {
        let is_going = matches!(self.state(), CardState::Offered | CardState::Given);
        let (_, giving) = self.giving.as_ref().filter(|_| is_going)?;
        Some(giving)
    }

    /// Its last use: when, and by what.
    #[must_use]
    pub fn used(&self) -> Option<(i64, Option<&str>)> {
        let (at, by) = self.used.as_ref()?;
        Some((at.second(), by.as_deref()))
    }

    /// WeChat's newest word, and when it was said in Unix milliseconds.
    #[must_use]
    pub fn told(&self) -> Option<(i64, &Told)> {
        let (at, told) = self.told.as_ref()?;
        Some((at.millisecond(), told))
    }

    /// Whether WeChat has said all about it after this.
    #[must_use]
    pub fn is_told_since(&self, at: Clock) -> bool {
        self.told.as_ref().is_some_and(|(told, _)| at < *told)
    }

    /// Points: those WeChat told of, and what was pushed since. `None`: not known.
    #[must_use]
    pub fn bonus(&self) -> Option<i64> {
        self.total(|told| told.bonus, |(_, bonus, _)| *bonus)
    }

    /// Fen, likewise.
    #[must_use]
    pub fn balance(&self) -> Option<i64> {
        self.total(|told| told.balance, |(.., balance)| *balance)
    }

    fn total(
        &self,
        told: impl Fn(&Told) -> Option<i64>,
        changed: impl Fn(&(Clock, i64, i64)) -> i64,
    ) -> Option<i64> {
        let (_, said) = self.told.as_ref()?;
        let changes = self.changes.iter().map(changed);
        let changed = changes.fold(0, i64::saturating_add);
        (self.changes.len() <= CHANGES).then_some(told(said)?.saturating_add(changed))
    }

    /// When it was first seen, Unix seconds.
    #[must_use]
    pub fn first_seen(&self) -> i64 {
        self.first_seen.unwrap_or_default()
    }

    /// When its form was handed in last, Unix seconds.
    #[must_use]
    pub fn submitted(&self) -> Option<i64> {
        self.submitted
    }

    /// When it was first known to be active, Unix seconds.
    #[must_use]
    pub fn activated(&self) -> Option<i64> {
        self.activated
    }

    /// When its user last looked at it, Unix seconds.
    #[must_use]
    pub fn viewed(&self) -> Option<i64> {
        self.viewed
    }
}

/// The state that a status of WeChat's means; `None` for one that says nothing of it, or that is not known.
fn state_of(status: &str) -> Option<CardState> {
    Some(match status {
        "NORMAL" | "GIFT_TIMEOUT" => CardState::Held,
        "GIFTING" => CardState::Offered,
        "GIFT_SUCC" => CardState::Given,
        "DELETE" => CardState::Deleted,
        "EXPIRE" => CardState::Expired,
        "UNAVAILABLE" => CardState::Unavailable,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use weir_store_api::read::FormValue;

    use super::*;

    fn at(second: i64) -> Clock {
        Clock::new(second, second * 1000, "/accounts/demo", &second.to_string())
    }

    fn told(bonus: i64) -> CardChange {
        CardChange::Told(Box::new(Told {
            bonus: Some(bonus),
            balance: Some(0),
            ..Told::default()
        }))
    }

    fn changed(bonus: i64) -> CardChange {
        CardChange::Changed { bonus, balance: -1 }
    }

    #[test]
    fn what_changed_before_wechats_word_is_in_it_and_what_changed_later_is_added() {
        let mut card = Card::default();
        card.apply(at(1), None, &changed(5));
        assert_eq!(card.bonus(), None);
        card.apply(at(3), None, &changed(7));
        card.apply(at(2), None, &told(100));
        card.apply(at(1), None, &changed(5));
        assert_eq!((card.bonus(), card.balance()), (Some(107), Some(-1)));
        card.apply(at(4), None, &told(100));
        assert_eq!(card.bonus(), Some(100));
    }

    #[test]
    fn a_card_that_changed_too_often_since_has_a_bonus_that_is_not_known() {
        let most = i64::try_from(CHANGES).unwrap();
        let mut card = Card::default();
        card.apply(at(0), None, &told(0));
        for second in 1..=most {
            card.apply(at(second), None, &changed(1));
        }
        assert_eq!(card.bonus(), Some(most));
        for second in most + 1..most + 5 {
            card.apply(at(second), None, &changed(1));
            assert_eq!((card.bonus(), card.changes.len()), (None, CHANGES + 1));
        }
        card.apply(at(most + 9), None, &told(50));
        assert_eq!(card.bonus(), Some(50));
    }

    #[test]
    fn a_card_that_came_back_goes_to_nobody() {
        let offered = CardChange::Offered(Giving {
            openid: Some("oB".into()),
            code: None,
        });
        let mut card = Card::default();
        card.apply(at(2), Some("oA"), &CardChange::Returned);
        card.apply(at(1), Some("oA"), &offered);
        assert_eq!((card.state(), card.giving()), (CardState::Held, None));
        card.apply(at(3), Some("oA"), &offered);
        let to = card.giving().and_then(|giving| giving.openid.as_deref());
        assert_eq!((card.state(), to), (CardState::Offered, Some("oB")));
    }

    #[test]
    fn what_was_erased_stays_away_until_its_user_tells_it_again() {
        let form = |name: &str, bonus| {
            CardChange::Told(Box::new(Told {
                nickname: Some(name.into()),
                bonus: Some(bonus),
                common: [("mobile".to_owned(), FormValue::One("155".into()))].into(),
                ..Told::default()
            }))
        };
        let taken = CardChange::Taken(Taking {
            channel: Some("x".into()),
            ..Taking::default()
        });
        let before = [
            (1, taken.clone()),
            (2, CardChange::Submitted),
            (3, form("old", 5)),
            (4, CardChange::Viewed),
            (5, CardChange::Used { by: None }),
            (6, changed(2)),
        ];
        // The erasure comes at any place among them.
        for place in 0..=before.len() {
            let mut card = Card::default();
            for (index, (second, change)) in before.iter().enumerate() {
                if index == place {
                    card.erase(6);
                }
                card.apply(at(*second), Some("oA"), change);
            }
            card.erase(6);
            let left = Card {
                told: Some((
                    at(3),
                    Told {
                        bonus: Some(5),
                        ..Told::default()
                    },
                )),
                changes: vec![(at(6), 2, -1)],
                erased: Some(6),
                first_seen: Some(1),
                holder: Some((at(6), "oA".into())),
                state: Some((at(1), CardState::Held)),
                ..Card::default()
            };
            assert_eq!(card, left, "{place}");

            // WeChat knows the form still; it is none that was given to us since.
            card.apply(at(9), Some("oA"), &form("old", 9));
            assert!(card.is_impersonal());
            let (_, told) = card.told().unwrap();
            assert_eq!((told.nickname.as_deref(), told.bonus), (None, Some(9)));
            for again in [&taken, &CardChange::Submitted] {
                let mut card = card.clone();
                card.apply(at(10), Some("oA"), again);
                card.apply(at(11), Some("oA"), &form("new", 9));
                let (_, told) = card.told().unwrap();
                assert_eq!(told.nickname.as_deref(), Some("new"));
                assert_eq!(told.common.len(), 1);
            }
        }
    }

    #[test]
    fn an_unknown_status_of_wechats_says_nothing_of_the_state() {
        assert_eq!(state_of("HOLOGRAM"), None);
        let mut card = Card::default();
        card.apply(at(1), Some("oA"), &CardChange::Deleted);
        let status = |status: &str| {
            CardChange::Told(Box::new(Told {
                status: Some(status.into()),
                ..Told::default()
            }))
        };
        card.apply(at(2), None, &status("HOLOGRAM"));
        assert_eq!(card.state(), CardState::Deleted);
        card.apply(at(3), None, &status("NORMAL"));
        assert_eq!(card.state(), CardState::Held);
    }
}
