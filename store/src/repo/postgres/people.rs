//! What a batch tells of who is whom.

use tokio_postgres::Transaction;

use super::super::people::{ERASE, Ties};
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
    for (user_key, second) in ties.erased() {
        for statement in ERASE {
            transaction
                .execute(statement, &[&user_key, &second])
                .await?;
        }
    }
    Ok(())
}
