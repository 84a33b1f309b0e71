//! One account's access tokens, of both kinds, which know nothing of each other.
//!
//! | | classic (`token`) | stable (`stable_token`) |
//! |---|---|---|
//! | a call | makes a new token | gives the same one, with what is left of its life |
//! | within 5 minutes of expiry | | makes a new one; the old one stays good until it expires |
//! | the one before | good for 5 more minutes at most | |
//! | `force_refresh` | | makes a new one, the old one dies at once; 20 a day; within 30 s of the last: nothing happens |
//!
//! Time is an argument, Unix milliseconds.
//!
//! Source: WeChat's pages on getAccessToken and getStableAccessToken.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::wechat::ids;

/// How long a token lives unless the control API says otherwise.
pub const LIFETIME_MS: i64 = 7_200_000;
/// A stable token this close to its end is replaced; a classic one lives this much longer once replaced.
pub const OVERLAP_MS: i64 = 300_000;
/// Forced refreshes per day, Beijing time.
pub const FORCED_PER_DAY: u32 = 20;
/// A forced refresh sooner after the last one changes nothing.
pub const FORCED_INTERVAL_MS: i64 = 30_000;
/// Tokens kept to tell "expired" from "never issued"; older ones count as never issued.
pub const MAX_REMEMBERED: usize = 1024;

/// Which API a token came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `/cgi-bin/token`
    Classic,
    /// `/cgi-bin/stable_token`
    Stable,
}

/// A token and the seconds left to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// The credential.
    pub token: String,
    /// Seconds.
    pub expires_in: i64,
}

/// More than [`FORCED_PER_DAY`] forced refreshes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyForced;

/// What is wrong with a token that was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenFault {
    /// Its time is over: 42001.
    Expired,
    /// Replaced, revoked or never issued: 40001.
    Invalid,
}

struct Issued {
    token: String,
    kind: Kind,
    expires_ms: i64,
    revoked: bool,
}

/// The tokens of one account.
pub struct Tokens {
    lifetime_ms: i64,
    issued: VecDeque<Issued>,
    forced_at_ms: Option<i64>,
    forced_today: (i64, u32),
    churn: Option<Churn>,
}

/// Revokes all tokens every so often, as a second fetcher somewhere would.
struct Churn {
    every_ms: i64,
    last_ms: i64,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            lifetime_ms: LIFETIME_MS,
            issued: VecDeque::new(),
            forced_at_ms: None,
            forced_today: (0, 0),
            churn: None,
        }
    }
}

impl Tokens {
    /// `stable_token`.
    ///
    /// # Errors
    /// [`TooManyForced`].
    pub fn stable(&mut self, now_ms: i64, force: bool) -> Result<Grant, TooManyForced> {
        self.settle(now_ms);
        let too_soon = self
            .forced_at_ms
            .is_some_and(|at| now_ms - at < FORCED_INTERVAL_MS);
        if force && !too_soon {
            self.count_forced(now_ms)?;
            self.revoke(Some(Kind::Stable));
            self.forced_at_ms = Some(now_ms);
        }
        let newest = self
            .issued
            .iter()
            .rev()
            .find(|issued| issued.kind == Kind::Stable);
        let current = newest.filter(|newest| !newest.revoked);
        Ok(match current {
            Some(current) if current.expires_ms - now_ms > self.overlap_ms() => Grant {
                token: current.token.clone(),
                expires_in: (current.expires_ms - now_ms) / 1000,
            },
            _ => self.issue(now_ms, Kind::Stable),
        })
    }

    /// The newest one that is good, without asking for another.
    pub fn newest(&self) -> Option<&str> {
        let good = self.issued.iter().rev().find(|issued| !issued.revoked);
        good.map(|issued| issued.token.as_str())
    }

    /// `token`.
    pub fn classic(&mut self, now_ms: i64) -> Grant {
        self.settle(now_ms);
        let overlap_ms = self.overlap_ms();
        for old in self
            .issued
            .iter_mut()
            .filter(|old| old.kind == Kind::Classic)
        {
            old.expires_ms = old.expires_ms.min(now_ms + overlap_ms);
        }
        self.issue(now_ms, Kind::Classic)
    }

    /// Whether `token` opens this account now.
    ///
    /// # Errors
    /// [`TokenFault`].
    pub fn check(&mut self, now_ms: i64, token: &str) -> Result<(), TokenFault> {
        self.settle(now_ms);
        match self.issued.iter().find(|issued| issued.token == token) {
            None => Err(TokenFault::Invalid),
            Some(issued) if issued.revoked => Err(TokenFault::Invalid),
            Some(issued) if issued.expires_ms <= now_ms => Err(TokenFault::Expired),
            Some(_) => Ok(()),
        }
    }

    /// Whether this account issued `token`, good or not.
    pub fn knows(&self, token: &str) -> bool {
        self.issued.iter().any(|issued| issued.token == token)
    }

    /// Ends the life of every token of that kind (of both, when `None`): they answer 42001.
    pub fn expire(&mut self, now_ms: i64, kind: Option<Kind>) {
        for issued in self
            .issued
            .iter_mut()
            .filter(|issued| kind.is_none_or(|kind| kind == issued.kind))
        {
            issued.expires_ms = issued.expires_ms.min(now_ms);
        }
    }

    /// Revokes every token of that kind (of both, when `None`), as a forced refresh elsewhere would: they answer 40001.
    pub fn revoke(&mut self, kind: Option<Kind>) {
        for issued in self
            .issued
            .iter_mut()
            .filter(|issued| kind.is_none_or(|kind| kind == issued.kind))
        {
            issued.revoked = true;
        }
    }

    /// Revokes all tokens every `every_ms`, until called with `None`.
    pub fn revoke_every(&mut self, now_ms: i64, every_ms: Option<i64>) {
        self.churn = every_ms.map(|every_ms| Churn {
            every_ms: every_ms.max(1),
            last_ms: now_ms,
        });
    }

    /// How long tokens issued from now on live.
    pub fn set_lifetime(&mut self, lifetime_ms: i64) {
        self.lifetime_ms = lifetime_ms.max(1);
    }

    /// Shorter than WeChat's when tokens were told to live very shortly.
    fn overlap_ms(&self) -> i64 {
        OVERLAP_MS.min(self.lifetime_ms / 2)
    }

    /// Does what has become due.
    fn settle(&mut self, now_ms: i64) {
        let Some(churn) = &mut self.churn else { return };
        let due = (now_ms - churn.last_ms) / churn.every_ms;
        if due > 0 {
            churn.last_ms += due * churn.every_ms;
            self.revoke(None);
        }
    }

    fn count_forced(&mut self, now_ms: i64) -> Result<(), TooManyForced> {
        let today = super::quotas::beijing_day(now_ms);
        if self.forced_today.0 != today {
            self.forced_today = (today, 0);
        }
        if self.forced_today.1 >= FORCED_PER_DAY {
            return Err(TooManyForced);
        }
        self.forced_today.1 += 1;
        Ok(())
    }

    fn issue(&mut self, now_ms: i64, kind: Kind) -> Grant {
        let token = format!("{}_{}", fastrand::u8(60..99), ids::alphanumeric(133));
        if self.issued.len() == MAX_REMEMBERED {
            self.issued.pop_front();
        }
        let expires_ms = now_ms + self.lifetime_ms;
        self.issued.push_back(Issued {
            token: token.clone(),
            kind,
            expires_ms,
            revoked: false,
        });
        Grant {
            token,
            expires_in: self.lifetime_ms / 1000,
        }
    }
}

/// Whether `token` could be one at all; anything else answers 40014.
pub fn well_formed(token: &str) -> bool {
    (32..=512).contains(&token.len())
        && token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: i64 = 1_714_104_000_000; // 12:00 in Beijing

    fn at(seconds: i64) -> i64 {
        NOON + seconds * 1000
    }

    #[test]
    fn a_stable_token_stays_the_same_with_less_and_less_life() {
        let mut tokens = Tokens::default();
        let first = tokens.stable(at(0), false).unwrap();
        assert_eq!(first.expires_in, 7200);
        let later = tokens.stable(at(6855), false).unwrap();
        assert_eq!((later.token == first.token, later.expires_in), (true, 345));
    }

    #[test]
    fn a_stable_token_is_renewed_five_minutes_early_and_both_are_good_meanwhile() {
        let mut tokens = Tokens::default();
        let old = tokens.stable(at(0), false).unwrap().token;
        assert_eq!(tokens.stable(at(6899), false).unwrap().token, old);
        let new = tokens.stable(at(6900), false).unwrap();
        assert_eq!((new.token != old, new.expires_in), (true, 7200));
        assert_eq!(tokens.check(at(7199), &old), Ok(()));
        assert_eq!(tokens.check(at(7199), &new.token), Ok(()));
        assert_eq!(tokens.check(at(7200), &old), Err(TokenFault::Expired));
    }

    #[test]
    fn a_forced_refresh_kills_the_old_token_at_once_but_not_twice_within_30_seconds() {
        let mut tokens = Tokens::default();
        let old = tokens.stable(at(0), false).unwrap().token;
        let new = tokens.stable(at(1), true).unwrap().token;
        assert_ne!(new, old);
        assert_eq!(tokens.check(at(1), &old), Err(TokenFault::Invalid));
        assert_eq!(
            tokens.stable(at(30), true).unwrap().token,
            new,
            "29 s after the last one"
        );
        assert_ne!(
            tokens.stable(at(31), true).unwrap().token,
            new,
            "30 s after the last one"
        );
    }

    #[test]
    fn the_21st_forced_refresh_of_a_beijing_day_is_refused() {
        let mut tokens = Tokens::default();
        for i in 0..20 {
            assert!(tokens.stable(at(i * 30), true).is_ok());
        }
        assert!(tokens.stable(at(600), true).is_err());
        assert!(tokens.stable(at(600), false).is_ok());
        assert!(tokens.stable(at(12 * 3600 - 1), true).is_err());
        assert!(
            tokens.stable(at(12 * 3600), true).is_ok(),
            "midnight in Beijing"
        );
    }

    #[test]
    fn a_classic_token_outlives_its_successor_by_five_minutes() {
        let mut tokens = Tokens::default();
        let old = tokens.classic(at(0)).token;
        let new = tokens.classic(at(100)).token;
        assert_ne!(new, old);
        assert_eq!(tokens.check(at(399), &old), Ok(()));
        assert_eq!(tokens.check(at(400), &old), Err(TokenFault::Expired));
        assert_eq!(tokens.check(at(7299), &new), Ok(()));
    }

    #[test]
    fn the_two_kinds_do_not_disturb_each_other() {
        let mut tokens = Tokens::default();
        let stable = tokens.stable(at(0), false).unwrap().token;
        let classic = tokens.classic(at(0)).token;
        tokens.classic(at(1));
        tokens.stable(at(1), true).unwrap();
        assert_eq!(tokens.check(at(2), &classic), Ok(()));
        assert_eq!(tokens.check(at(2), &stable), Err(TokenFault::Invalid));
    }

    #[test]
    fn an_expired_token_is_told_from_an_invalid_one() {
        let mut tokens = Tokens::default();
        let token = tokens.stable(at(0), false).unwrap().token;
        assert_eq!(tokens.check(at(0), "never"), Err(TokenFault::Invalid));
        tokens.expire(at(1), Some(Kind::Stable));
        assert_eq!(tokens.check(at(1), &token), Err(TokenFault::Expired));
        assert_ne!(tokens.stable(at(1), false).unwrap().token, token);
    }

    #[test]
    fn tokens_can_be_revoked_over_and_over() {
        let mut tokens = Tokens::default();
        tokens.revoke_every(at(0), Some(10_000));
        let token = tokens.stable(at(0), false).unwrap().token;
        assert_eq!(tokens.check(at(9), &token), Ok(()));
        assert_eq!(tokens.check(at(10), &token), Err(TokenFault::Invalid));
        let token = tokens.stable(at(11), false).unwrap().token;
        assert_eq!(tokens.check(at(19), &token), Ok(()));
        assert_eq!(tokens.check(at(20), &token), Err(TokenFault::Invalid));
        tokens.revoke_every(at(20), None);
        let token = tokens.stable(at(21), false).unwrap().token;
        assert_eq!(tokens.check(at(500), &token), Ok(()));
    }
}
