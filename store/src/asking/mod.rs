//! What is asked of WeChat about cards: by a queue that outlives the process, and at once when somebody wants it.
//!
//! # Words
//! A *question* is one call for one card: what its user filled in, its bonus, its status. An *answer* becomes an event like all
//! others, and that event changes the card.
//!
//! # States of a queued question
//! ```text
//!  pushed ──▶ due ──claimed──▶ being asked ──answered──▶ gone
//!              ▲                 │   │
//!              ├──── later ──────┘   └──refused──▶ kept, with WeChat's reason, until the next push
//!              └─ the lease ran out: whoever asked has died
//! ```
//! The question is written in the transaction of the push that makes it necessary, and gone when the answer is durable. A
//! process that is killed between loses nothing: at worst the question is put twice, and both answers tell the same.
//!
//! # Bounds
//! [`AT_ONCE`] calls at a time, [`LEASE`] for each. A card is one question, however often it is pushed. What stands in every
//! call's way (quota, too many in a minute, the door) holds all questions of its account.

mod queue;
mod users;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use serde_json::{Value, json};
use weir_errands::clock::{now_ms, rfc3339_ms};
use weir_store_api::{CardSnapshot, CloudEvent, TYPE_CARD_SNAPSHOT};

use crate::event;
use crate::ingest::{Ingest, Outcome};
use crate::metrics::Metrics;
use crate::repo::{Repo, RepoError, select};
use crate::wechat::{Delay, Refusal, Verdict, Wechat};

pub(crate) use queue::Asker;

/// Calls at a time.
pub const AT_ONCE: usize = 4;
/// How long one who claimed a question has it.
pub const LEASE: Duration = Duration::from_secs(60);

/// Where WeChat tells all about a member card.
const USER_INFO: &str = "/card/membercard/userinfo/get";
/// What of its answer a member told of themselves.
const PERSONAL: [&str; 4] = ["nickname", "membership_number", "sex", "user_info"];

/// A card, by its names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct CardName {
    pub(crate) account: String,
    pub(crate) card_id: String,
    pub(crate) code: String,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It is in the store.
    Stored,
    /// WeChat does not tell.
    Refused(Refusal),
    /// Not now.
    Later(Delay),
}

type Asking = Shared<BoxFuture<'static, Answer>>;

/// Puts questions: whoever asks about a card that is being asked about gets the same answer.
#[derive(Debug)]
pub(crate) struct Questions {
    repo: Arc<dyn Repo>,
    ingest: Ingest,
    metrics: Arc<Metrics>,
    wechat: Arc<dyn Wechat>,
    under_way: Mutex<HashMap<CardName, Asking>>,
}

impl Questions {
    pub(crate) fn new(
        repo: Arc<dyn Repo>,
        ingest: Ingest,
        metrics: Arc<Metrics>,
        wechat: Arc<dyn Wechat>,
    ) -> Arc<Self> {
        Arc::new(Self {
            repo,
            ingest,
            metrics,
            wechat,
            under_way: Mutex::default(),
        })
    }

    pub(crate) fn wechat(&self) -> &dyn Wechat {
        &*self.wechat
    }

    /// Asks about a card. It goes on when whoever asked has left.
    pub(crate) async fn ask(self: &Arc<Self>, name: CardName) -> Answer {
        let asking = {
            let mut under_way = self.under_way();
            let asking = under_way.entry(name.clone()).or_insert_with(|| {
                let (questions, name) = (Arc::clone(self), name);
                let asking = tokio::spawn(async move {
                    let answer = questions.put(&name).await;
                    questions.under_way().remove(&name);
                    questions.metrics.card_question(match answer {
                        Answer::Stored => "stored",
                        Answer::Refused(_) => "refused",
                        Answer::Later(_) => "later",
                    });
                    answer
                });
                asking
                    .map(|answer| answer.unwrap_or_else(|_| not_stored("the question broke off")))
                    .boxed()
                    .shared()
            });
            asking.clone()
        };
        asking.await
    }

    fn under_way(&self) -> std::sync::MutexGuard<'_, HashMap<CardName, Asking>> {
        // Nothing that could panic is done while it is held.
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn put(&self, name: &CardName) -> Answer {
        let question = json!({"card_id": name.card_id, "code": name.code});
        let card = match self.wechat.post(&name.account, USER_INFO, &question).await {
            Verdict::Done(card) => card,
            Verdict::Refused(refusal) => return Answer::Refused(refusal),
            Verdict::Later(delay) => return Answer::Later(delay),
        };
        match self.store(name, card).await {
            Ok(true) => Answer::Stored,
            Ok(false) => not_stored("the store has no room for the answer now"),
            Err(_) => not_stored("the database is unavailable"),
        }
    }

    /// Makes an event of an answer. `false`: it could not be stored now.
    async fn store(&self, name: &CardName, mut card: Value) -> Result<bool, RepoError> {
        for ours in ["errcode", "errmsg"] {
            card.as_object_mut().map(|card| card.remove(ours));
        }
        let known = select::folded_card(&*self.repo, &name.account, &name.card_id, &name.code);
        let known = known.await?.unwrap_or_default();
        if known.is_impersonal() {
            for personal in PERSONAL {
                card.as_object_mut().map(|card| card.remove(personal));
            }
        }
        let openid = card["openid"].as_str().filter(|openid| !openid.is_empty());
        // Whose it is must be known, so that it can be erased.
        let openid = openid.or(known.holder()).map(str::to_owned);
        let appid = select::appid(&*self.repo, &name.account).await?;
        let event = snapshot(name, &appid, openid.as_deref(), now_ms(), &card);
        let raw = serde_json::value::to_raw_value(&event);
        let raw = raw.expect("texts and JSON serialize");
        let Ok(event) = event::read(&raw, raw.get().len(), now_ms()) else {
            return Ok(false);
        };
        let stored = self.ingest.store(vec![event], raw.get().len()).await;
        Ok(matches!(stored.as_deref(), Ok([Outcome::Stored(_)])))
    }
}

fn not_stored(why: &str) -> Answer {
    Answer::Later(Delay {
        errcode: None,
        why: why.to_owned(),
        wait: None,
        for_all: false,
        maybe_done: true,
    })
}

/// The event of an answer that came at `now_ms`.
fn snapshot<'a>(
    name: &'a CardName,
    appid: &'a str,
    openid: Option<&'a str>,
    now_ms: i64,
    card: &'a Value,
) -> CloudEvent<'a, CardSnapshot<'a, &'a Value>> {
    // Each answer is an event of its own.
    let chance = fastrand::u64(..);
    CloudEvent {
        specversion: "1.0".into(),
        id: format!("card-{now_ms}-{chance:016x}").into(),
        source: format!("/accounts/{}", name.account).into(),
        kind: TYPE_CARD_SNAPSHOT.into(),
        time: Some(rfc3339_ms(now_ms).into()),
        subject: openid.map(Into::into),
        datacontenttype: Some("application/json".into()),
        weirask: None,
        weirclaim: None,
        weirleasems: None,
        data: CardSnapshot {
            account: name.account.as_str().into(),
            appid: appid.into(),
            card_id: name.card_id.as_str().into(),
            code: name.code.as_str().into(),
            card,
        },
    }
}
