//! The account's blacklist in a pass: what was read of it, and what is to be stored of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::pass::Page;

/// Openids of a page that is full. Source: WeChat's page on `getblacklist`.
const FULL: usize = 10_000;

/// The blacklist, as far as it was read.
#[derive(Debug, Default)]
pub struct Blacklist {
    /// In WeChat's order.
    order: Vec<Arc<str>>,
    /// When WeChat was asked for the page that has them, Unix milliseconds.
    listed: HashMap<Arc<str>, i64>,
    /// When it was asked for the first page.
    begun_ms: Option<i64>,
    /// Where it goes on; empty: at its beginning.
    pub next: String,
    /// Whether it is at its end.
    pub is_listed: bool,
}

/// What a pass found out about somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Who.
    pub openid: Arc<str>,
    /// Whether they are on the blacklist.
    pub is_blacklisted: bool,
    /// When WeChat was asked, Unix milliseconds.
    pub asked_ms: i64,
}

impl Blacklist {
    /// Takes in a page. A page that is not full is the last one if all have been listed: whoever was taken off the list
    /// meanwhile makes it shorter than what was read of it.
    pub(super) fn page(&mut self, page: Page) {
        self.begun_ms.get_or_insert(page.asked_ms);
        let count = page.openids.len();
        for openid in page.openids {
            let openid: Arc<str> = openid.into();
            if self.listed.insert(openid.clone(), page.asked_ms).is_none() {
                self.order.push(openid);
            }
        }
        self.next = page.next;
        let are_all = u64::try_from(self.order.len()).is_ok_and(|listed| listed >= page.total);
        self.is_listed = count == 0 || count < FULL && are_all;
    }

    /// How many are on it, as far as it was read.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nobody was found on it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Who was listed so many before the last one.
    #[must_use]
    pub fn back(&self, by: usize) -> Option<&str> {
        self.order.iter().rev().nth(by).map(|openid| &**openid)
    }

    /// What a store that has these as blacklisted is to be told, when all of the list was read.
    #[must_use]
    pub fn news(&self, known: &HashSet<String>) -> Vec<Found> {
        let new = self
            .order
            .iter()
            .filter(|openid| !known.contains(&***openid));
        let new = new.map(|openid| Found {
            openid: openid.clone(),
            is_blacklisted: true,
            asked_ms: self.listed.get(openid).copied().unwrap_or_default(),
        });
        // Who was not on any page was not on the first one: that is the oldest word on it.
        let gone = known
            .iter()
            .filter(|openid| !self.listed.contains_key(openid.as_str()));
        let gone = gone.map(|openid| Found {
            openid: openid.as_str().into(),
            is_blacklisted: false,
            asked_ms: self.begun_ms.unwrap_or_default(),
        });
        new.chain(gone).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(openids: std::ops::Range<usize>, total: u64, asked_ms: i64) -> Page {
        let openids: Vec<_> = openids.map(|number| format!("o{number}")).collect();
        Page {
            total,
            next: openids.last().cloned().unwrap_or_default(),
            openids,
            asked_ms,
        }
    }

    #[test]
    fn a_short_page_is_the_end_once_all_are_listed() {
        let mut list = Blacklist::default();
        list.page(page(0..FULL, 10_002, 1));
        assert!(!list.is_listed);
        assert_eq!(list.next, "o9999");
        list.page(page(FULL..FULL + 2, 10_002, 2));
        assert!(list.is_listed);
        // Two were added while it was read: they are on a page that is still to come.
        let mut list = Blacklist::default();
        list.page(page(0..5, 7, 1));
        assert!(!list.is_listed);
        list.page(page(0..0, 7, 1));
        assert!(list.is_listed);
        let mut empty = Blacklist::default();
        empty.page(page(0..0, 0, 1));
        assert!(empty.is_listed && empty.is_empty());
        // A full page is never the last: who was taken off makes the rest come forward, and none of it is left out.
        let mut list = Blacklist::default();
        list.page(page(0..FULL, 10_000, 1));
        assert!(!list.is_listed);
    }

    #[test]
    fn only_what_the_store_does_not_know_is_told_with_the_time_of_the_question() {
        let mut list = Blacklist::default();
        list.page(page(0..2, 4, 10));
        list.page(page(2..4, 4, 20));
        let known = ["o0", "o3", "oOld"].map(str::to_owned).into();
        let mut news = list.news(&known);
        news.sort_unstable();
        let told: Vec<_> = news
            .iter()
            .map(|found| (&*found.openid, found.is_blacklisted, found.asked_ms))
            .collect();
        assert_eq!(
            told,
            [("o1", true, 10), ("o2", true, 20), ("oOld", false, 10)]
        );
        assert!(
            list.news(&["o0", "o1", "o2", "o3"].map(str::to_owned).into())
                .is_empty()
        );
    }
}
