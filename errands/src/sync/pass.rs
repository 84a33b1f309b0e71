//! A pass over an account's followers: what it has seen and stored.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::blacklist::Blacklist;

/// Users of one `batchget`. Source: WeChat's page on it.
pub const BATCH: usize = 100;

/// A pass.
#[derive(Debug)]
pub struct Pass {
    /// Names it for good.
    pub run: String,
    /// Everybody who was listed, in WeChat's order.
    followers: Vec<Arc<str>>,
    seen: HashSet<Arc<str>>,
    /// The users of each batch, and whether they are stored.
    batches: Vec<(Range<usize>, bool)>,
    /// Where WeChat's list goes on; empty: at its beginning.
    pub next: String,
    /// Whether the list is at its end.
    pub is_listed: bool,
    /// How many follow, by WeChat's last word.
    pub total: u64,
    /// The other list.
    pub blacklist: Blacklist,
}

/// What WeChat lists of an account's users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Who follows.
    Followers,
    /// Who is blacklisted.
    Blacklist,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// How many are on the list.
    pub total: u64,
    /// In WeChat's order; empty at the end of the list.
    pub openids: Vec<String>,
    /// Where the list goes on.
    pub next: String,
    /// When it was asked for, Unix milliseconds. Of pages of followers nothing depends on it.
    #[serde(default)]
    pub asked_ms: i64,
}

impl Default for Pass {
    fn default() -> Self {
        Self::new()
    }
}

impl Pass {
    /// One that begins.
    #[must_use]
    pub fn new() -> Self {
        Self::named(format!("{:016x}", fastrand::u64(..)))
    }

    /// One of this name, to be told its pages and which batches are stored: it then goes on where it was.
    #[must_use]
    pub fn named(run: String) -> Self {
        Self {
            run,
            followers: Vec::new(),
            seen: HashSet::new(),
            batches: Vec::new(),
            next: String::new(),
            is_listed: false,
            total: 0,
            blacklist: Blacklist::default(),
        }
    }

    /// Takes in a page of a list. Who was listed before is not listed again.
    pub fn page(&mut self, list: List, page: Page) {
        if list == List::Blacklist {
            return self.blacklist.page(page);
        }
        self.total = page.total;
        self.is_listed = page.openids.is_empty();
        self.next = page.next;
        let begin = self.followers.len();
        for openid in page.openids {
            let openid: Arc<str> = openid.into();
            if self.seen.insert(openid.clone()) {
                self.followers.push(openid);
            }
        }
        let end = self.followers.len();
        let batches = (begin..end).step_by(BATCH);
        self.batches
            .extend(batches.map(|at| (at..end.min(at + BATCH), false)));
    }

    /// Notes that a batch is stored. `false`: there is no such batch.
    pub fn stored(&mut self, batch: usize) -> bool {
        let known = self.batches.get_mut(batch);
        known.map(|(_, stored)| *stored = true).is_some()
    }

    /// The batches that are not stored yet.
    #[must_use]
    pub fn left(&self) -> Vec<(usize, Vec<Arc<str>>)> {
        let batches = self.batches.iter().enumerate();
        batches
            .filter(|(_, (_, stored))| !stored)
            .map(|(number, (users, _))| (number, self.followers[users.clone()].to_vec()))
            .collect()
    }

    /// How many users are stored.
    #[must_use]
    pub fn stored_users(&self) -> usize {
        let stored = self.batches.iter().filter(|(_, stored)| *stored);
        stored.map(|(users, _)| users.len()).sum()
    }

    /// Whether somebody was listed.
    #[must_use]
    pub fn has_seen(&self, openid: &str) -> bool {
        self.seen.contains(openid)
    }

    /// How many were listed.
    #[must_use]
    pub fn followers(&self) -> usize {
        self.followers.len()
    }

    /// Who was listed so many before the last one.
    #[must_use]
    pub fn back(&self, by: usize) -> Option<&str> {
        self.followers.iter().rev().nth(by).map(|openid| &**openid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(openids: std::ops::Range<u32>) -> Page {
        let openids: Vec<_> = openids.map(|number| format!("o{number}")).collect();
        Page {
            total: 250,
            next: openids.last().cloned().unwrap_or_default(),
            openids,
            asked_ms: 0,
        }
    }

    #[test]
    fn what_is_not_stored_is_left_and_nobody_is_in_two_batches() {
        let mut pass = Pass::new();
        pass.page(List::Followers, page(0..150));
        assert!(pass.stored(1));
        pass.page(List::Followers, page(120..200));
        assert!(!pass.stored(3), "there is no such batch");
        assert!(!pass.is_listed);
        assert_eq!((pass.next.as_str(), pass.total), ("o199", 250));
        assert_eq!((pass.followers(), pass.stored_users()), (200, 50));
        let left: Vec<_> = pass.left().into_iter().map(|(n, b)| (n, b.len())).collect();
        assert_eq!(left, [(0, 100), (2, 50)]);
        assert_eq!(&*pass.left()[1].1[0], "o150");
        assert!(pass.has_seen("o7") && !pass.has_seen("o200"));
        assert_eq!((pass.back(1), pass.back(200)), (Some("o198"), None));
        pass.page(List::Followers, page(0..0));
        assert!(pass.is_listed);
    }
}
