//! What a batch tells of who is whom.

use rusqlite::Transaction;

use super::super::cards::card;
use super::super::care;
use super::super::erase::{CARDS, Erased, JOBS, SAVE_CARD, TOLD, UNASK_CARD};
use super::super::people::Ties;
use super::super::person::json;
use super::{sql, unreadable};

/// The earliest word on each unionid stays; of logins the first and the last; of phones and the
/// blacklist the newest.
pub(super) fn write(transaction: &Transaction<'_>, ties: &Ties<'_>) -> rusqlite::Result<()> {
    for row in ties.unions() {
        transaction
            .prepare_cached(
                "INSERT INTO unions (user_key, unionid, at, at_ms, tie) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (user_key, unionid) DO UPDATE SET at = excluded.at, at_ms = excluded.at_ms, \
                 tie = excluded.tie \
                 WHERE (excluded.at, excluded.at_ms, excluded.tie) < (unions.at, unions.at_ms, unions.tie)",
            )?
            .execute((row.user_key, row.unionid, row.at.at, row.at.at_ms, row.at.tie))?;
    }
    for row in ties.logins() {
        transaction
            .prepare_cached(
                "INSERT INTO logins (user_key, first_at, last_at) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (user_key) DO UPDATE SET first_at = min(first_at, excluded.first_at), \
                 last_at = max(last_at, excluded.last_at)",
            )?
            .execute((row.user_key, row.first_at, row.last_at))?;
    }
    for row in ties.phones() {
        transaction
            .prepare_cached(
                "INSERT INTO phones (user_key, phone_number, pure_phone_number, country_code, at, at_ms, tie) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                 ON CONFLICT (user_key) DO UPDATE SET phone_number = excluded.phone_number, \
                 pure_phone_number = excluded.pure_phone_number, country_code = excluded.country_code, \
                 at = excluded.at, at_ms = excluded.at_ms, tie = excluded.tie \
                 WHERE (excluded.at, excluded.at_ms, excluded.tie) > (phones.at, phones.at_ms, phones.tie)",
            )?
            .execute((
                row.user_key,
                row.phone_number,
                row.pure_phone_number,
                row.country_code,
                row.at.at,
                row.at.at_ms,
                row.at.tie,
            ))?;
    }
    for row in ties.blacklisted() {
        transaction
            .prepare_cached(
                "INSERT INTO blacklist (user_key, account_key, listed, at, at_ms, tie) \
                 SELECT u.user_key, u.account_key, ?2, ?3, ?4, ?5 FROM users u WHERE u.user_key = ?1 \
                 ON CONFLICT (user_key) DO UPDATE SET listed = excluded.listed, at = excluded.at, \
                 at_ms = excluded.at_ms, tie = excluded.tie \
                 WHERE (excluded.at, excluded.at_ms, excluded.tie) > (blacklist.at, blacklist.at_ms, blacklist.tie)",
            )?
            .execute((row.user_key, row.listed, row.at.at, row.at.at_ms, row.at.tie))?;
    }
    for (user_key, erased) in ties.erased() {
        erase(transaction, user_key, erased)?;
    }
    Ok(())
}

fn erase(
    transaction: &Transaction<'_>,
    user_key: i64,
    erased: &Erased<'_>,
) -> rusqlite::Result<()> {
    for statement in TOLD {
        transaction
            .prepare_cached(&sql(statement))?
            .execute((user_key, erased.second))?;
    }
    for statement in JOBS {
        transaction
            .prepare_cached(&sql(statement))?
            .execute([user_key])?;
    }
    let cards: Vec<(i64, String)> = transaction
        .prepare_cached(&sql(CARDS))?
        .query_map([user_key], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (card_key, column) in cards {
        let mut card = card(&column).map_err(unreadable)?;
        card.erase(erased.second);
        transaction
            .prepare_cached(&sql(SAVE_CARD))?
            .execute((card_key, json(&card)))?;
        transaction
            .prepare_cached(&sql(UNASK_CARD))?
            .execute([card_key])?;
    }
    if erased.fields {
        transaction
            .prepare_cached(&sql(care::REMOVE_ALL))?
            .execute([user_key])?;
    }
    if let Some((decision, at_ms)) = erased.decision {
        transaction.prepare_cached(&sql(care::DECIDE))?.execute((
            user_key,
            &decision.state,
            &decision.reason,
            &decision.by,
            at_ms,
        ))?;
    }
    Ok(())
}
