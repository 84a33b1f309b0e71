//! Active messages of a batch, and what became known of them.

use std::collections::HashMap;

use tokio_postgres::Transaction;

use super::super::RepoError;
use super::super::person::json;
use super::super::sends::{Additions, CreditName, NewsRow};
use super::Failure;
use super::statements::Statements;

pub(super) async fn write(
    transaction: &Transaction<'_>,
    statements: &Statements,
    additions: Additions<'_>,
) -> Result<(), Failure> {
    if !additions.sends.is_empty() {
        transaction
            .execute(&statements.insert_sends, &[&json(&additions.sends)])
            .await?;
    }
    if !additions.reports.is_empty() {
        let rows: Vec<_> = additions.reports.values().collect();
        transaction
            .execute(&statements.save_reports, &[&json(&rows)])
            .await?;
    }
    if additions.credits.is_empty() {
        return Ok(());
    }

    let accounts: Vec<i64> = additions.credits.keys().map(|name| name.0).collect();
    let openids: Vec<&str> = additions.credits.keys().map(|name| name.1).collect();
    let templates: Vec<&str> = additions.credits.keys().map(|name| name.2).collect();
    transaction
        .execute(&statements.add_credits, &[&accounts, &openids, &templates])
        .await?;
    let found = transaction
        .query(&statements.find_credits, &[&accounts, &openids, &templates])
        .await?;
    let keys: HashMap<CreditName<'_>, i64> = found
        .iter()
        .map(|row| ((row.get(0), row.get(1), row.get(2)), row.get(3)))
        .collect();
    let mut rows: Vec<NewsRow<'_>> = Vec::new();
    for (name, news) in additions.credits {
        let credit_key = *keys
            .get(&name)
            .ok_or_else(|| RepoError::Unavailable("a row of credits is gone".to_owned()))?;
        rows.extend(news.into_iter().map(|news| NewsRow { credit_key, ..news }));
    }
    transaction
        .execute(&statements.insert_credit_news, &[&json(&rows)])
        .await?;
    Ok(())
}
