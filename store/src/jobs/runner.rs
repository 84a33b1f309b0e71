//! Who is at work, and until when.
//!
//! A round, once a second or when there is a new job: what the clock asks for is asked for, and what is due and nobody's is
//! taken up, a few at a time. Beside each job its lease is renewed and its progress written twice a second.
//!
//! # Bounds
//! [`AT_ONCE`] jobs of this store at a time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use weir_errands::clock::now_ms;
use weir_errands::pace::{Pace, Stop};
use weir_store_api::jobs::{JobState, SyncRequest};

use super::ending::{Ending, Over, TROUBLES, ending};
use super::rows::{self, Begun, Due, Lease};
use super::syncs::Work;
use super::{Errands, Wanted, campaigns, tags};
use crate::repo::RepoError;
use crate::server::AppState;

/// Between two looks at what is due.
const ROUND: Duration = Duration::from_secs(1);
/// Between two renewals of a lease, and two notes of how far it is.
const TICK: Duration = Duration::from_millis(500);
/// Jobs of this store at a time.
const AT_ONCE: usize = 4;
/// How long to pause when WeChat says that there were too many calls in this minute.
pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// What looks for jobs, to be told to end.
#[derive(Debug)]
pub(crate) struct Runner {
    end: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Runner {
    /// Looks for jobs from now on.
    pub(crate) fn start(state: AppState, errands: Errands) -> Self {
        let (end, ended) = watch::channel(false);
        let task = tokio::spawn(rounds(state, errands, ended));
        Self { end, task }
    }

    /// Has the jobs left to others, and returns when calls under way are answered.
    pub(crate) async fn finish(self) {
        let _ = self.end.send(true);
        if self.task.await.is_err() {
            tracing::error!("what looks for jobs panicked");
        }
    }
}

async fn rounds(state: AppState, errands: Errands, mut ended: watch::Receiver<bool>) {
    let mut working = JoinSet::new();
    match rows::completed(&*state.repo).await {
        Ok(completed) => {
            for (account, at_ms) in completed {
                state.metrics.synced(&account, at_ms);
            }
        }
        Err(error) => tracing::warn!(%error, "it is not known when syncs were complete"),
    }
    loop {
        if let Err(error) = ask_by_the_clock(&state, &errands).await {
            tracing::warn!(%error, "syncs by the clock wait for the database");
        }
        if let Err(error) = take_up(&state, &errands, &ended, &mut working).await {
            tracing::warn!(%error, "jobs wait for the database");
        }
        while working.try_join_next().is_some() {}
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => break,
            () = errands.wake.notified() => {}
            Some(_) = working.join_next() => {}
            () = tokio::time::sleep(ROUND) => {}
        }
    }
    while working.join_next().await.is_some() {}
}

/// Asks for the syncs that the configuration wants now.
async fn ask_by_the_clock(state: &AppState, errands: &Errands) -> Result<(), RepoError> {
    let repo = &*state.repo;
    for timer in &errands.settings.timers {
        let (now_ms, last_ms) = rows::last_asked(repo, &timer.account).await?;
        if !timer.when.is_due(now_ms, last_ms) {
            continue;
        }
        // An account without events has no followers that anybody asks about.
        let Some(appid) = super::appid(repo, &timer.account).await? else {
            continue;
        };
        let wanted = Wanted {
            appid,
            openids: None,
        };
        let request = SyncRequest {
            by: Some("timer".to_owned()),
            ..SyncRequest::default()
        };
        let delay = timer.when.jitter(fastrand::f64());
        let asked = rows::create(repo, &timer.account, &wanted, &request, delay).await?;
        if let Some(id) = asked {
            tracing::info!(
                account = timer.account,
                id,
                "a sync is asked for by the clock"
            );
        }
    }
    Ok(())
}

/// Takes up what is due, as far as there is room.
async fn take_up(
    state: &AppState,
    errands: &Errands,
    ended: &watch::Receiver<bool>,
    working: &mut JoinSet<()>,
) -> Result<(), RepoError> {
    let room = AT_ONCE.saturating_sub(working.len());
    if room == 0 || *ended.borrow() {
        return Ok(());
    }
    let due = rows::due(&*state.repo, i64::try_from(room).unwrap_or(1)).await?;
    for due in due {
        let lease = Lease::take(&*state.repo, &due, errands.settings.lease).await?;
        if let Some(lease) = lease {
            let (state, errands, ended) = (state.clone(), errands.clone(), ended.clone());
            working.spawn(async move {
                let (account, id) = (due.account.clone(), due.id);
                if let Err(error) = work(&state, &errands, due, lease, ended).await {
                    tracing::warn!(account, id, %error, "a sync is left to its lease's end");
                }
            });
        }
    }
    Ok(())
}

/// A job at work, as far as who is at work sees it.
pub(super) trait Run: Send + Sync {
    /// When it may call, and why it ended.
    fn pace(&self) -> &Pace;

    /// Notes what has not been noted yet.
    ///
    /// # Errors
    /// The database did not take it.
    fn note(&self) -> impl Future<Output = Result<(), RepoError>> + Send;

    /// How far it is, JSON.
    fn counts(&self) -> String;
}

/// Does a job, as far as it goes now.
async fn work(
    state: &AppState,
    errands: &Errands,
    due: Due,
    lease: Lease,
    ended: watch::Receiver<bool>,
) -> Result<(), RepoError> {
    let (repo, lease) = (&*state.repo, Arc::new(lease));
    let Some(begun) = lease.begin(repo, due.id).await? else {
        return lease.release(repo).await;
    };
    let (account, kind) = (due.account.as_str(), due.kind.as_str());
    let job = Job {
        state,
        lease: &lease,
        id: due.id,
        kind,
    };
    let ending = match errands.entrance.door(account) {
        _ if begun.is_stopped => (Ending::Stopped, begun.counts.clone(), begun.tries),
        Err(unusable) => {
            let why = unusable.to_string();
            let failed = Ending::Failed { errcode: None, why };
            (failed, begun.counts.clone(), begun.tries)
        }
        Ok(door) if kind == rows::SYNC => {
            let run = Work::read(state, errands, lease.clone(), door, &due, &begun).await?;
            state.metrics.sync_running(account, true);
            let steps = run.steps();
            let is_stopped = beside(&job, errands, &run, steps, ended).await;
            state.metrics.sync_running(account, false);
            let is_on = run.has_come_further();
            let ending = over(run.pace().stopped(), (is_stopped, is_on), TROUBLES, &begun);
            let ending = run.judge(ending);
            if ending == Ending::Done && run.is_whole() {
                state.metrics.synced(account, now_ms());
                rows::forget(repo, &begun.name).await?;
            }
            (ending, run.counts(), if is_on { 0 } else { begun.tries })
        }
        Ok(door) if kind == tags::KIND => {
            let run = tags::Work::read(state, errands, lease.clone(), door, &due, &begun)?;
            let is_stopped = beside(&job, errands, &run, run.steps(), ended).await;
            let (stop, ends) = (run.pace().stopped(), (is_stopped, false));
            let ending = run.judge(over(stop, ends, tags::TROUBLES, &begun));
            (ending, run.counts(), begun.tries)
        }
        Ok(door) => {
            let told = (due.id, begun.name.as_str(), begun.request.as_str());
            let repo = state.repo.clone();
            match campaigns::Work::read(repo, &errands.settings, door, told).await? {
                Err(why) => {
                    let failed = Ending::Failed { errcode: None, why };
                    (failed, begun.counts.clone(), begun.tries)
                }
                Ok(run) => {
                    let steps = run.steps();
                    let is_stopped = beside(&job, errands, &*run, steps, ended).await;
                    run.close().await;
                    let ends = (is_stopped, false);
                    let mut ending = over(run.pace().stopped(), ends, TROUBLES, &begun);
                    // Somebody was added meanwhile.
                    if run.is_more().await? && ending == Ending::Done {
                        ending = Ending::Left;
                    }
                    (ending, run.counts(), begun.tries)
                }
            }
        }
    };
    tracing::info!(account, kind, id = due.id, ending = ?ending.0, "a job's run is over");
    job.end(ending).await?;
    lease.release(repo).await
}

/// What becomes of a run that is over.
fn over(
    stop: Option<Stop>,
    (is_stopped, is_on): (bool, bool),
    troubles: i64,
    begun: &Begun,
) -> Ending {
    ending(Over {
        stop,
        is_stopped,
        // Where something came of it, what is in the way now is another trouble.
        tries: if is_on { 0 } else { begun.tries },
        troubles,
        now_ms: now_ms(),
        chance: fastrand::f64(),
    })
}

/// A job that this store has.
struct Job<'a> {
    state: &'a AppState,
    lease: &'a Lease,
    id: i64,
    kind: &'a str,
}

impl Job<'_> {
    /// Writes down what becomes of it.
    async fn end(&self, (ending, counts, tries): (Ending, String, i64)) -> Result<(), RepoError> {
        let (repo, lease) = (&*self.state.repo, self.lease);
        let result = match &ending {
            Ending::Done => "done",
            Ending::Stopped => "stopped",
            Ending::Failed { .. } => "failed",
            Ending::Rest { .. } => "resting",
            Ending::Left | Ending::Lost => "left",
        };
        self.state.metrics.job(self.kind, result);
        let (state, why, rest) = match ending {
            Ending::Done => (JobState::Done, (None, None), None),
            Ending::Stopped => (JobState::Stopped, (None, None), None),
            Ending::Failed { errcode, why } => (JobState::Failed, (errcode, Some(why)), None),
            Ending::Rest {
                until_ms,
                errcode,
                why,
            } => {
                let rest = Some((until_ms, tries + 1));
                (JobState::Resting, (errcode, Some(why)), rest)
            }
            Ending::Left => (JobState::Waiting, (None, None), None),
            Ending::Lost => return Ok(()),
        };
        let why = (why.0, why.1.as_deref());
        if state.is_over() {
            lease.finish(repo, self.id, state, why, &counts).await
        } else {
            lease.rest(repo, self.id, rest, why, &counts).await
        }
    }

    /// Renews the lease and tells how far it is, until the run is to end. Whether somebody wanted it to.
    async fn keep(&self, time: Duration, run: &impl Run, mut ended: watch::Receiver<bool>) -> bool {
        let (repo, lease) = (&*self.state.repo, self.lease);
        let mut renewed = Instant::now();
        loop {
            let asked = Instant::now();
            let told = async {
                if !lease.renew(repo, time).await? {
                    return Ok(None);
                }
                run.note().await?;
                lease.progress(repo, self.id, &run.counts()).await
            };
            // What the database does not answer in time is no renewal.
            match tokio::time::timeout(time / 4, told).await {
                Ok(Ok(Some(false))) => renewed = asked,
                Ok(Ok(Some(true))) => {
                    run.pace().stop(Stop::Interrupted);
                    return true;
                }
                Ok(Ok(None)) => {
                    let why = "another store has taken it over".to_owned();
                    run.pace().stop(Stop::NotKept(why));
                    return false;
                }
                Ok(Err(_)) | Err(_) => {}
            }
            if renewed.elapsed() >= time / 2 {
                let why = "the database does not let this store keep its lease".to_owned();
                run.pace().stop(Stop::NotKept(why));
                return false;
            }
            tokio::select! {
                _ = ended.wait_for(|ended| *ended) => {
                    run.pace().stop(Stop::Interrupted);
                    return false;
                }
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }
}

/// Does the steps of a run with its lease renewed beside them; whether somebody wanted it to end. What is not noted then is
/// done again.
async fn beside(
    job: &Job<'_>,
    errands: &Errands,
    run: &impl Run,
    steps: impl Future<Output = ()>,
    ended: watch::Receiver<bool>,
) -> bool {
    let mut steps = std::pin::pin!(steps);
    let mut kept = std::pin::pin!(job.keep(errands.settings.lease, run, ended));
    let is_stopped = tokio::select! {
        () = &mut steps => false,
        is_stopped = &mut kept => {
            steps.await;
            is_stopped
        }
    };
    let _ = run.note().await;
    is_stopped
}
