//! The ledger's rows of a batch.

use rusqlite::{OptionalExtension, Transaction, named_params};

use super::super::work::{WorkRow, entry_columns, load};
use super::super::{Row, Taken};
use super::unreadable;
use crate::ledger::{Entry, Pages};

/// Takes the batch's steps, and notes what they are told.
pub(super) fn write(
    transaction: &Transaction<'_>,
    pages: &Pages<'_>,
    taken: &mut [Taken],
) -> rusqlite::Result<()> {
    for (name, page) in pages {
        let stored = find(transaction, *name)?;
        let before = stored.clone().unwrap_or_default();
        let entry = page.walk(before, &mut |place, work| taken[place].work = Some(work));
        if stored.as_ref() != Some(&entry) {
            save(transaction, &WorkRow::new(*name, &entry))?;
        }
    }
    Ok(())
}

fn find(
    transaction: &Transaction<'_>,
    (source_key, push): (i64, &str),
) -> rusqlite::Result<Option<Entry>> {
    let statement = concat!(
        "SELECT ",
        entry_columns!(),
        " FROM work w WHERE w.source_key = ?1 AND w.push = ?2"
    );
    transaction
        .prepare_cached(statement)?
        .query_row((source_key, push), |row| {
            load(&mut Row::try_from(row)?).map_err(unreadable)
        })
        .optional()
}

fn save(transaction: &Transaction<'_>, row: &WorkRow<'_>) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO work (source_key, push, account_key, openid, claimed_at_ms, claimant, held_at_ms, lease_ms, \
             done_at_ms, app, reply, create_time, failed, handed, sender, ended_at_ms, reason, errcode, state) \
             VALUES (:source_key, :push, :account_key, :openid, :claimed_at_ms, :claimant, :held_at_ms, :lease_ms, \
             :done_at_ms, :app, :reply, :create_time, :failed, :handed, :sender, :ended_at_ms, :reason, :errcode, \
             :state) \
             ON CONFLICT (source_key, push) DO UPDATE SET account_key = excluded.account_key, \
             openid = excluded.openid, claimed_at_ms = excluded.claimed_at_ms, claimant = excluded.claimant, \
             held_at_ms = excluded.held_at_ms, lease_ms = excluded.lease_ms, done_at_ms = excluded.done_at_ms, \
             app = excluded.app, reply = excluded.reply, create_time = excluded.create_time, \
             failed = excluded.failed, handed = excluded.handed, sender = excluded.sender, \
             ended_at_ms = excluded.ended_at_ms, reason = excluded.reason, errcode = excluded.errcode, \
             state = excluded.state",
        )?
        .execute(named_params! {
            ":source_key": row.source_key,
            ":push": row.push,
            ":account_key": row.account_key,
            ":openid": row.openid,
            ":claimed_at_ms": row.claimed_at_ms,
            ":claimant": row.claimant,
            ":held_at_ms": row.held_at_ms,
            ":lease_ms": row.lease_ms,
            ":done_at_ms": row.done_at_ms,
            ":app": row.app,
            ":reply": row.reply,
            ":create_time": row.create_time,
            ":failed": row.failed,
            ":handed": row.handed,
            ":sender": row.sender,
            ":ended_at_ms": row.ended_at_ms,
            ":reason": row.reason,
            ":errcode": row.errcode,
            ":state": row.state,
        })?;
    Ok(())
}
