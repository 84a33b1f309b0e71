//! One person: the identities that accounts and apps know somebody by, held together by unionids, from facts in any order.
//!
//! # Words
//! An *identity* is an openid at an account: an Official Account and a Mini Program know one and the same person by two of
//! them. A *unionid* is the person's name at an Open Platform account, the same for all accounts and apps bound to it; WeChat
//! tells it now and then, with a profile or at a login. A *person* is all identities that unionids hold together, directly
//! or by way of others.
//!
//! # States
//! Of an [`Identity`] this is kept:
//!
//! | what | how facts change it |
//! |---|---|
//! | when it was first seen | the earliest |
//! | the unionids that it was told to have, and since when | a set, each with its earliest time |
//! | whether it follows its account | [`crate::fold::Evidence`]: the newest of each kind |
//! | when it logged in to a Mini Program | the earliest and the latest |
//!
//! A minimum, a maximum, a set: applying a fact again, or two facts the other way round, changes nothing. Of people nothing
//! is kept at all. [`Person::of`] computes one, with its history, when it is asked for: what is not stored cannot be out of
//! step with what it is made of.
//!
//! # Numbers
//! Every identity has a number of its own for good, its *uid*, above 0. The person's uid is that of the identity that was seen
//! first; those of the others *point* to it. So a uid that an application has kept finds the person for ever, whatever is found
//! out about them later.
//!
//! # History
//! What unionids told is gone through in the order in which it was told, not in which it arrived. Each time two people
//! turn out to be one, the one that was seen later is merged into the other: a [`Merge`]. Merges are not undone: nothing that
//! WeChat says ever parts people.
//!
//! # Pending
//! Who follows an account and has never logged in to a Mini Program is *pending*: there is a follower, and no app user for
//! them. The login that brings the same unionid ends that, whichever of the two comes first.
//!
//! # Invariants
//! 1. The same facts give the same people, pointers and history, in whatever order, batches and repetition they arrive.
//!    (Which number an identity has depends on the order of storage. Nothing else depends on the number.)
//! 2. People only grow: two uids that have once found one person find one person ever after.
//! 3. An identity belongs to one person, whom each of the person's uids finds.
//! 4. A person of n identities has n - 1 merges, and following them leads from each uid to the person's.
//!
//! # Bounds
//! Somebody who was told two unionids (the account moved to another Open Platform account) is one person under both. Where
//! facts from before arrive late, an identity may turn out to have been seen before the one that gave the uid; the person's uid is
//! then the other one, and the first points to it.
//!
//! # Out of scope
//! Phone numbers: a family has one. Guests, who are nobody's identity yet, have numbers below 0 elsewhere.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::fold::Clock;

/// Somebody, as one account knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its number, above 0.
    pub uid: i64,
    /// The account's name.
    pub account: String,
    /// The openid.
    pub openid: String,
    /// When it was first seen, Unix seconds.
    pub first_seen: i64,
    /// The unionids that it was told to have, and the earliest time of each.
    pub unionids: BTreeMap<String, Clock>,
    /// Whether it follows its account now.
    pub follows: bool,
    /// When it logged in to a Mini Program.
    pub logins: Option<Logins>,
}

/// When an identity logged in; Unix seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logins {
    /// For the first time.
    pub first: i64,
    /// For the last time.
    pub last: i64,
}

impl Identity {
    /// One of whom nothing is known but that it was seen.
    #[must_use]
    pub fn new(uid: i64, account: &str, openid: &str, second: i64) -> Self {
        Self {
            uid,
            account: account.to_owned(),
            openid: openid.to_owned(),
            first_seen: second,
            unionids: BTreeMap::new(),
            follows: false,
            logins: None,
        }
    }

    /// It was seen.
    pub fn seen(&mut self, second: i64) {
        self.first_seen = self.first_seen.min(second);
    }

    /// WeChat told its unionid.
    pub fn told(&mut self, unionid: &str, at: Clock) {
        let earliest = self.unionids.entry(unionid.to_owned()).or_insert(at);
        *earliest = at.min(*earliest);
    }

    /// It logged in to a Mini Program.
    pub fn logged_in(&mut self, second: i64) {
        let logins = self.logins.get_or_insert(Logins {
            first: second,
            last: second,
        });
        logins.first = logins.first.min(second);
        logins.last = logins.last.max(second);
    }

    /// What decides who was there first. It is the identity's own: the number is not in it.
    fn rank(&self) -> (i64, &str, &str) {
        (self.first_seen, &self.account, &self.openid)
    }
}

/// Two people turned out to be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// When that was told, Unix seconds.
    pub at: i64,
    /// The uid that is the person's no more.
    pub uid: i64,
    /// The one it points to since; another merge may lead on from there.
    pub into: i64,
    /// What told it.
    pub unionid: String,
}

/// Somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// All that they are known by, the one that was seen first in front; never empty.
    identities: Vec<Identity>,
    /// How they became one, in the order in which that was told.
    merges: Vec<Merge>,
}

impl Person {
    /// The person that these identities are, all of them held together by unionids; `None` if there are none.
    #[must_use]
    pub fn of(mut identities: Vec<Identity>) -> Option<Self> {
        if identities.is_empty() {
            return None;
        }
        identities.sort_by(|one, other| one.rank().cmp(&other.rank()));
        let merges = history(&identities);
        Some(Self { identities, merges })
    }

    /// Their number. Those of their other identities point to it.
    #[must_use]
    pub fn uid(&self) -> i64 {
        self.identities.first().map_or(0, |first| first.uid)
    }

    /// What they are known by, the one that was seen first in front.
    #[must_use]
    pub fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// How they became one, in the order in which that was told.
    #[must_use]
    pub fn merges(&self) -> &[Merge] {
        &self.merges
    }

    /// Whether they follow an account and have never logged in to a Mini Program.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        let follows = self.identities.iter().any(|identity| identity.follows);
        follows && self.identities.iter().all(|known| known.logins.is_none())
    }
}

/// How identities, in the order of their ranks, became one.
fn history(identities: &[Identity]) -> Vec<Merge> {
    // What was told, in the order of its telling: of two at one moment the order is that of names.
    let mut told: Vec<(Clock, &str, usize)> = Vec::new();
    for (place, identity) in identities.iter().enumerate() {
        let unionids = identity.unionids.iter();
        told.extend(unionids.map(|(unionid, at)| (*at, unionid.as_str(), place)));
    }
    told.sort_unstable();
    // Whom each of them points to; itself, if it gives a person's number. A place in front is a higher rank.
    let mut points_to: Vec<usize> = (0..identities.len()).collect();
    let mut bearers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut merges = Vec::new();
    for (at, unionid, place) in told {
        let bearer = *bearers.entry(unionid).or_insert(place);
        let one = end(&points_to, place);
        let other = end(&points_to, bearer);
        let (kept, merged) = (one.min(other), one.max(other));
        if kept != merged {
            points_to[merged] = kept;
            merges.push(Merge {
                at: at.second(),
                uid: identities[merged].uid,
                into: identities[kept].uid,
                unionid: unionid.to_owned(),
            });
        }
    }
    merges
}

/// Where the pointers lead from here. They lead to lower places, so they end.
fn end(points_to: &[usize], mut place: usize) -> usize {
    while points_to[place] != place {
        place = points_to[place];
    }
    place
}
