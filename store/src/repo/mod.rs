//! The database behind the store: one trait, two backends.
//!
//! A backend knows how to commit a batch durably and how to run a statement. What the statements ask
//! ([`select`]) and what events mean ([`crate::fold`]) is the same for both and written once.
//!
//! Both number a statement's parameters `$1 …`, and hold integers as `i64` and everything else as text.

mod cards;
pub mod care;
mod catch_up;
mod erase;
mod migrate;
mod people;
mod person;
pub mod postgres;
mod row;
pub mod select;
mod sends;
pub mod sqlite;
pub mod tags;
mod work;

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use weir_store_api::Work;

use crate::event::NewEvent;
pub use catch_up::Part;
pub(crate) use catch_up::{Past, past, unread};
pub(crate) use erase::{NOBODY, nameless};
pub use row::{Cell, Row};

/// A database.
#[async_trait]
pub trait Repo: fmt::Debug + Send + Sync + 'static {
    /// Stores a batch in one transaction and brings the projections and the ledger up to date. On return every event of it
    /// survives a crash of the machine. The answers are in the order of the batch; an event that occurs twice
    /// in it is new once.
    ///
    /// # Errors
    /// Nothing is known to be stored. After [`RepoError::Unavailable`] it may have been stored all the same.
    async fn commit(&self, batch: &Batch) -> Result<Vec<Taken>, RepoError>;

    /// Runs a statement once for each set of parameters and returns all rows.
    ///
    /// # Errors
    /// The database did not answer.
    async fn select(
        &self,
        statement: &'static str,
        parameters: Vec<Vec<Cell>>,
    ) -> Result<Vec<Row>, RepoError>;

    /// Runs a statement that changes rows once for each set of parameters, all in one transaction, and returns the rows that
    /// it returns. For what is not an event's doing: queues.
    ///
    /// # Errors
    /// Nothing was changed, as far as is known.
    async fn change(
        &self,
        statement: &'static str,
        parameters: Vec<Vec<Cell>>,
    ) -> Result<Vec<Row>, RepoError>;

    /// Projects what events that are in the log already tell, and notes that it was read so far: all in one transaction.
    /// `false`: another process has done it.
    ///
    /// # Errors
    /// As [`Repo::commit`].
    async fn catch_up(&self, part: &Arc<Part>) -> Result<bool, RepoError>;

    /// Whether the database can be read and written now.
    ///
    /// # Errors
    /// It cannot.
    async fn check(&self) -> Result<(), RepoError>;
}

/// What became of an event the database took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Whether it is new.
    pub stored: Stored,
    /// What its claim is told.
    pub work: Option<Work>,
}

impl From<Stored> for Taken {
    fn from(stored: Stored) -> Self {
        Self { stored, work: None }
    }
}

/// Whether an event the database took is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is new.
    Created,
    /// Its source and id were there.
    Duplicate,
}

/// Why the database did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepoError {
    /// It cannot be reached, is overloaded, or failed; later it may work. The text never holds data.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// It will never take this batch: one of the values in it is beyond its limits.
    #[error("the database refuses the data: {0}")]
    Refused(String),
}

/// Some events, shared: a part of them can be tried again without copying any.
#[derive(Debug, Clone)]
pub struct Batch {
    events: Arc<[NewEvent]>,
    range: Range<usize>,
}

impl Batch {
    /// The two halves, in order.
    #[must_use]
    pub fn halves(&self) -> (Self, Self) {
        let middle = self.range.start + self.range.len() / 2;
        let part = |range| Self {
            events: Arc::clone(&self.events),
            range,
        };
        (part(self.range.start..middle), part(middle..self.range.end))
    }
}

impl From<Vec<NewEvent>> for Batch {
    fn from(events: Vec<NewEvent>) -> Self {
        Self {
            range: 0..events.len(),
            events: events.into(),
        }
    }
}

impl Deref for Batch {
    type Target = [NewEvent];

    fn deref(&self) -> &[NewEvent] {
        &self.events[self.range.clone()]
    }
}

/// How a backend is to be used.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many reads run at once.
    pub read_connections: usize,
    /// How long to wait for a lock or an answer.
    pub timeout: Duration,
}

/// Opens the database a URL names, creates or migrates its schema, and checks that commits are durable.
///
/// # Errors
/// The URL is of no known kind, or the database cannot be used. The text does not repeat the URL: it can
/// hold a password.
pub async fn open(url: &str, settings: Settings) -> anyhow::Result<Arc<dyn Repo>> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path).to_owned();
        let open =
            tokio::task::spawn_blocking(move || sqlite::Sqlite::open(path.as_ref(), settings));
        return Ok(Arc::new(open.await??));
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(Arc::new(postgres::Postgres::open(url, settings).await?));
    }
    anyhow::bail!("the database must be sqlite:<path> or postgres://…")
}
