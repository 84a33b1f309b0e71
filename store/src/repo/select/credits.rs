//! What users allow, last heard of first.

use std::collections::HashMap;

use weir_store_api::read::{Credit, Page};

use super::super::sends::{load_news, news_columns};
use super::{Cell, Order, Position, Repo, RepoError, Slice};
use super::{account_names, name_of, page, seconds};
use crate::fold::{CreditNews, balance};

/// Whose, and for what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreditFilter {
    /// Of this account.
    pub account: Option<String>,
    /// Of this user.
    pub openid: Option<String>,
    /// For this template.
    pub template_id: Option<String>,
}

macro_rules! statement {
    ($condition:literal) => {
        concat!(
            "SELECT c.credit_key, c.account_key, c.openid, c.template_id FROM credits c WHERE c.credit_key < $1",
            $condition,
            " ORDER BY c.credit_key DESC LIMIT $2"
        )
    };
}

const ALL: &str = statement!("");
const BY_ACCOUNT: &str = statement!(" AND c.account_key = $3");
const BY_OPENID: &str = statement!(" AND c.account_key = $3 AND c.openid = $4");
const BY_TEMPLATE: &str = statement!(" AND c.account_key = $3 AND c.template_id = $4");
const BY_NAME: &str =
    statement!(" AND c.account_key = $3 AND c.openid = $4 AND c.template_id = $5");
const NEWS: &str = concat!(
    "SELECT n.credit_key, ",
    news_columns!(),
    " FROM credit_news n WHERE n.credit_key = $1"
);

/// How SQLite must go about each.
#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (ALL, "SEARCH c USING INTEGER PRIMARY KEY (rowid<?)"),
    (
        BY_ACCOUNT,
        "credits_by_account (account_key=? AND credit_key<?)",
    ),
    (
        BY_OPENID,
        "credits_by_openid (account_key=? AND openid=? AND credit_key<?)",
    ),
    (
        BY_TEMPLATE,
        "credits_by_template (account_key=? AND template_id=? AND credit_key<?)",
    ),
    (
        BY_NAME,
        "credits_by_name (account_key=? AND openid=? AND template_id=?)",
    ),
    (NEWS, "SEARCH n USING PRIMARY KEY (credit_key=?)"),
];

/// A page of credits.
///
/// # Errors
/// The database did not answer.
pub async fn credits(
    repo: &dyn Repo,
    filter: &CreditFilter,
    slice: Slice,
) -> Result<Page<Credit>, RepoError> {
    let accounts = account_names(repo, filter.account.as_deref()).await?;
    let (openid, template) = (filter.openid.as_deref(), filter.template_id.as_deref());
    let statement = match (openid, template) {
        (None, None) if filter.account.is_none() => ALL,
        (None, None) => BY_ACCOUNT,
        (Some(_), None) => BY_OPENID,
        (None, Some(_)) => BY_TEMPLATE,
        (Some(_), Some(_)) => BY_NAME,
    };
    let cells = || vec![slice.after.minor.into(), slice.rows()];
    let branches = if statement == ALL {
        vec![cells()]
    } else {
        let branch = |(key, _): &(i64, String)| {
            let mut cells = cells();
            cells.push((*key).into());
            cells.extend(openid.into_iter().chain(template).map(Cell::from));
            cells
        };
        accounts.iter().map(branch).collect()
    };
    let mut found = Vec::new();
    for mut row in repo.select(statement, branches).await? {
        let position = Position {
            major: 0,
            minor: row.some_int()?,
        };
        let name = (row.some_int()?, row.some_text()?, row.some_text()?);
        found.push((position, (position.minor, name)));
    }
    let page = page(found, Order::Credits, slice.limit);

    let keys = page.items.iter().map(|(key, _)| vec![(*key).into()]);
    let mut news: HashMap<i64, Vec<CreditNews>> = HashMap::new();
    for mut row in repo.select(NEWS, keys.collect()).await? {
        let key = row.some_int()?;
        news.entry(key).or_default().push(load_news(&mut row)?);
    }
    let items = page.items.into_iter().map(|(key, name)| {
        let (account_key, openid, template_id) = name;
        let news = news.remove(&key).unwrap_or_default();
        let now = balance(&news);
        let newest = news.iter().map(|news| news.at.second()).max();
        Credit {
            account: name_of(&accounts, account_key).unwrap_or_default(),
            openid,
            template_id,
            balance: now.left,
            certain: now.certain,
            changed_at: seconds(newest.unwrap_or_default()),
        }
    });
    Ok(Page {
        items: items.collect(),
        next_cursor: page.next_cursor,
    })
}
