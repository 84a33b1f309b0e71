//! Messages, newest first by WeChat's time.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_store_api::read::{Message, Page};

use super::{ByTime, Cell, Order, Position, Repo, RepoError, Row, Slice};
use super::{account_names, milliseconds, name_of, page, seconds};

/// Which messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    /// To this account.
    pub account: Option<String>,
    /// From this person.
    pub openid: Option<String>,
    /// Of this `MsgType`, lower case.
    pub kind: Option<String>,
    /// Sent within these Unix seconds.
    pub sent: Option<Range<i64>>,
}

/// The pages are cut from one index; CROSS JOIN has SQLite look up the rest for their rows only.
macro_rules! statement {
    ($condition:literal) => {
        ByTime {
            ties: statement!($condition, "sent_at = $2 AND seq < $3"),
            rest: statement!($condition, "sent_at >= $2 AND sent_at < $3"),
        }
    };
    ($condition:literal, $range:literal) => {
        concat!(
            "SELECT m.seq, m.sent_at, m.account_key, u.openid, m.kind, m.msg_id, m.received_ms, m.text, e.id, e.data \
             FROM (SELECT * FROM messages WHERE ",
            $condition,
            " AND ",
            $range,
            " ORDER BY sent_at DESC, seq DESC LIMIT $4) m \
             CROSS JOIN users u CROSS JOIN events e WHERE u.user_key = m.user_key AND e.seq = m.seq"
        )
    };
}

const BY_ACCOUNT: ByTime = statement!("account_key = $1");
const BY_KIND: ByTime = statement!("account_key = $1 AND kind = $5");
const BY_USER: ByTime = statement!("user_key = $1");
/// One person's messages are few; those of other kinds are passed over.
const BY_USER_AND_KIND: ByTime = statement!("user_key = $1 AND kind = $5");
const USER_KEY: &str = "SELECT user_key FROM users WHERE account_key = $1 AND openid = $2";

/// How SQLite must go about each.
#[cfg(test)]
pub(super) const PLANS: &[(&str, &str)] = &[
    (
        BY_ACCOUNT.ties,
        "messages_by_account (account_key=? AND sent_at=? AND seq<?)",
    ),
    (
        BY_ACCOUNT.rest,
        "messages_by_account (account_key=? AND sent_at>? AND sent_at<?)",
    ),
    (
        BY_KIND.ties,
        "messages_by_kind (account_key=? AND kind=? AND sent_at=? AND seq<?)",
    ),
    (
        BY_KIND.rest,
        "messages_by_kind (account_key=? AND kind=? AND sent_at>? AND sent_at<?)",
    ),
    (
        BY_USER.ties,
        "messages_by_user (user_key=? AND sent_at=? AND seq<?)",
    ),
    (
        BY_USER.rest,
        "messages_by_user (user_key=? AND sent_at>? AND sent_at<?)",
    ),
    (
        BY_USER_AND_KIND.ties,
        "messages_by_user (user_key=? AND sent_at=? AND seq<?)",
    ),
    (
        BY_USER_AND_KIND.rest,
        "messages_by_user (user_key=? AND sent_at>? AND sent_at<?)",
    ),
    (USER_KEY, "users_by_openid (account_key=? AND openid=?)"),
];

/// A page of messages.
///
/// # Errors
/// The database did not answer.
pub async fn messages(
    repo: &dyn Repo,
    filter: &MessageFilter,
    slice: Slice,
) -> Result<Page<Message>, RepoError> {
    let accounts = account_names(repo, filter.account.as_deref()).await?;
    let mut keys: Vec<i64> = accounts.iter().map(|(key, _)| *key).collect();
    if let Some(openid) = &filter.openid {
        let people = keys
            .iter()
            .map(|key| vec![(*key).into(), openid.as_str().into()]);
        let people = repo.select(USER_KEY, people.collect()).await?;
        let people = people.into_iter().map(|mut row| row.some_int());
        keys = people.collect::<Result<_, _>>()?;
    }
    let statements = match (&filter.openid, &filter.kind) {
        (None, None) => BY_ACCOUNT,
        (None, Some(_)) => BY_KIND,
        (Some(_), None) => BY_USER,
        (Some(_), Some(_)) => BY_USER_AND_KIND,
    };
    let more: Vec<Cell> = filter.kind.as_deref().map(Cell::from).into_iter().collect();
    let branches: Vec<_> = keys.into_iter().map(|key| (key, more.clone())).collect();
    let rows = statements
        .rows(repo, &branches, filter.sent.as_ref(), slice)
        .await?;
    let messages = rows.into_iter().map(|row| read(row, &accounts));
    let messages = messages.collect::<Result<Vec<_>, _>>()?;
    Ok(page(messages, Order::Messages, slice.limit))
}

fn read(mut row: Row, accounts: &[(i64, String)]) -> Result<(Position, Message), RepoError> {
    /// The one part of an event's data that is passed on.
    #[derive(Deserialize)]
    struct Data {
        push: Box<RawValue>,
    }

    let seq = row.some_int()?;
    let sent_at = row.some_int()?;
    let account = name_of(accounts, row.some_int()?).unwrap_or_default();
    let openid = row.some_text()?;
    let kind = row.some_text()?;
    let msg_id = row.text()?;
    let received_at = row.int()?.map(milliseconds);
    let text = row.text()?;
    let id = row.some_text()?;
    let data = row.text()?;
    let push = data
        .and_then(|data| serde_json::from_str::<Data>(&data).ok())
        .map(|data| data.push);
    let message = Message {
        id,
        account,
        openid,
        kind,
        msg_id,
        at: seconds(sent_at),
        received_at,
        text,
        push,
    };
    let position = Position {
        major: sent_at,
        minor: seq,
    };
    Ok((position, message))
}
