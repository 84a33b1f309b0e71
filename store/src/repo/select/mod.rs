//! The read side: what each listing asks the database, the same for both backends.
//!
//! Every statement is fixed text with all its bounds as parameters, served by one index from the place of the
//! cursor on, and reads at most one row more than it returns. Nothing here ever scans a table (a test asks SQLite
//! for its plans). A listing that no single index serves (across accounts, or both states) runs its statement once
//! per branch and merges.

mod cards;
mod credits;
mod deliveries;
mod events;
mod follows;
mod messages;
mod people;
mod replies;
mod users;

use std::ops::Range;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use weir_store_api::read::{Account, Page};

pub use cards::{CardFilter, Found as FoundCard, card, card_name, cards, due_cards, folded_card};
pub use credits::{CreditFilter, credits};
pub use deliveries::{DeliveryFilter, deliveries};
pub use events::{EventFilter, events};
pub use follows::daily_follows;
pub use messages::{MessageFilter, messages};
pub use people::{person, person_uid};
pub use replies::{ReplyFilter, replies};
pub use users::{Ask, UserFilter, known, user, users};

use super::{Cell, Repo, RepoError, Row};
use crate::cursor::{Order, Position};

/// A part of a listing.
#[derive(Debug, Clone, Copy)]
pub struct Slice {
    /// Where to go on.
    pub after: Position,
    /// How many items at most.
    pub limit: usize,
}

impl Slice {
    /// One more than wanted, to know whether there is more.
    fn rows(self) -> Cell {
        Cell::Int(i64::try_from(self.limit + 1).unwrap_or(i64::MAX))
    }
}

/// Items with their positions, from several branches in any order: cut to one page.
fn page<T>(mut items: Vec<(Position, T)>, order: Order, limit: usize) -> Page<T> {
    items.sort_by_key(|(position, _)| std::cmp::Reverse(*position));
    let more = items.len() > limit;
    items.truncate(limit);
    Page {
        next_cursor: items
            .last()
            .filter(|_| more)
            .map(|(position, _)| order.cursor(*position)),
        items: items.into_iter().map(|(_, item)| item).collect(),
    }
}

/// The two statements of a listing by time: what shares the cursor's second, and what is older. Apart, each is one
/// range of the index; SQLite does not see one in `(time, key) < ($1, $2)`.
#[derive(Debug, Clone, Copy)]
struct ByTime {
    /// `$1` branch, `$2` the second, `$3` the key to stay below, `$4` limit, `$5` … more.
    ties: &'static str,
    /// `$1` branch, `$2` from (inclusive), `$3` until (exclusive), `$4` limit, `$5` … more.
    rest: &'static str,
}

impl ByTime {
    /// The rows of all branches within the range of Unix seconds. A branch is its key and further parameters.
    async fn rows(
        self,
        repo: &dyn Repo,
        branches: &[(i64, Vec<Cell>)],
        range: Option<&Range<i64>>,
        slice: Slice,
    ) -> Result<Vec<Row>, RepoError> {
        let Range { start, end } = range.cloned().unwrap_or(i64::MIN..i64::MAX);
        let Position { major, minor } = slice.after;
        let cells = |from: i64, to: i64| {
            let branch = move |(key, more): &(i64, Vec<Cell>)| {
                let mut cells = vec![Cell::Int(*key), from.into(), to.into(), slice.rows()];
                cells.extend_from_slice(more);
                cells
            };
            branches.iter().map(branch).collect()
        };
        let mut rows = if (start..end).contains(&major) {
            repo.select(self.ties, cells(major, minor)).await?
        } else {
            Vec::new()
        };
        rows.extend(repo.select(self.rest, cells(start, end.min(major))).await?);
        Ok(rows)
    }
}

const ACCOUNTS: &str = "SELECT account_key, name FROM accounts";

/// The accounts' keys and names: of the one that is asked for, or of all.
pub(crate) async fn account_names(
    repo: &dyn Repo,
    wanted: Option<&str>,
) -> Result<Vec<(i64, String)>, RepoError> {
    let rows = repo.select(ACCOUNTS, vec![vec![]]).await?;
    let accounts = rows
        .into_iter()
        .map(|mut row| Ok((row.some_int()?, row.some_text()?)));
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| wanted == name);
    accounts
        .filter(|account| account.as_ref().map_or(true, |(_, name)| is_wanted(name)))
        .collect()
}

fn name_of(accounts: &[(i64, String)], key: i64) -> Option<String> {
    let (_, name) = accounts.iter().find(|(known, _)| *known == key)?;
    Some(name.clone())
}

const ACCOUNT_APPIDS: &str = "SELECT a.name, p.appid, p.first_seen_at \
     FROM accounts a JOIN account_appids p ON p.account_key = a.account_key \
     ORDER BY a.name, p.first_seen_at, p.appid";

/// All accounts by name. There are as many as the gateways have configured: few.
///
/// # Errors
/// The database did not answer.
pub async fn accounts(repo: &dyn Repo) -> Result<Vec<Account>, RepoError> {
    let mut accounts: Vec<Account> = Vec::new();
    for mut row in repo.select(ACCOUNT_APPIDS, vec![vec![]]).await? {
        let name = row.some_text()?;
        let appid = Some(row.some_text()?).filter(|appid| !appid.is_empty());
        let first_seen_at = seconds(row.some_int()?);
        match accounts.last_mut().filter(|account| account.name == name) {
            // Rows come by first use: the last appid is the one in use, the first row has the earliest event.
            Some(account) => account.appid = appid.or(account.appid.take()),
            None => accounts.push(Account {
                name,
                appid,
                first_seen_at,
            }),
        }
    }
    Ok(accounts)
}

/// The appid that an account uses; empty where none was told.
///
/// # Errors
/// The database did not answer.
pub async fn appid(repo: &dyn Repo, account: &str) -> Result<String, RepoError> {
    let accounts = accounts(repo).await?;
    let known = accounts.into_iter().find(|known| known.name == account);
    Ok(known.and_then(|known| known.appid).unwrap_or_default())
}

/// RFC 3339 of Unix seconds. What no calendar knows becomes the epoch.
fn seconds(unix: i64) -> String {
    milliseconds(unix.saturating_mul(1000))
}

/// RFC 3339 of Unix milliseconds. What no calendar knows becomes the epoch.
pub(crate) fn milliseconds(unix: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix) * 1_000_000)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "1970-01-01T00:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::super::migrate;
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        assert_eq!(seconds(1_714_113_002), "2024-04-26T06:30:02Z");
        assert_eq!(milliseconds(1_714_113_002_345), "2024-04-26T06:30:02.345Z");
        assert_eq!(seconds(i64::MAX), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn branches_merge_into_one_page_from_high_to_low() {
        let at = |major, minor| Position { major, minor };
        let items = vec![
            (at(1, 1), 'd'),
            (at(3, 1), 'b'),
            (at(3, 2), 'a'),
            (at(2, 9), 'c'),
        ];
        let page = page(items, Order::Messages, 3);
        assert_eq!(page.items, ['a', 'b', 'c']);
        assert_eq!(page.next_cursor, Some(Order::Messages.cursor(at(2, 9))));
    }

    #[test]
    fn every_listing_is_a_range_of_one_index() {
        let connection = Connection::open_in_memory().unwrap();
        for step in migrate::SQLITE {
            connection.execute_batch(step.sql).unwrap();
        }
        let listings = [
            users::PLANS,
            messages::PLANS,
            events::PLANS,
            replies::PLANS,
            deliveries::PLANS,
            credits::PLANS,
            cards::PLANS,
            super::super::care::PLANS,
            super::super::catch_up::PLANS,
        ]
        .concat();
        for (statement, expected) in listings {
            let explain = format!("EXPLAIN QUERY PLAN {}", statement.replace('$', "?"));
            let mut explain = connection.prepare(&explain).unwrap();
            let parameters = vec![1_i64; explain.parameter_count()];
            let steps = explain
                .query_map(rusqlite::params_from_iter(parameters), |row| {
                    row.get::<_, String>(3)
                })
                .unwrap();
            let steps: Vec<String> = steps.collect::<Result<_, _>>().unwrap();
            assert!(
                steps.iter().any(|step| step.contains(expected)),
                "{statement}: {steps:#?}"
            );
            // The inner statement, already cut to a page, is what the others are looked up for; the clock is a row of its own.
            let page = ["SCAN f", "SCAN m", "SCAN s"];
            let clock = ["SCAN CONSTANT ROW", "SCAN weir_clock"];
            let is_small = |step: &str| page.contains(&step) || clock.contains(&step);
            assert!(
                steps.iter().all(|step| is_small(step)
                    || !(step.contains("SCAN") || step.contains("TEMP B-TREE"))),
                "{statement}: {steps:#?}"
            );
        }
    }
}
