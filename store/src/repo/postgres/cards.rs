//! What a batch tells of cards.

use tokio_postgres::Transaction;

use super::super::RepoError;
use super::super::cards::{CardName, CardNews, CardRow, card};
use super::super::person::json;
use super::Failure;
use super::statements::Statements;
use crate::fold::Card;

pub(super) async fn write(
    transaction: &Transaction<'_>,
    statements: &Statements,
    news: &CardNews<'_>,
) -> Result<(), Failure> {
    if news.is_empty() {
        return Ok(());
    }
    let card_ids: Vec<&str> = news.names().map(|(card_id, ..)| card_id).collect();
    let codes: Vec<&str> = news.names().map(|(_, code, _)| code).collect();
    let accounts: Vec<i64> = news.names().map(|(.., account_key)| account_key).collect();
    // A card of which nothing is known, for those that have no row.
    let unknown = json(&Card::default());
    transaction
        .execute(
            &statements.add_cards,
            &[&card_ids, &codes, &accounts, &unknown],
        )
        .await?;
    let rows = transaction
        .query(&statements.lock_cards, &[&card_ids, &codes, &accounts])
        .await?;
    if rows.len() != codes.len() {
        return Err(RepoError::Unavailable("a row of cards is gone".to_owned()).into());
    }
    let mut changed: Vec<(i64, Card)> = Vec::new();
    let mut wanting: Vec<i64> = Vec::new();
    for row in &rows {
        let name: CardName<'_> = (row.get(0), row.get(1), row.get(2));
        let card_key: i64 = row.get(3);
        let before = card(row.get(4))?;
        let after = news.applied(name, before.clone());
        if news.wants_more(name, &after) {
            wanting.push(card_key);
        }
        if after != before {
            changed.push((card_key, after));
        }
    }
    let changed: Vec<CardRow<'_>> = changed
        .iter()
        .map(|(card_key, card)| CardRow::new(*card_key, card))
        .collect();
    transaction
        .execute(&statements.save_cards, &[&json(&changed)])
        .await?;
    if !wanting.is_empty() {
        transaction
            .execute(&statements.want_cards, &[&wanting])
            .await?;
    }
    Ok(())
}
