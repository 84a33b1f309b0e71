//! Replies to pushes whose work was claimed, last claimed first.

use weir_store_api::read::{Page, Reply, ReplyState};

use super::super::work::{STATES, state_column};
use super::{Cell, Order, Position, Repo, RepoError, Row, Slice};
use super::{account_names, milliseconds, name_of, page};

/// Which replies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplyFilter {
    /// Of this account.
    pub account: Option<String>,
    /// In this state.
    pub state: Option<ReplyState>,
}

macro_rules! statement {
    ($condition:literal) => {
        concat!(
            "SELECT w.work_key, w.push, w.account_key, w.openid, w.app, w.state, w.failed, w.reason, w.errcode, \
             w.claimed_at_ms, w.done_at_ms FROM work w WHERE ",
            $condition,
            " ORDER BY w.work_key DESC LIMIT $2"
        )
    };
}

const ALL: &str = statement!("w.work_key < $1");
const BY_STATE: &str = statement!("w.work_key < $1 AND w.account_key = $3 AND w.state = $4");

/// How SQLite must go about each.
#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (ALL, "SEARCH w USING INTEGER PRIMARY KEY (rowid<?)"),
    (
        BY_STATE,
        "work_by_state (account_key=? AND state=? AND work_key<?)",
    ),
];

/// A page of replies.
///
/// # Errors
/// The database did not answer.
pub async fn replies(
    repo: &dyn Repo,
    filter: &ReplyFilter,
    slice: Slice,
) -> Result<Page<Reply>, RepoError> {
    let accounts = account_names(repo, filter.account.as_deref()).await?;
    let cells = || vec![slice.after.minor.into(), slice.rows()];
    let rows = if filter.account.is_none() && filter.state.is_none() {
        repo.select(ALL, vec![cells()]).await?
    } else {
        // A branch for each account and state. Without a name the rows of no account are wanted too.
        let nobody = filter.account.is_none().then_some(0);
        let keys = accounts.iter().map(|(key, _)| *key).chain(nobody);
        let states = filter
            .state
            .as_ref()
            .map_or(&STATES[..], std::slice::from_ref);
        let branch = |key: i64, state: &ReplyState| {
            let more: [Cell; 2] = [key.into(), state_column(*state).into()];
            cells().into_iter().chain(more).collect()
        };
        let branches = keys.flat_map(|key| states.iter().map(move |state| branch(key, state)));
        repo.select(BY_STATE, branches.collect()).await?
    };
    let replies = rows.into_iter().map(|row| read(row, &accounts));
    let replies = replies.collect::<Result<Vec<_>, _>>()?;
    Ok(page(replies, Order::Replies, slice.limit))
}

fn read(mut row: Row, accounts: &[(i64, String)]) -> Result<(Position, Reply), RepoError> {
    let work_key = row.some_int()?;
    let reply = Reply {
        push: row.some_text()?,
        account: name_of(accounts, row.some_int()?),
        openid: row.text()?,
        app: row.text()?,
        state: state(row.some_int()?)?,
        failed: row.text()?,
        reason: row.text()?,
        errcode: row.int()?,
        claimed_at: row.int()?.map(milliseconds),
        done_at: row.int()?.map(milliseconds),
    };
    let position = Position {
        major: 0,
        minor: work_key,
    };
    Ok((position, reply))
}

fn state(column: i64) -> Result<ReplyState, RepoError> {
    let known = |state: &ReplyState| state_column(*state) == column;
    STATES
        .into_iter()
        .find(known)
        .ok_or_else(|| RepoError::Unavailable("a state is not one of ours".to_owned()))
}
