//! What is asked of the database about campaigns: the same for both.

use std::collections::HashMap;
use std::sync::LazyLock;

use weir_errands::send::{Fate, Outcome, Past};
use weir_store_api::jobs::{Campaign, CampaignProgress, CampaignRequest, Recipient};
use weir_store_api::read::Page;

use super::Wanted;
use crate::cursor::{Order, Position};
use crate::jobs::rows::{Shown, json, read, shown, text};
use crate::repo::select::{Slice, milliseconds};
use crate::repo::{Cell, Repo, RepoError, Row, nameless};

/// Due when its recipients are there: until then it is at the end of time.
const CREATE: &str = "INSERT INTO jobs (account, kind, name, state, request, asked_by, why, asked_ms, due_ms, stop, tries, counts, whole) \
     SELECT $1, 'campaign', $2, 'waiting', $3, $4, $5, c.now_ms, 9007199254740991, 0, 0, '{}', 0 FROM weir_clock c WHERE true \
     ON CONFLICT DO NOTHING RETURNING job_key";
const KNOWN: &str =
    "SELECT job_key, request FROM jobs WHERE account = $1 AND name = $2 AND kind = 'campaign'";
/// One that runs goes on as it is: it finds who was added.
const OPEN: &str = "UPDATE jobs SET request = $2, \
     state = CASE WHEN state = 'running' AND ended_ms IS NULL THEN state ELSE 'waiting' END, \
     ended_ms = NULL, stop = 0, tries = 0, errcode = NULL, reason = NULL, due_ms = (SELECT now_ms FROM weir_clock) \
     WHERE job_key = $1 RETURNING job_key";
const SHOW: &str = "SELECT j.job_key, j.account, j.state, j.request, j.asked_by, j.why, j.asked_ms, j.begun_ms, j.ended_ms, j.due_ms, \
     j.errcode, j.reason, j.counts, j.name FROM jobs j WHERE j.account = $1 AND j.name = $2 AND j.kind = 'campaign'";
const LIST: &str = "SELECT j.job_key, j.account, j.state, j.request, j.asked_by, j.why, j.asked_ms, j.begun_ms, j.ended_ms, j.due_ms, \
     j.errcode, j.reason, j.counts, j.name FROM jobs j WHERE j.account = $1 AND j.kind = 'campaign' AND j.job_key < $2 \
     ORDER BY j.job_key DESC LIMIT $3";

/// Who was erased since a campaign, `j`, was asked for, `r.openid`.
macro_rules! erased {
    () => {
        "EXISTS (SELECT 1 FROM accounts a CROSS JOIN users u CROSS JOIN erasures e WHERE a.name = j.account \
         AND u.account_key = a.account_key AND u.openid = r.openid AND e.user_key = u.user_key AND e.at_ms >= j.asked_ms)"
    };
}

/// Adds rows. Those who were erased since are not taken in again.
macro_rules! add {
    ($rows:literal) => {
        concat!(
            "INSERT INTO campaign_recipients (job_key, openid, vals, begins, retryable) \
             SELECT r.job_key, r.openid, r.vals, 0, 0 FROM (SELECT column1 AS job_key, column2 AS openid, \
             column3 AS vals, column4 AS place FROM (VALUES ",
            $rows,
            ") v) r JOIN jobs j ON j.job_key = r.job_key WHERE NOT ",
            erased!(),
            " ORDER BY r.place ON CONFLICT DO NOTHING"
        )
    };
}

const ADD: &str = add!("(CAST($1 AS BIGINT), $2, $3, 0)");
/// Rows of one statement that adds many.
const MANY: usize = 100;
static ADD_MANY: LazyLock<String> = LazyLock::new(|| {
    let row = |row: usize| {
        format!(
            "(CAST(${} AS BIGINT), ${}, ${}, {row})",
            row * 3 + 1,
            row * 3 + 2,
            row * 3 + 3
        )
    };
    let rows: Vec<_> = (0..MANY).map(row).collect();
    ADD.replace("(CAST($1 AS BIGINT), $2, $3, 0)", &rows.join(", "))
});
const TO_SEND: &str = "SELECT r.recipient_key, r.openid, r.vals, r.begins, r.begun_ms, r.outcome, r.errcode, r.msgid, r.reason, r.field, \
     r.retryable, (SELECT b.listed FROM jobs j JOIN accounts a ON a.name = j.account \
        JOIN users u ON u.account_key = a.account_key AND u.openid = r.openid JOIN blacklist b ON b.user_key = u.user_key \
        WHERE j.job_key = r.job_key) \
     FROM campaign_recipients r WHERE r.job_key = $1 AND r.recipient_key > $2 AND r.erased = 0 ORDER BY r.recipient_key LIMIT $3";
const RECIPIENTS: &str = "SELECT recipient_key, CASE erased WHEN 0 THEN openid END, begun_ms, outcome, errcode, msgid, reason, field, retryable \
     FROM campaign_recipients WHERE job_key = $1 AND recipient_key < $2 ORDER BY recipient_key DESC LIMIT $3";
const TALLY: &str =
    "SELECT outcome, COUNT(*) FROM campaign_recipients WHERE job_key = $1 GROUP BY outcome";
/// The count is compared: of two who are about to send, one does. Nobody does to somebody who was erased.
const BEGIN: &str = concat!(
    "UPDATE campaign_recipients AS r SET begins = begins + 1, begun_ms = COALESCE(begun_ms, $3), outcome = NULL, \
     errcode = NULL, msgid = NULL, reason = NULL, field = NULL, retryable = 0 \
     WHERE recipient_key = $1 AND begins = $2 AND erased = 0 \
     AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.job_key = r.job_key AND ",
    erased!(),
    ") RETURNING recipient_key"
);
/// Somebody who was erased while they were added.
const FORGET: &str = concat!(
    "UPDATE campaign_recipients AS r SET ",
    nameless!(),
    " WHERE recipient_key = $1 AND erased = 0 AND EXISTS (SELECT 1 FROM jobs j WHERE j.job_key = r.job_key AND ",
    erased!(),
    ")"
);
const GONE: &str = "SELECT recipient_key, outcome FROM campaign_recipients WHERE recipient_key = $1 AND erased = 1";
/// Where it is known what became of it, the time when it may have left is of no use any more.
const SETTLE: &str = "UPDATE campaign_recipients SET outcome = $3, begun_ms = CASE WHEN $3 = 'unknown' THEN begun_ms END, \
     errcode = $4, msgid = $5, reason = $6, field = $7, retryable = CASE erased WHEN 0 THEN CAST($8 AS BIGINT) ELSE 0 END \
     WHERE recipient_key = $1 AND begins = $2";

/// A campaign that is there.
pub(super) struct Known {
    pub(super) id: i64,
    pub(super) wanted: Wanted,
}

/// Somebody who may be left to send to.
pub(super) struct ToSend {
    pub(super) key: i64,
    pub(super) openid: String,
    pub(super) values: Vec<String>,
    pub(super) begins: i64,
    /// `None`: they have not had their turn.
    pub(super) past: Option<Past>,
    /// Nothing can be sent to them.
    pub(super) is_blacklisted: bool,
}

/// Makes it, or finds the one of this name.
pub(super) async fn create(
    repo: &dyn Repo,
    account: &str,
    request: &CampaignRequest,
    wanted: &Wanted,
) -> Result<Known, RepoError> {
    let cells = vec![
        text(account),
        text(&request.name),
        json(wanted),
        request.by.as_deref().into(),
        request.why.as_deref().into(),
    ];
    repo.change(CREATE, vec![cells]).await?;
    let known = known(repo, account, &request.name).await?;
    known.ok_or_else(|| RepoError::Unavailable("a campaign is gone".to_owned()))
}

pub(super) async fn known(
    repo: &dyn Repo,
    account: &str,
    name: &str,
) -> Result<Option<Known>, RepoError> {
    let mut rows = repo
        .select(KNOWN, vec![vec![text(account), text(name)]])
        .await?;
    let Some(mut row) = rows.pop() else {
        return Ok(None);
    };
    Ok(Some(Known {
        id: row.some_int()?,
        wanted: read(&row.some_text()?)?,
    }))
}

/// Adds those who are not in it.
pub(super) async fn add(
    repo: &dyn Repo,
    id: i64,
    recipients: &[weir_errands::send::Recipient],
) -> Result<(), RepoError> {
    let cells = |recipient: &weir_errands::send::Recipient| {
        [
            Cell::Int(id),
            text(&recipient.openid),
            json(&recipient.values),
        ]
    };
    let (many, rest) = recipients.as_chunks::<MANY>();
    for many in many {
        let cells = many.iter().flat_map(cells).collect();
        repo.change(&ADD_MANY, vec![cells]).await?;
    }
    let cells = rest.iter().map(|recipient| cells(recipient).to_vec());
    repo.change(ADD, cells.collect()).await.map(drop)
}

/// There is something to do, perhaps.
pub(super) async fn open(repo: &dyn Repo, id: i64, wanted: &Wanted) -> Result<(), RepoError> {
    repo.change(OPEN, vec![vec![Cell::Int(id), json(wanted)]])
        .await
        .map(drop)
}

fn campaign_of(row: Row) -> Result<(i64, Campaign), RepoError> {
    let (id, shown, mut row): (i64, Shown<CampaignProgress>, Row) = shown(row)?;
    let campaign = Campaign {
        name: row.some_text()?,
        account: shown.account,
        state: shown.state,
        by: shown.by,
        why: shown.why,
        asked_at: shown.asked_at,
        begun_at: shown.begun_at,
        ended_at: shown.ended_at,
        due_at: shown.due_at,
        errcode: shown.errcode,
        reason: shown.reason,
        progress: shown.progress,
    };
    Ok((id, campaign))
}

/// A campaign, by its name.
///
/// # Errors
/// The database did not answer.
pub async fn campaign(
    repo: &dyn Repo,
    account: &str,
    name: &str,
) -> Result<Option<Campaign>, RepoError> {
    let mut rows = repo
        .select(SHOW, vec![vec![text(account), text(name)]])
        .await?;
    let found = rows.pop().map(campaign_of).transpose()?;
    let Some((id, mut campaign)) = found else {
        return Ok(None);
    };
    // One that nobody has taken up has told nothing yet.
    if campaign.begun_at.is_none() {
        campaign.progress = tally(repo, id).await?;
    }
    Ok(Some(campaign))
}

/// An account's campaigns, last asked for first.
///
/// # Errors
/// The database did not answer.
pub async fn campaigns(
    repo: &dyn Repo,
    account: &str,
    slice: Slice,
) -> Result<Page<Campaign>, RepoError> {
    let cells = vec![text(account), Cell::Int(slice.after.minor), limit(slice)];
    let rows = repo.select(LIST, vec![cells]).await?;
    page(rows, slice, campaign_of)
}

/// What became of a campaign's recipients, last added first; `None`: there is no such campaign.
///
/// # Errors
/// The database did not answer.
pub async fn recipients(
    repo: &dyn Repo,
    account: &str,
    name: &str,
    slice: Slice,
) -> Result<Option<Page<Recipient>>, RepoError> {
    let Some(known) = known(repo, account, name).await? else {
        return Ok(None);
    };
    let cells = vec![
        Cell::Int(known.id),
        Cell::Int(slice.after.minor),
        limit(slice),
    ];
    let rows = repo.select(RECIPIENTS, vec![cells]).await?;
    let read = |mut row: Row| {
        let (key, openid, begun_ms) = (row.some_int()?, row.text()?, row.int()?);
        let recipient = Recipient {
            openid,
            outcome: row.text()?,
            begun_at: begun_ms.map(milliseconds),
            errcode: row.int()?,
            msgid: row.text()?,
            reason: row.text()?,
            field: row.text()?,
            retryable: row.some_int()? == 1,
        };
        Ok((key, recipient))
    };
    page(rows, slice, read).map(Some)
}

fn limit(slice: Slice) -> Cell {
    Cell::Int(i64::try_from(slice.limit + 1).unwrap_or(i64::MAX))
}

fn page<T>(
    rows: Vec<Row>,
    slice: Slice,
    read: impl Fn(Row) -> Result<(i64, T), RepoError>,
) -> Result<Page<T>, RepoError> {
    let mut items: Vec<(i64, T)> = rows.into_iter().map(read).collect::<Result<_, _>>()?;
    let more = items.len() > slice.limit;
    items.truncate(slice.limit);
    let last = items.last().filter(|_| more).map(|(key, _)| *key);
    Ok(Page {
        next_cursor: last.map(|minor| Order::Jobs.cursor(Position { major: 0, minor })),
        items: items.into_iter().map(|(_, item)| item).collect(),
    })
}

/// How far it is, counted.
pub(super) async fn tally(repo: &dyn Repo, id: i64) -> Result<CampaignProgress, RepoError> {
    let mut progress = CampaignProgress::default();
    for mut row in repo.select(TALLY, vec![vec![Cell::Int(id)]]).await? {
        let (outcome, count) = (row.text()?, row.some_int()?);
        let count = u64::try_from(count).unwrap_or(0);
        progress.recipients += count;
        match outcome.as_deref() {
            Some("sent") => progress.sent = count,
            Some("refused") => progress.refused = count,
            Some("unknown") => progress.unknown = count,
            _ => {}
        }
    }
    Ok(progress)
}

/// Some of those who are in it, in the order they were added.
pub(super) async fn to_send(
    repo: &dyn Repo,
    id: i64,
    after: i64,
    limit: i64,
) -> Result<Vec<ToSend>, RepoError> {
    let cells = vec![Cell::Int(id), Cell::Int(after), Cell::Int(limit)];
    let rows = repo.select(TO_SEND, vec![cells]).await?;
    rows.into_iter().map(some_to_send).collect()
}

fn some_to_send(mut row: Row) -> Result<ToSend, RepoError> {
    let (key, openid, values) = (row.some_int()?, row.some_text()?, row.some_text()?);
    let (begins, begun_ms, outcome) = (row.some_int()?, row.int()?, row.text()?);
    let outcome = outcome.map(|outcome| some_outcome(&outcome));
    let (errcode, msgid, reason) = (row.int()?, row.text()?, row.text()?);
    let (field, retryable) = (row.text()?, row.some_int()? == 1);
    let is_blacklisted = row.int()? == Some(1);
    let fate = outcome.map(|outcome| Fate {
        outcome,
        errcode,
        msgid,
        reason,
        field,
        retryable,
    });
    let past = Past {
        first_intent_ms: begun_ms,
        fate,
    };
    Ok(ToSend {
        key,
        openid,
        values: read(&values)?,
        begins,
        past: (past != Past::default()).then_some(past),
        is_blacklisted,
    })
}

fn some_outcome(column: &str) -> Outcome {
    match column {
        "sent" => Outcome::Sent,
        "refused" => Outcome::Refused,
        _ => Outcome::Unknown,
    }
}

/// Somebody is about to be sent the message.
pub(super) struct Beginning {
    pub(super) key: i64,
    pub(super) begins: i64,
    pub(super) at_ms: i64,
}

/// What became of it.
pub(super) struct Settling {
    pub(super) key: i64,
    pub(super) begins: i64,
    pub(super) fate: Fate,
}

/// What became of a beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// It is durable.
    Kept,
    /// They were erased: nobody is sent anything. This is what their row counts as.
    Erased(Outcome),
}

/// Keeps beginnings; what became of each. Of those that are not there, another store sends.
pub(super) async fn begin(
    repo: &dyn Repo,
    beginnings: &[Beginning],
) -> Result<HashMap<i64, Begun>, RepoError> {
    let cells = beginnings.iter().map(|beginning| {
        vec![
            Cell::Int(beginning.key),
            Cell::Int(beginning.begins),
            Cell::Int(beginning.at_ms),
        ]
    });
    let mut begun = HashMap::new();
    for mut row in repo.change(BEGIN, cells.collect()).await? {
        begun.insert(row.some_int()?, Begun::Kept);
    }
    let keys = beginnings.iter().map(|beginning| beginning.key);
    let others = keys.filter(|key| !begun.contains_key(key));
    let others: Vec<_> = others.map(|key| vec![Cell::Int(key)]).collect();
    if !others.is_empty() {
        repo.change(FORGET, others.clone()).await?;
        for mut row in repo.select(GONE, others).await? {
            let (key, outcome) = (row.some_int()?, row.some_text()?);
            begun.insert(key, Begun::Erased(some_outcome(&outcome)));
        }
    }
    Ok(begun)
}

/// Notes what became of some.
pub(super) async fn settle(repo: &dyn Repo, settlings: &[Settling]) -> Result<(), RepoError> {
    let cells = settlings.iter().map(|settling| {
        let fate = &settling.fate;
        vec![
            Cell::Int(settling.key),
            Cell::Int(settling.begins),
            text(match fate.outcome {
                Outcome::Sent => "sent",
                Outcome::Refused => "refused",
                Outcome::Unknown => "unknown",
            }),
            fate.errcode.into(),
            fate.msgid.as_deref().into(),
            fate.reason.as_deref().into(),
            fate.field.as_deref().into(),
            Cell::Int(i64::from(fate.retryable)),
        ]
    });
    repo.change(SETTLE, cells.collect()).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rows_have_a_parameter_for_each_value() {
        assert!(ADD_MANY.contains(
            "(VALUES (CAST($1 AS BIGINT), $2, $3, 0), (CAST($4 AS BIGINT), $5, $6, 1), "
        ));
        assert!(ADD_MANY.contains(&format!(", ${}, {}))", MANY * 3, MANY - 1)));
    }
}
