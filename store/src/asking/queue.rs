//! The questions that pushes made necessary, out of the database and back.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{AT_ONCE, Answer, CardName, LEASE, Questions};
use crate::repo::{Cell, RepoError, select};
use crate::wechat::Delay;

/// Questions that are claimed at a time.
const BATCH: i64 = 32;
/// How long to wait when there was nothing to ask, or the database failed.
const IDLE: Duration = Duration::from_millis(250);
/// The first wait for what did not work, if nobody says how long; each is twice as long as the one before.
const WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// `$1` key, `$2` how long the lease lasts: of several who want it one gets the row. All times are the database's, in
/// milliseconds.
const CLAIM: &str = "UPDATE card_fetches SET due_ms = (SELECT now_ms FROM weir_clock) + $2 \
    WHERE card_key = $1 AND due_ms <= (SELECT now_ms FROM weir_clock) RETURNING card_key, wanted, tries";
/// `$1` key, `$2` as it was claimed: a push that came meanwhile wants a newer answer.
const DONE: &str = "DELETE FROM card_fetches WHERE card_key = $1 AND wanted = $2";
/// `$1` key, `$2` as it was claimed, `$3` after how long again, `$4` errcode, `$5` why.
const TRIED: &str = "UPDATE card_fetches SET due_ms = (SELECT now_ms FROM weir_clock) + $3, tries = tries + 1, errcode = $4, reason = $5 \
    WHERE card_key = $1 AND wanted = $2";
/// `$1` key, `$2` as it was claimed, `$3` after how long: it was not tried.
const POSTPONED: &str = "UPDATE card_fetches SET due_ms = (SELECT now_ms FROM weir_clock) + $3 WHERE card_key = $1 AND wanted = $2";

/// The task that asks, to be told to end.
#[derive(Debug)]
pub(crate) struct Asker {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// A question that was claimed.
struct Claimed {
    card_key: i64,
    wanted: i64,
    tries: i64,
}

struct Queue {
    questions: Arc<Questions>,
    /// By account, until when nothing is asked for it.
    held: Mutex<HashMap<String, Instant>>,
}

impl Asker {
    pub(crate) fn start(questions: Arc<Questions>) -> Self {
        let queue = Queue {
            questions,
            held: Mutex::default(),
        };
        let (end, mut ended) = oneshot::channel();
        let task = tokio::spawn(async move {
            loop {
                let nothing = match queue.round().await {
                    Ok(asked) => asked == 0,
                    Err(error) => {
                        tracing::warn!(%error, "the questions to WeChat cannot be read");
                        true
                    }
                };
                let pause = if nothing { IDLE } else { Duration::ZERO };
                // Whoever started it may have gone, too.
                if tokio::time::timeout(pause, &mut ended).await.is_ok() {
                    return;
                }
            }
        });
        Self { end, task }
    }

    /// Asks nothing more. What is being asked is stored, if its answer comes in `patience`; if not, it is asked again when
    /// its lease has run out.
    pub(crate) async fn finish(self, patience: Duration) {
        // If it is not there any more, it has ended.
        let _ = self.end.send(());
        let abort = self.task.abort_handle();
        if tokio::time::timeout(patience, self.task).await.is_err() {
            abort.abort();
        }
    }
}

impl Queue {
    /// Asks what is due, as far as one claim takes it; how much that was.
    async fn round(&self) -> Result<usize, RepoError> {
        let claimed = self.claim().await?;
        let count = claimed.len();
        futures_util::stream::iter(claimed)
            .for_each_concurrent(AT_ONCE, async |claimed| {
                if let Err(error) = self.ask(claimed).await {
                    tracing::warn!(%error, "a question to WeChat is put again when its lease has run out");
                }
            })
            .await;
        Ok(count)
    }

    async fn claim(&self) -> Result<Vec<Claimed>, RepoError> {
        let repo = &self.questions.repo;
        let due = select::due_cards(&**repo, BATCH).await?;
        if due.is_empty() {
            return Ok(Vec::new());
        }
        let claim = |key: i64| vec![key.into(), milliseconds(LEASE).into()];
        let rows = repo
            .change(CLAIM, due.into_iter().map(claim).collect())
            .await?;
        let claimed = rows.into_iter().map(|mut row| {
            Ok(Claimed {
                card_key: row.some_int()?,
                wanted: row.some_int()?,
                tries: row.some_int()?,
            })
        });
        claimed.collect()
    }

    async fn ask(&self, claimed: Claimed) -> Result<(), RepoError> {
        let repo = &self.questions.repo;
        let row = vec![claimed.card_key.into(), claimed.wanted.into()];
        let with = |cells: Vec<Cell>| vec![[row.clone(), cells].concat()];
        let Some((account, card_id, code)) = select::card_name(&**repo, claimed.card_key).await?
        else {
            repo.change(DONE, vec![row]).await?;
            return Ok(());
        };
        if let Some(wait) = self.held(&account) {
            let postponed = with(vec![milliseconds(wait).into()]);
            repo.change(POSTPONED, postponed).await?;
            return Ok(());
        }
        let name = CardName {
            account,
            card_id,
            code,
        };
        let account = name.account.clone();
        match self.questions.ask(name).await {
            Answer::Stored => repo.change(DONE, vec![row]).await?,
            Answer::Refused(refusal) => {
                let why = refusal.why.as_str().into();
                let tried = with(vec![Cell::Null, refusal.errcode.into(), why]);
                repo.change(TRIED, tried).await?
            }
            Answer::Later(delay) => {
                let wait = wait(&delay, claimed.tries);
                if delay.for_all {
                    self.hold(account, wait);
                }
                let again = milliseconds(wait);
                let why = delay.why.as_str().into();
                let tried = with(vec![again.into(), delay.errcode.into(), why]);
                repo.change(TRIED, tried).await?
            }
        };
        Ok(())
    }

    /// How long nothing is asked for this account yet.
    fn held(&self, account: &str) -> Option<Duration> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        held.retain(|_, until| *until > now);
        held.get(account).map(|until| *until - now)
    }

    fn hold(&self, account: String, wait: Duration) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(account, Instant::now() + wait);
    }
}

/// When to ask again what did not work after so many tries before.
fn wait(delay: &Delay, tries: i64) -> Duration {
    let doubled = u32::try_from(tries).unwrap_or(u32::MAX).min(16);
    let backoff = WAIT.saturating_mul(1 << doubled).min(LONGEST_WAIT);
    delay.wait.unwrap_or(backoff)
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_ten_minutes_unless_somebody_says_how_long() {
        let mut delay = Delay {
            errcode: None,
            why: String::new(),
            wait: None,
            for_all: false,
            maybe_done: false,
        };
        let seconds = |delay: &Delay, tries| wait(delay, tries).as_secs();
        assert_eq!([0, 1, 5].map(|tries| seconds(&delay, tries)), [1, 2, 32]);
        assert_eq!(
            [10, i64::MAX].map(|tries| seconds(&delay, tries)),
            [600, 600]
        );
        delay.wait = Some(Duration::from_secs(3_600));
        assert_eq!(seconds(&delay, 3), 3_600);
    }
}
