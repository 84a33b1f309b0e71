//! What catching up asks of the database: the same for both.

use super::{Cell, Repo, RepoError};
use crate::fact::Fact;

/// A part of the log, as far as it tells something that may not have been known when it was stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// It begins after the event of this `seq`.
    pub after: i64,
    /// Its last.
    pub upto: i64,
    /// What its events tell, with their `seq`.
    pub facts: Vec<(i64, Fact)>,
}

/// What of the log is to be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unread {
    /// What comes after the event of this `seq`.
    pub(crate) after: i64,
    /// The last.
    pub(crate) last: i64,
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Past {
    pub(crate) seq: i64,
    pub(crate) source: String,
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) at_ms: Option<i64>,
    pub(crate) subject: Option<String>,
    pub(crate) stored_at_ms: i64,
    /// Not of events that are not looked at, nor of those that were erased.
    pub(crate) data: Option<String>,
}

const UNREAD: &str = "SELECT done_seq, last_seq FROM catch_up WHERE done_seq < last_seq";
/// `$1` after, `$2` last, `$3` limit. Only pushed events, results of sends and what was told of cards are looked at.
const PAST: &str = "SELECT e.seq, s.source, e.id, e.type, e.at_ms, e.subject, e.stored_at_ms, \
    CASE WHEN lower(e.type) LIKE 'weir.event.%' OR e.type IN ('weir.send.result', 'weir.card.snapshot') THEN e.data END \
    FROM events e CROSS JOIN sources s WHERE e.seq > $1 AND e.seq <= $2 AND s.source_key = e.source_key \
    ORDER BY e.seq LIMIT $3";
/// `$1` so far it was read, `$2` so far it is. Of several processes one changes it.
pub(super) const NOTE: &str = "UPDATE catch_up SET done_seq = $2 WHERE done_seq = $1";
/// An event, `$1`, of which it was not known that it is of an account, `$2`.
pub(super) const ADOPT: &str =
    "UPDATE events SET account_key = $2 WHERE seq = $1 AND account_key IS NULL";

/// How SQLite must go about it.
#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[(
    PAST,
    "SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
)];

/// What is to be read again, if anything is left.
pub(crate) async fn unread(repo: &dyn Repo) -> Result<Option<Unread>, RepoError> {
    let Some(mut row) = repo.select(UNREAD, vec![vec![]]).await?.pop() else {
        return Ok(None);
    };
    Ok(Some(Unread {
        after: row.some_int()?,
        last: row.some_int()?,
    }))
}

/// The next events of it, in their order.
pub(crate) async fn past(
    repo: &dyn Repo,
    unread: Unread,
    limit: i64,
) -> Result<Vec<Past>, RepoError> {
    let cells = [unread.after, unread.last, limit].map(Cell::Int).to_vec();
    let rows = repo.select(PAST, vec![cells]).await?.into_iter();
    let read = rows.map(|mut row| {
        Ok(Past {
            seq: row.some_int()?,
            source: row.some_text()?,
            id: row.some_text()?,
            kind: row.some_text()?,
            at_ms: row.int()?,
            subject: row.text()?,
            stored_at_ms: row.some_int()?,
            data: row.text()?,
        })
    });
    read.collect()
}
