//! What a batch tells of who is whom.

use tokio_postgres::Transaction;

use super::super::cards::card;
use super::super::care;
use super::super::erase::{CARDS, Erased, JOBS, SAVE_CARD, TOLD, UNASK_CARD};
use super::super::people::Ties;
use super::super::person::json;
use super::Failure;
use super::statements::Statements;

pub(super) async fn write(
    transaction: &Transaction<'_>,
    statements: &Statements,
    ties: &Ties<'_>,
) -> Result<(), Failure> {
    let (unions, logins) = (ties.unions(), ties.logins());
    if !unions.is_empty() {
        transaction
            .execute(&statements.save_unions, &[&json(&unions)])
            .await?;
    }
    if !logins.is_empty() {
        transaction
            .execute(&statements.save_logins, &[&json(&logins)])
            .await?;
    }
    let phones = ties.phones();
    if !phones.is_empty() {
        transaction
            .execute(&statements.save_phones, &[&json(&phones)])
            .await?;
    }
    let blacklisted = ties.blacklisted();
    if !blacklisted.is_empty() {
        transaction
            .execute(&statements.save_blacklist, &[&json(&blacklisted)])
            .await?;
    }
    for (user_key, erased) in ties.erased() {
        erase(transaction, user_key, erased).await?;
    }
    Ok(())
}

async fn erase(
    transaction: &Transaction<'_>,
    user_key: i64,
    erased: &Erased<'_>,
) -> Result<(), Failure> {
    for statement in TOLD {
        transaction
            .execute(statement, &[&user_key, &erased.second])
            .await?;
    }
    for statement in JOBS {
        transaction.execute(statement, &[&user_key]).await?;
    }
    // Nobody changes them meanwhile.
    let cards = [CARDS, " FOR UPDATE OF c"].concat();
    for row in transaction.query(&cards, &[&user_key]).await? {
        let card_key: i64 = row.get(0);
        let mut card = card(row.get(1))?;
        card.erase(erased.second);
        transaction
            .execute(SAVE_CARD, &[&card_key, &json(&card)])
            .await?;
        transaction.execute(UNASK_CARD, &[&card_key]).await?;
    }
    if erased.fields {
        transaction.execute(care::REMOVE_ALL, &[&user_key]).await?;
    }
    if let Some((decision, at_ms)) = erased.decision {
        let (state, reason, by) = (&decision.state, &decision.reason, &decision.by);
        transaction
            .execute(care::DECIDE, &[&user_key, state, reason, by, &at_ms])
            .await?;
    }
    Ok(())
}
