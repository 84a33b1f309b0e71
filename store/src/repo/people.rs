//! What holds identities together, and who logged in: the same for both databases. What is erased is in
//! [`super::erase`].

use std::collections::BTreeMap;

use serde::Serialize;

use super::erase::Erased;
use super::sends::ClockRow;
use crate::fact::{Change, Fact, Phone};

/// What the new events of a batch tell, in the order that rows are locked in.
#[derive(Debug, Default)]
pub(super) struct Ties<'a> {
    unions: BTreeMap<(i64, &'a str), ClockRow>,
    logins: BTreeMap<i64, (i64, i64)>,
    phones: BTreeMap<i64, (ClockRow, &'a Phone)>,
    erased: BTreeMap<i64, Erased<'a>>,
    blacklisted: BTreeMap<i64, (ClockRow, bool)>,
}

/// A row of `unions`. Serialized, the keys are the column names.
#[derive(Debug, Serialize)]
pub(super) struct UnionRow<'a> {
    pub(super) user_key: i64,
    pub(super) unionid: &'a str,
    #[serde(flatten)]
    pub(super) at: ClockRow,
}

/// A row of `logins`.
#[derive(Debug, Serialize)]
pub(super) struct LoginRow {
    pub(super) user_key: i64,
    pub(super) first_at: i64,
    pub(super) last_at: i64,
}

/// A row of `phones`.
#[derive(Debug, Serialize)]
pub(super) struct PhoneRow<'a> {
    pub(super) user_key: i64,
    pub(super) phone_number: &'a str,
    pub(super) pure_phone_number: &'a str,
    pub(super) country_code: &'a str,
    #[serde(flatten)]
    pub(super) at: ClockRow,
}

/// A row of `blacklist`; its account is the identity's.
#[derive(Debug, Serialize)]
pub(super) struct BlacklistRow {
    pub(super) user_key: i64,
    pub(super) listed: i64,
    #[serde(flatten)]
    pub(super) at: ClockRow,
}

impl<'a> Ties<'a> {
    /// Takes in what a new event tells of this identity.
    pub(super) fn add(&mut self, user_key: i64, fact: &'a Fact) {
        let Some(sighting) = &fact.sighting else {
            return;
        };
        if let Change::Erase(why) = &sighting.change {
            self.erased.entry(user_key).or_default().add(fact.at, why);
        }
        let unionid = match &sighting.change {
            Change::Profile(profile) => profile.unionid.as_deref(),
            Change::Named(unionid) => Some(unionid.as_str()),
            Change::Login {
                to_mini_program,
                unionid,
            } => {
                if *to_mini_program {
                    let second = fact.at.second();
                    let logins = self.logins.entry(user_key).or_insert((second, second));
                    *logins = (logins.0.min(second), logins.1.max(second));
                }
                unionid.as_deref()
            }
            Change::Phone(phone) => {
                let told = (ClockRow::from(fact.at), phone.as_ref());
                let newest = self.phones.entry(user_key).or_insert(told);
                if told.0 > newest.0 {
                    *newest = told;
                }
                None
            }
            Change::Blacklisted(is_listed) => {
                let told = (ClockRow::from(fact.at), *is_listed);
                let newest = self.blacklisted.entry(user_key).or_insert(told);
                *newest = told.max(*newest);
                None
            }
            Change::Seen
            | Change::Message(_)
            | Change::Follow { .. }
            | Change::Unfollow
            | Change::Erase(_) => None,
        };
        if let Some(unionid) = unionid.filter(|unionid| !unionid.is_empty()) {
            let at = ClockRow::from(fact.at);
            let earliest = self.unions.entry((user_key, unionid)).or_insert(at);
            *earliest = at.min(*earliest);
        }
    }

    /// Of whom what is to be erased.
    pub(super) fn erased(&self) -> impl Iterator<Item = (i64, &Erased<'a>)> {
        self.erased
            .iter()
            .map(|(user_key, erased)| (*user_key, erased))
    }

    pub(super) fn unions(&self) -> Vec<UnionRow<'a>> {
        let rows = self
            .unions
            .iter()
            .map(|((user_key, unionid), at)| UnionRow {
                user_key: *user_key,
                unionid,
                at: *at,
            });
        rows.collect()
    }

    pub(super) fn phones(&self) -> Vec<PhoneRow<'a>> {
        let rows = self.phones.iter();
        rows.map(|(user_key, (at, phone))| PhoneRow {
            user_key: *user_key,
            phone_number: &phone.number,
            pure_phone_number: &phone.pure,
            country_code: &phone.country_code,
            at: *at,
        })
        .collect()
    }

    pub(super) fn blacklisted(&self) -> Vec<BlacklistRow> {
        let rows = self.blacklisted.iter();
        rows.map(|(user_key, (at, is_listed))| BlacklistRow {
            user_key: *user_key,
            listed: i64::from(*is_listed),
            at: *at,
        })
        .collect()
    }

    pub(super) fn logins(&self) -> Vec<LoginRow> {
        let rows = self
            .logins
            .iter()
            .map(|(user_key, (first, last))| LoginRow {
                user_key: *user_key,
                first_at: *first,
                last_at: *last,
            });
        rows.collect()
    }
}
