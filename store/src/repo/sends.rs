//! The rows of active messages, what WeChat said of them, and what users allow: the same for both databases.

use std::collections::BTreeMap;

use serde::Serialize;
use weir_store_api::{SendApi, SendOutcome};

use super::{RepoError, Row};
use crate::fact::Fact;
use crate::fold::{Clock, CreditChange, CreditNews};
use crate::sends::Sent;

/// What the new events of a batch add, in the order that rows are locked in.
#[derive(Debug, Default)]
pub(super) struct Additions<'a> {
    pub(super) sends: Vec<SendRow<'a>>,
    /// By account and message: the newest word of the batch.
    pub(super) reports: BTreeMap<(i64, &'a str), ReportRow<'a>>,
    /// By account, openid and template.
    pub(super) credits: BTreeMap<CreditName<'a>, Vec<NewsRow<'a>>>,
}

/// Account, openid and template.
pub(super) type CreditName<'a> = (i64, &'a str, &'a str);

/// A row of `sends`. Serialized, the keys are the column names, as for all that follow.
#[derive(Debug, Serialize)]
pub(super) struct SendRow<'a> {
    pub(super) seq: i64,
    pub(super) account_key: i64,
    pub(super) appid: Option<&'a str>,
    pub(super) openid: Option<&'a str>,
    pub(super) client: &'a str,
    pub(super) api: i64,
    pub(super) template_id: Option<&'a str>,
    pub(super) msgtype: Option<&'a str>,
    pub(super) client_msg_id: Option<&'a str>,
    pub(super) digest: &'a str,
    pub(super) errcode: Option<i64>,
    pub(super) msgid: Option<&'a str>,
    pub(super) outcome: i64,
    pub(super) sent_at_ms: i64,
}

/// A row of `reports`.
#[derive(Debug, Serialize)]
pub(super) struct ReportRow<'a> {
    pub(super) account_key: i64,
    pub(super) msgid: &'a str,
    pub(super) failure: Option<&'a str>,
    #[serde(flatten)]
    pub(super) at: ClockRow,
}

/// A row of `credit_news`.
#[derive(Debug, Serialize)]
pub(super) struct NewsRow<'a> {
    /// 0 until it is known.
    pub(super) credit_key: i64,
    pub(super) seq: i64,
    pub(super) place: i64,
    pub(super) change: i64,
    pub(super) msgid: Option<&'a str>,
    #[serde(flatten)]
    pub(super) at: ClockRow,
}

/// The columns of a clock. Compared field by field, like the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct ClockRow {
    pub(super) at: i64,
    pub(super) at_ms: i64,
    pub(super) tie: i64,
}

impl From<Clock> for ClockRow {
    fn from(clock: Clock) -> Self {
        Self {
            at: clock.second(),
            at_ms: clock.millisecond(),
            tie: clock.tie(),
        }
    }
}

impl<'a> Additions<'a> {
    /// Takes in the fact of a new event.
    pub(super) fn add(&mut self, seq: i64, account_key: i64, fact: &'a Fact) {
        let Some(facts) = &fact.sends else {
            return;
        };
        let at = ClockRow::from(fact.at);
        if let Some(sent) = &facts.sent {
            let appid = fact.appid.as_deref();
            self.sends.push(SendRow::new(seq, account_key, appid, sent));
        }
        for report in &facts.reports {
            let row = ReportRow {
                account_key,
                msgid: &report.msgid,
                failure: report.failure.as_deref(),
                at,
            };
            let newest = self.reports.entry((account_key, &report.msgid));
            let newest = newest.or_insert_with(|| ReportRow { ..row });
            if newest.at < at {
                *newest = row;
            }
        }
        for (place, credit) in (0..).zip(&facts.credits) {
            let name = (
                account_key,
                credit.openid.as_str(),
                credit.template_id.as_str(),
            );
            self.credits.entry(name).or_default().push(NewsRow {
                credit_key: 0,
                seq,
                place,
                change: change_column(credit.change),
                msgid: credit.msgid.as_deref(),
                at,
            });
        }
    }
}

impl<'a> SendRow<'a> {
    fn new(seq: i64, account_key: i64, appid: Option<&'a str>, sent: &'a Sent) -> Self {
        Self {
            seq,
            account_key,
            appid,
            openid: sent.openid.as_deref(),
            client: &sent.client,
            api: api_column(sent.api),
            template_id: sent.template_id.as_deref(),
            msgtype: sent.msgtype.as_deref(),
            client_msg_id: sent.client_msg_id.as_deref(),
            digest: &sent.digest,
            errcode: sent.errcode,
            msgid: sent.msgid.as_deref(),
            outcome: outcome_column(sent.outcome),
            sent_at_ms: sent.sent_at_ms,
        }
    }
}

/// The columns [`load_news`] reads, in its order, of `credit_news n`.
macro_rules! news_columns {
    () => {
        "n.place, n.change, n.msgid, n.at, n.at_ms, n.tie"
    };
}
pub(super) use news_columns;

/// Reads news from [`news_columns`].
pub(super) fn load_news(row: &mut Row) -> Result<CreditNews, RepoError> {
    Ok(CreditNews {
        place: row.some_int()?,
        change: known(&CHANGES, change_column, row.some_int()?)?,
        msgid: row.text()?,
        at: Clock::from_parts(row.some_int()?, row.some_int()?, row.some_int()?),
    })
}

/// The value that a column stands for.
fn known<T: Copy>(all: &[T], column: fn(T) -> i64, value: i64) -> Result<T, RepoError> {
    let mut all = all.iter().copied();
    all.find(|known| column(*known) == value)
        .ok_or_else(|| RepoError::Unavailable("a column is not one of ours".to_owned()))
}

const CHANGES: [CreditChange; 5] = [
    CreditChange::Granted,
    CreditChange::Withdrawn,
    CreditChange::UsedBySend,
    CreditChange::UsedAsPushed,
    CreditChange::NoneLeft,
];

fn change_column(change: CreditChange) -> i64 {
    match change {
        CreditChange::Granted => 0,
        CreditChange::Withdrawn => 1,
        CreditChange::UsedBySend => 2,
        CreditChange::UsedAsPushed => 3,
        CreditChange::NoneLeft => 4,
    }
}

const APIS: [SendApi; 4] = [
    SendApi::Template,
    SendApi::Subscribe,
    SendApi::Bizsend,
    SendApi::Custom,
];

fn api_column(api: SendApi) -> i64 {
    match api {
        SendApi::Template => 0,
        SendApi::Subscribe => 1,
        SendApi::Bizsend => 2,
        SendApi::Custom => 3,
    }
}

/// The API of `sends.api`.
pub(super) fn api(column: i64) -> Result<SendApi, RepoError> {
    known(&APIS, api_column, column)
}

const OUTCOMES: [SendOutcome; 3] = [
    SendOutcome::Sent,
    SendOutcome::Refused,
    SendOutcome::Unknown,
];

fn outcome_column(outcome: SendOutcome) -> i64 {
    match outcome {
        SendOutcome::Sent => 0,
        SendOutcome::Refused => 1,
        SendOutcome::Unknown => 2,
    }
}

/// The outcome of `sends.outcome`.
pub(super) fn outcome(column: i64) -> Result<SendOutcome, RepoError> {
    known(&OUTCOMES, outcome_column, column)
}
