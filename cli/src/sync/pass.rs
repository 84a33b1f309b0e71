//! A pass over an account's followers: what it has seen and stored, as its journal tells.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use anyhow::bail;
use serde::{Deserialize, Serialize};

use crate::journal::{Story, encode};

/// The format of the file.
const VERSION: u32 = 1;
/// Users of one `batchget`. Source: WeChat's page on it.
pub(super) const BATCH: usize = 100;

/// A pass.
#[derive(Debug)]
pub(super) struct Pass {
    account: String,
    /// Names it for good.
    pub(super) run: String,
    /// Whether it was begun by an earlier run.
    pub(super) is_resumed: bool,
    /// Everybody who was listed, in WeChat's order.
    followers: Vec<Arc<str>>,
    seen: HashSet<Arc<str>>,
    /// The users of each batch, and whether they are stored.
    batches: Vec<(Range<usize>, bool)>,
    /// Where WeChat's list goes on; empty: at its beginning.
    pub(super) next: String,
    /// Whether the list is at its end.
    pub(super) is_listed: bool,
    /// How many follow, by WeChat's last word.
    pub(super) total: u64,
    is_over: bool,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Head {
    weir_sync: u32,
    account: String,
    run: String,
}

/// Any other.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// A page of the list: on the disk before anybody in it is asked about.
    Page(Page),
    /// This batch is in the store. If the line is lost, it is asked for again.
    Stored(usize),
    /// The pass is over, by Unix milliseconds.
    Over(i64),
}

/// A page of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Page {
    pub(super) total: u64,
    /// Empty at the end of the list.
    pub(super) openids: Vec<String>,
    /// Where the list goes on.
    pub(super) next: String,
}

impl Pass {
    pub(super) fn new(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            run: format!("{:016x}", fastrand::u64(..)),
            is_resumed: false,
            followers: Vec::new(),
            seen: HashSet::new(),
            batches: Vec::new(),
            next: String::new(),
            is_listed: false,
            total: 0,
            is_over: false,
        }
    }

    /// Takes in a page. Who was listed before is not listed again.
    pub(super) fn page(&mut self, page: Page) {
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

    /// Notes that a batch is stored.
    pub(super) fn stored(&mut self, batch: usize) -> Option<()> {
        self.batches.get_mut(batch)?.1 = true;
        Some(())
    }

    /// The batches that are not stored yet.
    pub(super) fn left(&self) -> Vec<(usize, Vec<Arc<str>>)> {
        let batches = self.batches.iter().enumerate();
        batches
            .filter(|(_, (_, stored))| !stored)
            .map(|(number, (users, _))| (number, self.followers[users.clone()].to_vec()))
            .collect()
    }

    /// How many users are stored.
    pub(super) fn stored_users(&self) -> usize {
        let stored = self.batches.iter().filter(|(_, stored)| *stored);
        stored.map(|(users, _)| users.len()).sum()
    }

    /// Whether somebody was listed.
    pub(super) fn has_seen(&self, openid: &str) -> bool {
        self.seen.contains(openid)
    }

    /// How many were listed.
    pub(super) fn followers(&self) -> usize {
        self.followers.len()
    }

    /// Who was listed so many before the last one.
    pub(super) fn back(&self, by: usize) -> Option<&str> {
        self.followers.iter().rev().nth(by).map(|openid| &**openid)
    }
}

impl Story for Pass {
    fn head(&self) -> Vec<u8> {
        encode(&Head {
            weir_sync: VERSION,
            account: self.account.clone(),
            run: self.run.clone(),
        })
    }

    fn check(&mut self, first: &[u8]) -> anyhow::Result<()> {
        let Ok(found) = serde_json::from_slice::<Head>(first) else {
            bail!("this is no journal of `weir sync`");
        };
        if found.weir_sync != VERSION {
            bail!("it was written by another version of weir");
        }
        if found.account != self.account {
            bail!(
                "it is of another account, {:?}: name another --journal",
                found.account
            );
        }
        self.run = found.run;
        self.is_resumed = true;
        Ok(())
    }

    fn take(&mut self, line: &[u8]) -> anyhow::Result<()> {
        match serde_json::from_slice(line)? {
            Line::Page(page) => self.page(page),
            Line::Stored(batch) => {
                if self.stored(batch).is_none() {
                    bail!("it has no such batch");
                }
            }
            Line::Over(_) => self.is_over = true,
        }
        Ok(())
    }

    fn begins_anew(&mut self) -> bool {
        if self.is_over {
            *self = Self::new(&self.account);
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::read;

    fn page(openids: std::ops::Range<u32>) -> Line {
        let openids: Vec<_> = openids.map(|number| format!("o{number}")).collect();
        Line::Page(Page {
            total: 250,
            next: openids.last().cloned().unwrap_or_default(),
            openids,
        })
    }

    fn journal(pass: &Pass, lines: &[Line]) -> String {
        let lines = lines.iter().map(encode);
        let text = std::iter::once(pass.head()).chain(lines).flatten();
        String::from_utf8(text.collect()).unwrap()
    }

    #[test]
    fn what_is_not_stored_is_left_and_nobody_is_in_two_batches() {
        let written = Pass::new("demo");
        let lines = [page(0..150), Line::Stored(1), page(120..200)];
        let mut pass = Pass::new("demo");
        read(&journal(&written, &lines), &mut pass).unwrap();
        assert_eq!(pass.run, written.run);
        assert!(pass.is_resumed && !pass.is_listed);
        assert_eq!((pass.next.as_str(), pass.total), ("o199", 250));
        assert_eq!((pass.followers(), pass.stored_users()), (200, 50));
        let left: Vec<_> = pass.left().into_iter().map(|(n, b)| (n, b.len())).collect();
        assert_eq!(left, [(0, 100), (2, 50)]);
        assert_eq!(&*pass.left()[1].1[0], "o150");
        assert!(pass.has_seen("o7") && !pass.has_seen("o200"));
        pass.page(Page {
            total: 200,
            openids: Vec::new(),
            next: String::new(),
        });
        assert!(pass.is_listed);
    }

    #[test]
    fn after_a_pass_that_is_over_the_next_begins() {
        let written = Pass::new("demo");
        let mut pass = Pass::new("demo");
        let text = read(
            &journal(&written, &[page(0..3), Line::Stored(0), Line::Over(1)]),
            &mut pass,
        );
        assert_ne!(pass.run, written.run);
        assert!(!pass.is_resumed);
        assert_eq!(pass.followers(), 0);
        assert_eq!(text.unwrap(), journal(&pass, &[]));
    }

    #[test]
    fn a_journal_of_another_account_is_not_touched() {
        let text = journal(&Pass::new("shop"), &[]);
        let error = read(&text, &mut Pass::new("demo")).unwrap_err().to_string();
        assert!(error.contains("another account, \"shop\""), "{error}");
    }
}
