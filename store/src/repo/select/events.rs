//! The log, last stored first.

use serde_json::value::RawValue;
use weir_store_api::read::{Page, StoredEvent};

use super::{Order, Position, Repo, RepoError, Row, Slice};
use super::{account_names, milliseconds, page};

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Concerning this account.
    pub account: Option<String>,
}

macro_rules! statement {
    ($condition:literal) => {
        concat!(
            "SELECT e.seq, s.source, e.id, e.type, e.at_ms, e.subject, e.stored_at_ms, e.data \
             FROM events e CROSS JOIN sources s WHERE s.source_key = e.source_key AND ",
            $condition,
            " ORDER BY e.seq DESC LIMIT $2"
        )
    };
}

const ALL: &str = statement!("e.seq < $1");
const BY_ACCOUNT: &str = statement!("e.seq < $1 AND e.account_key = $3");

/// How SQLite must go about each.
#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (ALL, "SEARCH e USING INTEGER PRIMARY KEY (rowid<?)"),
    (BY_ACCOUNT, "events_by_account (account_key=? AND seq<?)"),
];

/// A page of events.
///
/// # Errors
/// The database did not answer.
pub async fn events(
    repo: &dyn Repo,
    filter: &EventFilter,
    slice: Slice,
) -> Result<Page<StoredEvent>, RepoError> {
    let cells = || vec![slice.after.minor.into(), slice.rows()];
    let rows = if filter.account.is_some() {
        let accounts = account_names(repo, filter.account.as_deref()).await?;
        let branch = |key: i64| [cells(), vec![key.into()]].concat();
        let branches = accounts.iter().map(|(key, _)| branch(*key)).collect();
        repo.select(BY_ACCOUNT, branches).await?
    } else {
        repo.select(ALL, vec![cells()]).await?
    };
    let events = rows.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(page(events, Order::Events, slice.limit))
}

fn read(mut row: Row) -> Result<(Position, StoredEvent), RepoError> {
    let seq = row.some_int()?;
    let event = StoredEvent {
        source: row.some_text()?,
        id: row.some_text()?,
        kind: row.some_text()?,
        time: row.int()?.map(milliseconds),
        subject: row.text()?,
        stored_at: milliseconds(row.some_int()?),
        data: row
            .text()?
            .and_then(|data| RawValue::from_string(data).ok()),
    };
    let position = Position {
        major: 0,
        minor: seq,
    };
    Ok((position, event))
}
