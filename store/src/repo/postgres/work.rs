//! The ledger's rows of a batch.

use std::collections::HashSet;

use tokio_postgres::Transaction;

use super::super::person::json;
use super::super::work::{WorkRow, load};
use super::super::{RepoError, Row, Taken};
use super::Failure;
use super::statements::Statements;
use crate::ledger::{Entry, Pages};

/// Takes the batch's steps, and notes what they are told.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    statements: &Statements,
    pages: &Pages<'_>,
    taken: &mut [Taken],
) -> Result<(), Failure> {
    let mut answer = |place: usize, work| taken[place].work = Some(work);
    // As if all were new, which most are: in one statement those that are get their rows. It waits for other stores
    // that are making the same ones; so whatever row is not made here is there for good.
    let entries: Vec<_> = pages
        .iter()
        .map(|(name, page)| (*name, page.walk(Entry::default(), &mut answer)))
        .collect();
    let rows: Vec<_> = entries
        .iter()
        .map(|(name, entry)| WorkRow::new(*name, entry))
        .collect();
    let made = transaction
        .query(&statements.add_work, &[&json(&rows)])
        .await?;
    if made.len() == pages.len() {
        return Ok(());
    }
    let made: HashSet<(i64, &str)> = made.iter().map(|row| (row.get(0), row.get(1))).collect();
    let known = || pages.iter().filter(|(name, _)| !made.contains(name));
    let (source_keys, pushes): (Vec<i64>, Vec<&str>) = known().map(|(name, _)| *name).unzip();

    // Locked, and as others left them.
    let rows = transaction
        .query(&statements.lock_work, &[&source_keys, &pushes])
        .await?;
    if rows.len() != pushes.len() {
        // Nothing may be told of a row that is not there.
        return Err(RepoError::Unavailable("a row of the ledger is gone".to_owned()).into());
    }
    let mut changed = Vec::new();
    // Both in the order of their names.
    for ((name, page), row) in known().zip(&rows) {
        let mut row = Row::try_from(row)?;
        if (row.some_int()?, row.some_text()?.as_str()) != *name {
            return Err(RepoError::Unavailable("a row was not asked for".to_owned()).into());
        }
        let before = load(&mut row)?;
        let entry = page.walk(before.clone(), &mut answer);
        if entry != before {
            changed.push((*name, entry));
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = changed
        .iter()
        .map(|(name, entry)| WorkRow::new(*name, entry))
        .collect();
    transaction
        .execute(&statements.save_work, &[&json(&rows)])
        .await?;
    Ok(())
}
