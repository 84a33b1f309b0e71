//! Active messages of a batch, and what became known of them.

use rusqlite::{OptionalExtension, Transaction, named_params};

use super::super::sends::{Additions, CreditName, NewsRow, ReportRow, SendRow};

pub(super) fn write(
    transaction: &Transaction<'_>,
    additions: &Additions<'_>,
) -> rusqlite::Result<()> {
    for send in &additions.sends {
        insert_send(transaction, send)?;
    }
    for report in additions.reports.values() {
        save_report(transaction, report)?;
    }
    for (name, news) in &additions.credits {
        let credit_key = credit(transaction, *name)?;
        for news in news {
            insert_news(transaction, credit_key, news)?;
        }
    }
    Ok(())
}

fn insert_send(transaction: &Transaction<'_>, row: &SendRow<'_>) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO sends (seq, account_key, appid, openid, client, api, template_id, msgtype, client_msg_id, \
             digest, errcode, msgid, outcome, sent_at_ms) \
             VALUES (:seq, :account_key, :appid, :openid, :client, :api, :template_id, :msgtype, :client_msg_id, \
             :digest, :errcode, :msgid, :outcome, :sent_at_ms) ON CONFLICT (seq) DO NOTHING",
        )?
        .execute(named_params! {
            ":seq": row.seq,
            ":account_key": row.account_key,
            ":appid": row.appid,
            ":openid": row.openid,
            ":client": row.client,
            ":api": row.api,
            ":template_id": row.template_id,
            ":msgtype": row.msgtype,
            ":client_msg_id": row.client_msg_id,
            ":digest": row.digest,
            ":errcode": row.errcode,
            ":msgid": row.msgid,
            ":outcome": row.outcome,
            ":sent_at_ms": row.sent_at_ms,
        })?;
    Ok(())
}

/// The newest word on a message stays.
fn save_report(transaction: &Transaction<'_>, row: &ReportRow<'_>) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO reports (account_key, msgid, failure, at, at_ms, tie) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (account_key, msgid) DO UPDATE SET failure = excluded.failure, at = excluded.at, \
             at_ms = excluded.at_ms, tie = excluded.tie \
             WHERE (excluded.at, excluded.at_ms, excluded.tie) > (reports.at, reports.at_ms, reports.tie)",
        )?
        .execute((
            row.account_key,
            row.msgid,
            row.failure,
            row.at.at,
            row.at.at_ms,
            row.at.tie,
        ))?;
    Ok(())
}

/// The key of a user's credits for a template, which are made if there are none.
fn credit(transaction: &Transaction<'_>, name: CreditName<'_>) -> rusqlite::Result<i64> {
    let known = transaction
        .prepare_cached(
            "SELECT credit_key FROM credits WHERE account_key = ?1 AND openid = ?2 AND template_id = ?3",
        )?
        .query_row(name, |row| row.get(0))
        .optional()?;
    if let Some(credit_key) = known {
        return Ok(credit_key);
    }
    transaction
        .prepare_cached(
            "INSERT INTO credits (account_key, openid, template_id) VALUES (?1, ?2, ?3)",
        )?
        .execute(name)?;
    Ok(transaction.last_insert_rowid())
}

fn insert_news(
    transaction: &Transaction<'_>,
    credit_key: i64,
    row: &NewsRow<'_>,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO credit_news (credit_key, seq, place, change, msgid, at, at_ms, tie) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (credit_key, seq, place) DO NOTHING",
        )?
        .execute((
            credit_key,
            row.seq,
            row.place,
            row.change,
            row.msgid,
            row.at.at,
            row.at.at_ms,
            row.at.tie,
        ))?;
    Ok(())
}
