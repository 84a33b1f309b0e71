//! Active messages and what became of them, last stored first.

use weir_store_api::SendOutcome;
use weir_store_api::read::{Delivery, DeliveryState, Page};

use super::super::sends::{api, outcome};
use super::{Cell, Order, Position, Repo, RepoError, Row, Slice};
use super::{account_names, milliseconds, name_of, page, seconds};

/// Which messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this account.
    pub account: Option<String>,
    /// To this user.
    pub openid: Option<String>,
    /// Of this name.
    pub msgid: Option<String>,
}

macro_rules! statement {
    ($condition:literal) => {
        concat!(
            "SELECT s.seq, e.id, s.account_key, s.appid, s.openid, s.client, s.api, s.template_id, s.msgtype, \
             s.client_msg_id, s.digest, s.msgid, s.errcode, s.outcome, s.sent_at_ms, r.at, r.failure \
             FROM (SELECT * FROM sends s WHERE ",
            $condition,
            " ORDER BY s.seq DESC LIMIT $2) s JOIN events e ON e.seq = s.seq \
             LEFT JOIN reports r ON r.account_key = s.account_key AND r.msgid = s.msgid"
        )
    };
}

const ALL: &str = statement!("s.seq < $1");
const BY_ACCOUNT: &str = statement!("s.seq < $1 AND s.account_key = $3");
const BY_OPENID: &str = statement!("s.seq < $1 AND s.account_key = $3 AND s.openid = $4");
const BY_MSGID: &str = statement!("s.seq < $1 AND s.account_key = $3 AND s.msgid = $4");
const BY_BOTH: &str =
    statement!("s.seq < $1 AND s.account_key = $3 AND s.msgid = $4 AND s.openid = $5");

/// How SQLite must go about each.
#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (ALL, "SEARCH s USING INTEGER PRIMARY KEY (rowid<?)"),
    (BY_ACCOUNT, "sends_by_account (account_key=? AND seq<?)"),
    (
        BY_OPENID,
        "sends_by_openid (account_key=? AND openid=? AND seq<?)",
    ),
    (
        BY_MSGID,
        "sends_by_msgid (account_key=? AND msgid=? AND seq<?)",
    ),
    (
        BY_BOTH,
        "sends_by_msgid (account_key=? AND msgid=? AND seq<?)",
    ),
];

/// A page of messages.
///
/// # Errors
/// The database did not answer.
pub async fn deliveries(
    repo: &dyn Repo,
    filter: &DeliveryFilter,
    slice: Slice,
) -> Result<Page<Delivery>, RepoError> {
    let accounts = account_names(repo, filter.account.as_deref()).await?;
    let (openid, msgid) = (filter.openid.as_deref(), filter.msgid.as_deref());
    let statement = match (openid, msgid) {
        (None, None) if filter.account.is_none() => ALL,
        (None, None) => BY_ACCOUNT,
        (Some(_), None) => BY_OPENID,
        (None, Some(_)) => BY_MSGID,
        (Some(_), Some(_)) => BY_BOTH,
    };
    let cells = || vec![slice.after.minor.into(), slice.rows()];
    let branches = if statement == ALL {
        vec![cells()]
    } else {
        let branch = |(key, _): &(i64, String)| {
            let mut cells = cells();
            cells.push((*key).into());
            cells.extend(msgid.into_iter().chain(openid).map(Cell::from));
            cells
        };
        accounts.iter().map(branch).collect()
    };
    let rows = repo.select(statement, branches).await?;
    let deliveries = rows.into_iter().map(|row| read(row, &accounts));
    let deliveries = deliveries.collect::<Result<Vec<_>, _>>()?;
    Ok(page(deliveries, Order::Deliveries, slice.limit))
}

fn read(mut row: Row, accounts: &[(i64, String)]) -> Result<(Position, Delivery), RepoError> {
    let seq = row.some_int()?;
    let mut delivery = Delivery {
        id: row.some_text()?,
        account: name_of(accounts, row.some_int()?).unwrap_or_default(),
        appid: row.text()?,
        openid: row.text()?,
        client: row.some_text()?,
        api: api(row.some_int()?)?,
        template_id: row.text()?,
        msgtype: row.text()?,
        client_msg_id: row.text()?,
        digest: row.some_text()?,
        msgid: row.text()?,
        errcode: row.int()?,
        state: match outcome(row.some_int()?)? {
            SendOutcome::Sent => DeliveryState::Sent,
            SendOutcome::Refused => DeliveryState::Refused,
            SendOutcome::Unknown => DeliveryState::Unknown,
        },
        sent_at: milliseconds(row.some_int()?),
        reported_at: row.int()?.map(seconds),
        reason: row.text()?,
    };
    if delivery.reported_at.is_some() {
        delivery.state = if delivery.reason.is_none() {
            DeliveryState::Delivered
        } else {
            DeliveryState::Failed
        };
    }
    let position = Position {
        major: 0,
        minor: seq,
    };
    Ok((position, delivery))
}
