//! Messages, newest first by WeChat's time.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_store_api::read::{Message, Page};

use super::{Cell, Order, Position, Repo, RepoError, Row, Slice};
use super::{account_names, bounds, milliseconds, name_of, page, seconds};

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

macro_rules! statement {
    ($condition:literal) => {
        concat!(
            "SELECT m.seq, m.sent_at, m.account_key, u.openid, m.kind, m.msg_id, m.received_ms, m.text, e.id, e.data \
             FROM (SELECT * FROM messages WHERE ",
            $condition,
            " AND sent_at >= $2 AND sent_at < $3 AND (sent_at, seq) < ($4, $5) \
               ORDER BY sent_at DESC, seq DESC LIMIT $6) m \
             CROSS JOIN users u CROSS JOIN events e WHERE u.user_key = m.user_key AND e.seq = m.seq \
             ORDER BY m.sent_at DESC, m.seq DESC"
        )
    };
}

const BY_ACCOUNT: &str = statement!("account_key = $1");
const BY_KIND: &str = statement!("account_key = $1 AND kind = $7");
const BY_USER: &str = statement!("user_key = $1");
/// One person's messages are few; those of other kinds are passed over.
const BY_USER_AND_KIND: &str = statement!("user_key = $1 AND kind = $7");
const USER_KEY: &str = "SELECT user_key FROM users WHERE account_key = $1 AND openid = $2";

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
    let statement = match (&filter.openid, &filter.kind) {
        (None, None) => BY_ACCOUNT,
        (None, Some(_)) => BY_KIND,
        (Some(_), None) => BY_USER,
        (Some(_), Some(_)) => BY_USER_AND_KIND,
    };
    let any = i64::MIN..i64::MAX;
    let range = filter.sent.as_ref().unwrap_or(&any);
    let branch = |key: i64| {
        let [since, until] = bounds(range);
        let Position { major, minor } = slice.after;
        let mut cells = vec![
            key.into(),
            since,
            until,
            major.into(),
            minor.into(),
            slice.rows(),
        ];
        cells.extend(filter.kind.as_deref().map(Cell::from));
        cells
    };
    let rows = repo
        .select(statement, keys.into_iter().map(branch).collect())
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
