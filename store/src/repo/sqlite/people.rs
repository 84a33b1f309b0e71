//! What a batch tells of who is whom.

use rusqlite::Transaction;

use super::super::people::{ERASE, Ties};
use super::sql;

/// The earliest word on each unionid stays; of logins the first and the last; of phones the newest.
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
    for (user_key, second) in ties.erased() {
        for statement in ERASE {
            transaction
                .prepare_cached(&sql(statement))?
                .execute((user_key, second))?;
        }
    }
    Ok(())
}
