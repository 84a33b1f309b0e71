//! The journal of a pass: its pages, and which batches are stored.

use std::path::Path;

use anyhow::bail;
use serde::{Deserialize, Serialize};
use weir_errands::sync::{List, NotKept, Page, Pass, Progress};

use crate::journal::{Journal, Story, encode};

/// The format of the file.
const VERSION: u32 = 1;

/// A pass, as a journal tells it.
#[derive(Debug)]
pub(super) struct Told {
    account: String,
    pub(super) pass: Pass,
    /// Whether it was begun by an earlier run.
    pub(super) is_resumed: bool,
    is_over: bool,
}

/// The journal of a pass that lists; none of users who are named.
pub(super) struct Kept(Option<Journal>);

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
enum Line {
    /// A page of the list: on the disk before anybody in it is asked about.
    Page(Page),
    /// A page of the blacklist.
    Blacklist(Page),
    /// This batch is in the store. If the line is lost, it is asked for again.
    Stored(usize),
    /// The pass is over, by Unix milliseconds.
    Over(i64),
}

impl Told {
    pub(super) fn new(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            pass: Pass::new(),
            is_resumed: false,
            is_over: false,
        }
    }
}

impl Kept {
    /// A pass that nothing is kept of.
    pub(super) fn nothing() -> Self {
        Self(None)
    }

    /// # Errors
    /// Another run has it, it is of something else, or it cannot be read or written.
    pub(super) fn open(path: &Path, told: &mut Told) -> anyhow::Result<Self> {
        Ok(Self(Some(Journal::open(path, told)?)))
    }

    /// # Errors
    /// The disk is full, or broken.
    pub(super) fn close(self) -> anyhow::Result<()> {
        self.0.map_or(Ok(()), Journal::close)
    }

    async fn keep(&self, line: &Line) -> Result<(), NotKept> {
        match &self.0 {
            Some(journal) => Ok(journal.keep(line).await?),
            None => Ok(()),
        }
    }
}

impl Progress for Kept {
    async fn page(&self, list: List, page: &Page) -> Result<(), NotKept> {
        let line = match list {
            List::Followers => Line::Page,
            List::Blacklist => Line::Blacklist,
        };
        self.keep(&line(page.clone())).await
    }

    fn stored(&self, batch: usize) -> Result<(), NotKept> {
        match &self.0 {
            Some(journal) => Ok(journal.note(&Line::Stored(batch))?),
            None => Ok(()),
        }
    }

    async fn over(&self, at_ms: i64) -> Result<(), NotKept> {
        self.keep(&Line::Over(at_ms)).await
    }
}

impl Story for Told {
    fn head(&self) -> Vec<u8> {
        encode(&Head {
            weir_sync: VERSION,
            account: self.account.clone(),
            run: self.pass.run.clone(),
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
        self.pass = Pass::named(found.run);
        self.is_resumed = true;
        Ok(())
    }

    fn take(&mut self, line: &[u8]) -> anyhow::Result<()> {
        match serde_json::from_slice(line)? {
            Line::Page(page) => self.pass.page(List::Followers, page),
            Line::Blacklist(page) => self.pass.page(List::Blacklist, page),
            Line::Stored(batch) => {
                if !self.pass.stored(batch) {
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
            asked_ms: 0,
        })
    }

    fn journal(told: &Told, lines: &[Line]) -> String {
        let lines = lines.iter().map(encode);
        let text = std::iter::once(told.head()).chain(lines).flatten();
        String::from_utf8(text.collect()).unwrap()
    }

    #[test]
    fn a_pass_goes_on_where_its_journal_ends() {
        let written = Told::new("demo");
        let lines = [page(0..150), Line::Stored(1), page(120..200)];
        let mut told = Told::new("demo");
        read(&journal(&written, &lines), &mut told).unwrap();
        assert_eq!(told.pass.run, written.pass.run);
        assert!(told.is_resumed && !told.pass.is_listed);
        assert_eq!(told.pass.next, "o199");
        assert_eq!((told.pass.followers(), told.pass.stored_users()), (200, 50));
        let damaged = read(&journal(&written, &[Line::Stored(0)]), &mut told);
        assert_eq!(damaged.unwrap_err().to_string(), "line 2 is damaged");
    }

    #[test]
    fn after_a_pass_that_is_over_the_next_begins() {
        let written = Told::new("demo");
        let mut told = Told::new("demo");
        let text = read(
            &journal(&written, &[page(0..3), Line::Stored(0), Line::Over(1)]),
            &mut told,
        );
        assert_ne!(told.pass.run, written.pass.run);
        assert!(!told.is_resumed);
        assert_eq!(told.pass.followers(), 0);
        assert_eq!(text.unwrap(), journal(&told, &[]));
    }

    #[test]
    fn a_journal_of_another_account_is_not_touched() {
        let text = journal(&Told::new("shop"), &[]);
        let error = read(&text, &mut Told::new("demo")).unwrap_err().to_string();
        assert!(error.contains("another account, \"shop\""), "{error}");
    }
}
