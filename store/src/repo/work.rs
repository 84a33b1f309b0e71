//! An [`Entry`] of the ledger as columns: what both backends load before a batch's steps are taken, and save afterwards.

use std::collections::HashMap;

use serde::Serialize;
use weir_store_api::read::ReplyState;

use super::{RepoError, Row, Stored, Taken};
use crate::event::NewEvent;
use crate::ledger::{self, Claim, Concern, Entry, Pages, Since};
use crate::reply::{Answer, Delivery};

/// What a batch, whose events were `taken` so, does to the ledger. The keys are those of its sources and accounts.
pub(super) fn pages<'a>(
    events: &'a [NewEvent],
    taken: &[Taken],
    sources: &HashMap<String, i64>,
    accounts: &HashMap<String, i64>,
) -> Pages<'a> {
    let concerned = events
        .iter()
        .zip(taken)
        .enumerate()
        .filter(|(_, (event, _))| ledger::is_concerned(event));
    ledger::pages(concerned.map(|(place, (event, taken))| {
        let account = event.fact.as_ref().map(|fact| &fact.account);
        Concern {
            place,
            event,
            is_new: taken.stored == Stored::Created,
            source_key: sources.get(&event.source).copied().unwrap_or_default(),
            account_key: account
                .and_then(|account| accounts.get(account).copied())
                .unwrap_or_default(),
        }
    }))
}

/// The columns [`load`] reads, in its order, of `work w`.
macro_rules! entry_columns {
    () => {
        "w.account_key, w.openid, w.claimed_at_ms, w.claimant, w.held_at_ms, w.lease_ms, w.done_at_ms, w.app, \
         w.reply, w.create_time, w.failed, w.handed, w.sender, w.ended_at_ms, w.reason, w.errcode, w.state"
    };
}
pub(super) use entry_columns;

/// Reads an entry from [`entry_columns`].
pub(super) fn load(row: &mut Row) -> Result<Entry, RepoError> {
    let (account_key, openid, claimed_at_ms) = (row.some_int()?, row.text()?, row.int()?);
    let claim = Claim {
        claimant: row.some_text()?,
        lease_ms: None,
    };
    let held_at_ms = row.int()?;
    let claim = Claim {
        lease_ms: row.int()?,
        ..claim
    };
    let done_at_ms = row.int()?;
    let answer = Answer {
        app: row.text()?.unwrap_or_default(),
        reply: row.text()?,
        create_time: row.int()?.unwrap_or_default(),
        failed: row.text()?,
    };
    let (is_handed, sender) = (row.some_int()? == 1, row.text()?);
    let ended_at_ms = row.int()?;
    let (reason, errcode) = (row.text()?, row.int()?);
    let delivery = Delivery {
        is_sent: row.some_int()? == state_column(ReplyState::Sent),
        reason,
        errcode,
    };
    Ok(Entry {
        account_key,
        openid,
        claimed_at_ms,
        claim: since(held_at_ms, claim),
        answer: since(done_at_ms, answer),
        is_handed,
        sender,
        delivery: since(ended_at_ms, delivery),
    })
}

fn since<T>(at_ms: Option<i64>, what: T) -> Option<Since<T>> {
    at_ms.map(|at_ms| Since { at_ms, what })
}

/// A row of `work`. Serialized, the keys are the column names.
#[derive(Debug, Serialize)]
pub(super) struct WorkRow<'a> {
    pub(super) source_key: i64,
    pub(super) push: &'a str,
    pub(super) account_key: i64,
    pub(super) openid: Option<&'a str>,
    pub(super) claimed_at_ms: Option<i64>,
    pub(super) claimant: &'a str,
    pub(super) held_at_ms: Option<i64>,
    pub(super) lease_ms: Option<i64>,
    pub(super) done_at_ms: Option<i64>,
    pub(super) app: Option<&'a str>,
    pub(super) reply: Option<&'a str>,
    pub(super) create_time: Option<i64>,
    pub(super) failed: Option<&'a str>,
    pub(super) handed: i64,
    pub(super) sender: Option<&'a str>,
    pub(super) ended_at_ms: Option<i64>,
    pub(super) reason: Option<&'a str>,
    pub(super) errcode: Option<i64>,
    pub(super) state: i64,
}

impl<'a> WorkRow<'a> {
    pub(super) fn new((source_key, push): (i64, &'a str), entry: &'a Entry) -> Self {
        let claim = entry.claim.as_ref();
        let answer = entry.answer.as_ref();
        let delivery = entry.delivery.as_ref();
        Self {
            source_key,
            push,
            account_key: entry.account_key,
            openid: entry.openid.as_deref(),
            claimed_at_ms: entry.claimed_at_ms,
            claimant: claim.map_or("", |claim| &claim.what.claimant),
            held_at_ms: claim.map(|claim| claim.at_ms),
            lease_ms: claim.and_then(|claim| claim.what.lease_ms),
            done_at_ms: answer.map(|answer| answer.at_ms),
            app: answer.map(|answer| answer.what.app.as_str()),
            reply: answer.and_then(|answer| answer.what.reply.as_deref()),
            create_time: answer.map(|answer| answer.what.create_time),
            failed: answer.and_then(|answer| answer.what.failed.as_deref()),
            handed: i64::from(entry.is_handed),
            sender: entry.sender.as_deref(),
            ended_at_ms: delivery.map(|delivery| delivery.at_ms),
            reason: delivery.and_then(|delivery| delivery.what.reason.as_deref()),
            errcode: delivery.and_then(|delivery| delivery.what.errcode),
            state: state_column(entry.state()),
        }
    }
}

/// The states and their `work.state`.
pub(super) const STATES: [ReplyState; 4] = [
    ReplyState::Waiting,
    ReplyState::Answered,
    ReplyState::Sent,
    ReplyState::Undeliverable,
];

/// `work.state` of a state.
pub(super) fn state_column(state: ReplyState) -> i64 {
    match state {
        ReplyState::Waiting => 0,
        ReplyState::Answered => 1,
        ReplyState::Sent => 2,
        ReplyState::Undeliverable => 3,
    }
}
