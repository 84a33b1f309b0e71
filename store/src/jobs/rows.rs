//! What is asked of the database about jobs: the same for both.
//!
//! Whoever writes what it did names its lease's owner, and the statement compares: it does nothing once another store has
//! taken the lease.

use std::time::Duration;

use weir_errands::sync::{List, Page};
use weir_store_api::jobs::{JobState, Sync, SyncProgress, SyncRequest};
use weir_store_api::read;

use super::Wanted;
use crate::cursor::{Order, Position};
use crate::repo::select::{Slice, milliseconds};
use crate::repo::{Cell, Repo, RepoError, Row};

/// A column, and whether the lease is `$1`'s of account `$2` and kind `$3`.
macro_rules! held {
    () => {
        "EXISTS (SELECT 1 FROM job_leases l WHERE l.owner = $1 AND l.account = $2 AND l.kind = $3)"
    };
}
macro_rules! now {
    () => {
        "(SELECT now_ms FROM weir_clock)"
    };
}

pub(super) const SYNC: &str = "sync";

/// The name is that of the pass before, if it ended early: this one goes on with it.
const CREATE: &str = "INSERT INTO jobs (account, kind, name, state, request, asked_by, why, asked_ms, due_ms, stop, tries, counts, whole) \
     SELECT $1, $2, COALESCE((SELECT CASE WHEN l.state IN ('failed', 'stopped') THEN l.name END \
         FROM jobs l WHERE l.account = $1 AND l.kind = $2 AND CAST($8 AS BIGINT) = 0 AND l.whole = 1 ORDER BY l.job_key DESC LIMIT 1), $3), \
     'waiting', $4, $5, $6, c.now_ms, c.now_ms + $7, 0, 0, '{}', 1 - CAST($8 AS BIGINT) FROM weir_clock c WHERE true \
     ON CONFLICT DO NOTHING RETURNING job_key";
const OPEN_SYNC: &str =
    "SELECT job_key FROM jobs WHERE account = $1 AND kind = 'sync' AND ended_ms IS NULL";
const LAST_ASKED: &str = "SELECT c.now_ms, (SELECT j.asked_ms FROM jobs j WHERE j.account = $1 AND j.kind = 'sync' AND j.whole = 1 \
     ORDER BY j.job_key DESC LIMIT 1) FROM weir_clock c";

macro_rules! columns {
    () => {
        "j.job_key, j.account, j.state, j.request, j.asked_by, j.why, j.asked_ms, j.begun_ms, j.ended_ms, j.due_ms, \
         j.errcode, j.reason, j.counts"
    };
}
const SHOW: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM jobs j WHERE j.job_key = $1 AND j.account = $2 AND j.kind = 'sync'"
);
const LIST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM jobs j WHERE j.account = $1 AND j.kind = 'sync' AND j.job_key < $2 ORDER BY j.job_key DESC LIMIT $3"
);
/// Nobody is at work on one that waits or rests: it ends here.
const STOP: &str = concat!(
    "UPDATE jobs SET stop = 1, ",
    "state = CASE WHEN state = 'running' THEN state ELSE 'stopped' END, ",
    "ended_ms = CASE WHEN state = 'running' THEN NULL ELSE ",
    now!(),
    " END WHERE job_key = $1 AND account = $2 AND kind = $3 AND ended_ms IS NULL RETURNING job_key"
);

/// Changes of an account's tags are made one after the other.
const DUE: &str = "SELECT j.job_key, j.account, j.kind FROM jobs j, weir_clock c \
     WHERE j.ended_ms IS NULL AND j.due_ms <= c.now_ms AND NOT EXISTS (SELECT 1 FROM job_leases l \
         WHERE l.account = j.account AND l.kind = j.kind AND l.until_ms > c.now_ms) \
     AND NOT (j.kind = 'tags' AND EXISTS (SELECT 1 FROM jobs e WHERE e.account = j.account AND e.kind = j.kind \
         AND e.ended_ms IS NULL AND e.job_key < j.job_key)) ORDER BY j.due_ms, j.job_key LIMIT $1";
const TAKE: &str = concat!(
    "INSERT INTO job_leases (owner, account, kind, until_ms) SELECT $1, $2, $3, c.now_ms + $4 FROM weir_clock c WHERE true \
     ON CONFLICT (account, kind) DO UPDATE SET owner = excluded.owner, until_ms = excluded.until_ms \
     WHERE job_leases.until_ms <= ",
    now!(),
    " RETURNING owner"
);
const RENEW: &str = concat!(
    "UPDATE job_leases SET until_ms = $4 + ",
    now!(),
    " WHERE owner = $1 AND account = $2 AND kind = $3 RETURNING owner"
);
const RELEASE: &str =
    "DELETE FROM job_leases WHERE owner = $1 AND account = $2 AND kind = $3 RETURNING owner";
const BEGIN: &str = concat!(
    "UPDATE jobs SET state = 'running', begun_ms = COALESCE(begun_ms, ",
    now!(),
    ") WHERE job_key = $4 AND ended_ms IS NULL AND ",
    held!(),
    " RETURNING name, request, counts, stop, tries"
);
const PROGRESS: &str = concat!(
    "UPDATE jobs SET counts = $5 WHERE job_key = $4 AND ended_ms IS NULL AND ",
    held!(),
    " RETURNING stop"
);
const FINISH: &str = concat!(
    "UPDATE jobs SET state = $5, errcode = $6, reason = $7, counts = $8, ended_ms = ",
    now!(),
    " WHERE job_key = $4 AND ended_ms IS NULL AND ",
    held!(),
    " RETURNING job_key"
);
/// Also what leaves a job to others at once: a rest that is over.
const REST: &str = concat!(
    "UPDATE jobs SET state = $5, errcode = $6, reason = $7, counts = $8, due_ms = $9, tries = $10 \
     WHERE job_key = $4 AND ended_ms IS NULL AND ",
    held!(),
    " RETURNING job_key"
);

const PAGES: &str =
    "SELECT page, total, next, openids FROM sync_pages WHERE run = $1 ORDER BY page";
const BATCHES: &str = "SELECT batch FROM sync_batches WHERE run = $1";
const KEEP_PAGE: &str = concat!(
    "INSERT INTO sync_pages (run, page, total, next, openids) \
     SELECT CAST($4 AS TEXT), CAST($5 AS BIGINT), CAST($6 AS BIGINT), CAST($7 AS TEXT), CAST($8 AS TEXT) WHERE ",
    held!(),
    " ON CONFLICT DO NOTHING RETURNING page"
);
const KEEP_BATCH: &str =
    "INSERT INTO sync_batches (run, batch) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const BLACKLIST_PAGES: &str = "SELECT page, total, next, openids, asked_ms FROM sync_blacklist_pages WHERE run = $1 ORDER BY page";
const KEEP_BLACKLIST_PAGE: &str = concat!(
    "INSERT INTO sync_blacklist_pages (run, page, total, next, openids, asked_ms) \
     SELECT CAST($4 AS TEXT), CAST($5 AS BIGINT), CAST($6 AS BIGINT), CAST($7 AS TEXT), CAST($8 AS TEXT), CAST($9 AS BIGINT) WHERE ",
    held!(),
    " ON CONFLICT DO NOTHING RETURNING page"
);
const FORGET_BLACKLIST_PAGES: &str = "DELETE FROM sync_blacklist_pages WHERE run = $1";
const FORGET_PAGES: &str = "DELETE FROM sync_pages WHERE run = $1";
const FORGET_BATCHES: &str = "DELETE FROM sync_batches WHERE run = $1";

const FOLLOWERS: &str = "SELECT u.user_key, u.openid FROM users u JOIN follows f ON f.user_key = u.user_key \
     WHERE u.account_key = (SELECT a.account_key FROM accounts a WHERE a.name = $1) AND u.user_key > $2 AND f.state = 1 \
     ORDER BY u.user_key LIMIT $3";
const BLACKLISTED: &str = "SELECT u.user_key, u.openid FROM blacklist b JOIN users u ON u.user_key = b.user_key \
     WHERE b.account_key = (SELECT a.account_key FROM accounts a WHERE a.name = $1) AND b.user_key > $2 AND b.listed = 1 \
     ORDER BY b.user_key LIMIT $3";
const COMPLETED: &str = "SELECT account, MAX(ended_ms) FROM jobs \
     WHERE kind = 'sync' AND state = 'done' AND whole = 1 GROUP BY account";

/// A lease that was taken.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    owner: String,
    account: String,
    kind: String,
}

/// A job that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) id: i64,
    pub(super) account: String,
    pub(super) kind: String,
}

/// A job that was begun, or is gone on with.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) name: String,
    /// What is wanted, JSON.
    pub(super) request: String,
    /// How far it is, JSON.
    pub(super) counts: String,
    pub(super) is_stopped: bool,
    pub(super) tries: i64,
}

fn ms(time: Duration) -> Cell {
    Cell::Int(i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2))
}

pub(super) fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

pub(super) fn json(value: &impl serde::Serialize) -> Cell {
    Cell::Text(serde_json::to_string(value).expect("texts and numbers are JSON"))
}

pub(super) fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, RepoError> {
    let read = serde_json::from_str(text);
    read.map_err(|_| RepoError::Unavailable("a job's row is not what was written".to_owned()))
}

/// Asks for a sync; `None`: one of the account is not over yet.
pub(super) async fn create(
    repo: &dyn Repo,
    account: &str,
    wanted: &Wanted,
    request: &SyncRequest,
    delay: Duration,
) -> Result<Option<i64>, RepoError> {
    let cells = vec![
        text(account),
        text(SYNC),
        Cell::Text(format!("{:016x}", fastrand::u64(..))),
        json(wanted),
        request.by.as_deref().into(),
        request.why.as_deref().into(),
        ms(delay),
        Cell::Int(i64::from(wanted.openids.is_some())),
    ];
    let mut rows = repo.change(CREATE, vec![cells]).await?;
    rows.pop().map(|mut row| row.some_int()).transpose()
}

pub(super) async fn open_sync(repo: &dyn Repo, account: &str) -> Result<Option<i64>, RepoError> {
    let mut rows = repo.select(OPEN_SYNC, vec![vec![text(account)]]).await?;
    rows.pop().map(|mut row| row.some_int()).transpose()
}

/// The database's time, and when a sync of all the account's followers was asked for last. Unix milliseconds.
pub(super) async fn last_asked(
    repo: &dyn Repo,
    account: &str,
) -> Result<(i64, Option<i64>), RepoError> {
    let mut rows = repo.select(LAST_ASKED, vec![vec![text(account)]]).await?;
    let Some(mut row) = rows.pop() else {
        return Err(RepoError::Unavailable("it has no clock".to_owned()));
    };
    Ok((row.some_int()?, row.int()?))
}

/// What all jobs show.
pub(super) struct Shown<P> {
    pub(super) account: String,
    pub(super) state: JobState,
    pub(super) request: String,
    pub(super) by: Option<String>,
    pub(super) why: Option<String>,
    pub(super) asked_at: String,
    pub(super) begun_at: Option<String>,
    pub(super) ended_at: Option<String>,
    pub(super) due_at: Option<String>,
    pub(super) errcode: Option<i64>,
    pub(super) reason: Option<String>,
    pub(super) progress: P,
}

/// Reads a job's columns; its number, and what is left of the row.
pub(super) fn shown<P: serde::de::DeserializeOwned>(
    mut row: Row,
) -> Result<(i64, Shown<P>, Row), RepoError> {
    let (id, account, state) = (row.some_int()?, row.some_text()?, row.some_text()?);
    let known = JobState::ALL
        .into_iter()
        .find(|known| known.name() == state);
    let state = known.ok_or_else(|| RepoError::Unavailable("a job's state is none".to_owned()))?;
    let request = row.some_text()?;
    let (by, why, asked_ms) = (row.text()?, row.text()?, row.some_int()?);
    let (begun_ms, ended_ms, due_ms) = (row.int()?, row.int()?, row.some_int()?);
    let (errcode, reason, counts) = (row.int()?, row.text()?, row.some_text()?);
    let shown = Shown {
        account,
        state,
        request,
        by,
        why,
        asked_at: milliseconds(asked_ms),
        begun_at: begun_ms.map(milliseconds),
        ended_at: ended_ms.map(milliseconds),
        due_at: (state == JobState::Resting).then(|| milliseconds(due_ms)),
        errcode,
        reason,
        progress: read(&counts)?,
    };
    Ok((id, shown, row))
}

fn job(row: Row) -> Result<(i64, Sync), RepoError> {
    let (id, shown, _) = shown::<SyncProgress>(row)?;
    let wanted: Wanted = read(&shown.request)?;
    let sync = Sync {
        id,
        account: shown.account,
        state: shown.state,
        chosen: wanted.openids.map(|openids| openids.len() as u64),
        by: shown.by,
        why: shown.why,
        asked_at: shown.asked_at,
        begun_at: shown.begun_at,
        ended_at: shown.ended_at,
        due_at: shown.due_at,
        errcode: shown.errcode,
        reason: shown.reason,
        progress: shown.progress,
    };
    Ok((id, sync))
}

/// A sync, by its number.
///
/// # Errors
/// The database did not answer.
pub async fn sync(repo: &dyn Repo, account: &str, id: i64) -> Result<Option<Sync>, RepoError> {
    let cells = vec![Cell::Int(id), text(account)];
    let mut rows = repo.select(SHOW, vec![cells]).await?;
    let found = rows.pop().map(job).transpose()?;
    Ok(found.map(|(_, sync)| sync))
}

/// An account's syncs, last asked for first.
///
/// # Errors
/// The database did not answer.
pub async fn syncs(
    repo: &dyn Repo,
    account: &str,
    slice: Slice,
) -> Result<read::Page<Sync>, RepoError> {
    let rows = i64::try_from(slice.limit + 1).unwrap_or(i64::MAX);
    let cells = vec![text(account), Cell::Int(slice.after.minor), Cell::Int(rows)];
    let mut items = Vec::new();
    for row in repo.select(LIST, vec![cells]).await? {
        items.push(job(row)?);
    }
    let more = items.len() > slice.limit;
    items.truncate(slice.limit);
    let last = items.last().filter(|_| more).map(|(id, _)| *id);
    let cursor = |id| {
        Order::Jobs.cursor(Position {
            major: 0,
            minor: id,
        })
    };
    Ok(read::Page {
        next_cursor: last.map(cursor),
        items: items.into_iter().map(|(_, sync)| sync).collect(),
    })
}

pub(super) async fn stop(
    repo: &dyn Repo,
    kind: &str,
    account: &str,
    id: i64,
) -> Result<(), RepoError> {
    let cells = vec![Cell::Int(id), text(account), text(kind)];
    repo.change(STOP, vec![cells]).await.map(drop)
}

/// Jobs that nobody is at work on, and could be.
pub(super) async fn due(repo: &dyn Repo, limit: i64) -> Result<Vec<Due>, RepoError> {
    let rows = repo.select(DUE, vec![vec![Cell::Int(limit)]]).await?;
    let due = rows.into_iter().map(|mut row| {
        Ok(Due {
            id: row.some_int()?,
            account: row.some_text()?,
            kind: row.some_text()?,
        })
    });
    due.collect()
}

impl Lease {
    /// Takes the lease for a job's account and kind. `None`: another has it.
    pub(super) async fn take(
        repo: &dyn Repo,
        due: &Due,
        time: Duration,
    ) -> Result<Option<Self>, RepoError> {
        let lease = Self {
            owner: format!("{:016x}", fastrand::u64(..)),
            account: due.account.clone(),
            kind: due.kind.clone(),
        };
        let taken = repo.change(TAKE, vec![lease.cells([ms(time)])]).await?;
        Ok((!taken.is_empty()).then_some(lease))
    }

    /// `false`: another has it.
    pub(super) async fn renew(&self, repo: &dyn Repo, time: Duration) -> Result<bool, RepoError> {
        let renewed = repo.change(RENEW, vec![self.cells([ms(time)])]).await?;
        Ok(!renewed.is_empty())
    }

    pub(super) async fn release(&self, repo: &dyn Repo) -> Result<(), RepoError> {
        repo.change(RELEASE, vec![self.cells([])]).await.map(drop)
    }

    /// `None`: the job is over, or the lease another's.
    pub(super) async fn begin(&self, repo: &dyn Repo, id: i64) -> Result<Option<Begun>, RepoError> {
        let mut rows = repo
            .change(BEGIN, vec![self.cells([Cell::Int(id)])])
            .await?;
        let Some(mut row) = rows.pop() else {
            return Ok(None);
        };
        Ok(Some(Begun {
            name: row.some_text()?,
            request: row.some_text()?,
            counts: row.some_text()?,
            is_stopped: row.some_int()? == 1,
            tries: row.some_int()?,
        }))
    }

    /// Whether somebody wants the job to end; `None`: it is not ours any more.
    pub(super) async fn progress(
        &self,
        repo: &dyn Repo,
        id: i64,
        counts: &str,
    ) -> Result<Option<bool>, RepoError> {
        let cells = self.cells([Cell::Int(id), text(counts)]);
        let mut rows = repo.change(PROGRESS, vec![cells]).await?;
        let stop = rows.pop().map(|mut row| row.some_int()).transpose()?;
        Ok(stop.map(|stop| stop == 1))
    }

    pub(super) async fn finish(
        &self,
        repo: &dyn Repo,
        id: i64,
        state: JobState,
        (errcode, why): (Option<i64>, Option<&str>),
        counts: &str,
    ) -> Result<(), RepoError> {
        let cells = [
            Cell::Int(id),
            text(state.name()),
            errcode.into(),
            why.into(),
            text(counts),
        ];
        repo.change(FINISH, vec![self.cells(cells)]).await.map(drop)
    }

    /// Until then, in Unix milliseconds, nobody takes it up; with how often in a row it rested. Without a time it is anybody's
    /// at once.
    pub(super) async fn rest(
        &self,
        repo: &dyn Repo,
        id: i64,
        rest: Option<(i64, i64)>,
        (errcode, why): (Option<i64>, Option<&str>),
        counts: &str,
    ) -> Result<(), RepoError> {
        let state = match rest {
            Some(_) => JobState::Resting,
            None => JobState::Waiting,
        };
        let (until_ms, tries) = rest.unwrap_or_default();
        let cells = [
            Cell::Int(id),
            text(state.name()),
            errcode.into(),
            why.into(),
            text(counts),
            Cell::Int(until_ms),
            Cell::Int(tries),
        ];
        repo.change(REST, vec![self.cells(cells)]).await.map(drop)
    }

    /// Keeps a page of a pass. `false`: the lease is another's.
    pub(super) async fn keep_page(
        &self,
        repo: &dyn Repo,
        (run, list, number): (&str, List, i64),
        page: &Page,
    ) -> Result<bool, RepoError> {
        let mut cells = self.cells([
            text(run),
            Cell::Int(number),
            Cell::Int(i64::try_from(page.total).unwrap_or(i64::MAX)),
            text(&page.next),
            json(&page.openids),
        ]);
        let statement = match list {
            List::Followers => KEEP_PAGE,
            List::Blacklist => {
                cells.push(page.asked_ms.into());
                KEEP_BLACKLIST_PAGE
            }
        };
        Ok(!repo.change(statement, vec![cells]).await?.is_empty())
    }

    fn cells<const N: usize>(&self, more: [Cell; N]) -> Vec<Cell> {
        let mut cells = vec![text(&self.owner), text(&self.account), text(&self.kind)];
        cells.extend(more);
        cells
    }
}

/// The pages of a pass, in their order.
pub(super) async fn pages(repo: &dyn Repo, run: &str, list: List) -> Result<Vec<Page>, RepoError> {
    let statement = match list {
        List::Followers => PAGES,
        List::Blacklist => BLACKLIST_PAGES,
    };
    let rows = repo.select(statement, vec![vec![text(run)]]).await?;
    let pages = rows.into_iter().map(|mut row| {
        row.some_int()?;
        Ok(Page {
            total: u64::try_from(row.some_int()?).unwrap_or(0),
            next: row.some_text()?,
            openids: read(&row.some_text()?)?,
            asked_ms: match list {
                List::Followers => 0,
                List::Blacklist => row.some_int()?,
            },
        })
    });
    pages.collect()
}

/// The batches of a pass that are stored.
pub(super) async fn batches(repo: &dyn Repo, run: &str) -> Result<Vec<i64>, RepoError> {
    let rows = repo.select(BATCHES, vec![vec![text(run)]]).await?;
    rows.into_iter().map(|mut row| row.some_int()).collect()
}

/// Notes batches that are stored: true whoever says it.
pub(super) async fn keep_batches(
    repo: &dyn Repo,
    run: &str,
    batches: &[i64],
) -> Result<(), RepoError> {
    let cells = batches
        .iter()
        .map(|batch| vec![text(run), Cell::Int(*batch)]);
    repo.change(KEEP_BATCH, cells.collect()).await.map(drop)
}

/// Forgets how far a pass was: it is complete.
pub(super) async fn forget(repo: &dyn Repo, run: &str) -> Result<(), RepoError> {
    for statement in [FORGET_PAGES, FORGET_BLACKLIST_PAGES, FORGET_BATCHES] {
        repo.change(statement, vec![vec![text(run)]]).await?;
    }
    Ok(())
}

/// Those whom the store has on a list, after a place; with their places.
pub(super) async fn known(
    repo: &dyn Repo,
    (account, list): (&str, List),
    after: i64,
    limit: i64,
) -> Result<Vec<(i64, String)>, RepoError> {
    let statement = match list {
        List::Followers => FOLLOWERS,
        List::Blacklist => BLACKLISTED,
    };
    let cells = vec![text(account), Cell::Int(after), Cell::Int(limit)];
    let rows = repo.select(statement, vec![cells]).await?;
    rows.into_iter()
        .map(|mut row| Ok((row.some_int()?, row.some_text()?)))
        .collect()
}

/// When each account's last complete pass ended, Unix milliseconds.
pub(super) async fn completed(repo: &dyn Repo) -> Result<Vec<(String, i64)>, RepoError> {
    let rows = repo.select(COMPLETED, vec![vec![]]).await?;
    rows.into_iter()
        .map(|mut row| Ok((row.some_text()?, row.some_int()?)))
        .collect()
}
