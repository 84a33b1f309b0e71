//! What a batch tells of cards.

use rusqlite::{OptionalExtension, Transaction};

use super::super::cards::{CardNews, CardRow, card};
use super::unreadable;
use crate::fold::Card;

pub(super) fn write(transaction: &Transaction<'_>, news: &CardNews<'_>) -> rusqlite::Result<()> {
    for name in news.names() {
        let (card_id, code, account_key) = name;
        let stored: Option<(i64, String)> = transaction
            .prepare_cached(
                "SELECT card_key, card FROM cards WHERE card_id = ?1 AND code = ?2 AND account_key = ?3",
            )?
            .query_row((card_id, code, account_key), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let (card_key, after) = match stored {
            Some((card_key, column)) => {
                let before = card(&column).map_err(unreadable)?;
                let after = news.applied(name, before.clone());
                if after != before {
                    let row = CardRow::new(card_key, &after);
                    transaction
                        .prepare_cached(
                            "UPDATE cards SET openid = ?2, card = ?3 WHERE card_key = ?1",
                        )?
                        .execute((row.card_key, row.openid, row.card))?;
                }
                (card_key, after)
            }
            None => {
                let after = news.applied(name, Card::default());
                let row = CardRow::new(0, &after);
                transaction
                    .prepare_cached(
                        "INSERT INTO cards (account_key, card_id, code, openid, card) VALUES (?1, ?2, ?3, ?4, ?5)",
                    )?
                    .execute((account_key, card_id, code, row.openid, row.card))?;
                (transaction.last_insert_rowid(), after)
            }
        };
        if news.wants_more(name, &after) {
            transaction
                .prepare_cached(
                    "INSERT INTO card_fetches (card_key, wanted, due_ms, tries) VALUES (?1, 1, 0, 0) \
                     ON CONFLICT (card_key) DO UPDATE SET wanted = wanted + 1, due_ms = 0, tries = 0",
                )?
                .execute([card_key])?;
        }
    }
    Ok(())
}
