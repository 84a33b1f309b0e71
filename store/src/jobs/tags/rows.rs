//! What is asked of the database about changes of tags: the same for both.

use weir_store_api::read::Page;
use weir_store_api::tags::TagOperation;

use super::{Done, Wanted};
use crate::cursor::{Order, Position};
use crate::jobs::rows::{Shown, json, read, shown, text};
use crate::repo::select::Slice;
use crate::repo::{Cell, Repo, RepoError, Row};

/// None if a thousand of the account wait already.
const CREATE: &str = "INSERT INTO jobs (account, kind, name, state, request, asked_ms, due_ms, stop, tries, counts, whole) \
     SELECT CAST($1 AS TEXT), 'tags', CAST($2 AS TEXT), 'waiting', CAST($3 AS TEXT), c.now_ms, c.now_ms, 0, 0, '{}', 0 \
     FROM weir_clock c WHERE (SELECT COUNT(*) FROM jobs o \
        WHERE o.account = CAST($1 AS TEXT) AND o.kind = 'tags' AND o.ended_ms IS NULL) < 1000 RETURNING job_key";
const SHOW: &str = "SELECT j.job_key, j.account, j.state, j.request, j.asked_by, j.why, j.asked_ms, j.begun_ms, j.ended_ms, j.due_ms, \
     j.errcode, j.reason, j.counts FROM jobs j WHERE j.job_key = $1 AND j.account = $2 AND j.kind = 'tags'";
const LIST: &str = "SELECT j.job_key, j.account, j.state, j.request, j.asked_by, j.why, j.asked_ms, j.begun_ms, j.ended_ms, j.due_ms, \
     j.errcode, j.reason, j.counts FROM jobs j WHERE j.account = $1 AND j.kind = 'tags' AND j.job_key < $2 \
     ORDER BY j.job_key DESC LIMIT $3";

/// Asks for it; `None`: too many wait.
pub(super) async fn create(
    repo: &dyn Repo,
    account: &str,
    wanted: &Wanted,
) -> Result<Option<i64>, RepoError> {
    let cells = vec![
        text(account),
        Cell::Text(format!("{:016x}", fastrand::u64(..))),
        json(wanted),
    ];
    let mut rows = repo.change(CREATE, vec![cells]).await?;
    rows.pop().map(|mut row| row.some_int()).transpose()
}

fn operation_of(row: Row) -> Result<(i64, TagOperation), RepoError> {
    let (id, shown, _): (i64, Shown<Done>, Row) = shown(row)?;
    let wanted: Wanted = read(&shown.request)?;
    let reason = shown.reason.as_deref();
    let members = wanted.openids();
    let operation = TagOperation {
        id,
        change: wanted.change(),
        tag_id: wanted.tag_id(),
        name: wanted.name().map(str::to_owned),
        members: members.map(|openids| shown.progress.members_of(openids, reason)),
        account: shown.account,
        state: shown.state,
        asked_at: shown.asked_at,
        ended_at: shown.ended_at,
        due_at: shown.due_at,
        errcode: shown.errcode,
        reason: shown.reason,
        tag: shown.progress.tag,
    };
    Ok((id, operation))
}

/// A change, by its number.
///
/// # Errors
/// The database did not answer.
pub async fn operation(
    repo: &dyn Repo,
    account: &str,
    id: i64,
) -> Result<Option<TagOperation>, RepoError> {
    let cells = vec![Cell::Int(id), text(account)];
    let mut rows = repo.select(SHOW, vec![cells]).await?;
    let found = rows.pop().map(operation_of).transpose()?;
    Ok(found.map(|(_, operation)| operation))
}

/// An account's changes, last asked for first.
///
/// # Errors
/// The database did not answer.
pub async fn operations(
    repo: &dyn Repo,
    account: &str,
    slice: Slice,
) -> Result<Page<TagOperation>, RepoError> {
    let rows = i64::try_from(slice.limit + 1).unwrap_or(i64::MAX);
    let cells = vec![text(account), Cell::Int(slice.after.minor), Cell::Int(rows)];
    let rows = repo.select(LIST, vec![cells]).await?;
    let items = rows.into_iter().map(operation_of);
    let mut items: Vec<(i64, TagOperation)> = items.collect::<Result<_, _>>()?;
    let more = items.len() > slice.limit;
    items.truncate(slice.limit);
    let last = items.last().filter(|_| more).map(|(id, _)| *id);
    Ok(Page {
        next_cursor: last.map(|minor| Order::Jobs.cursor(Position { major: 0, minor })),
        items: items.into_iter().map(|(_, operation)| operation).collect(),
    })
}
