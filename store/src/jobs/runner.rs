//! Who is at work, and until when.
//!
//! A round, once a second or when there is a new job: what the clock asks for is asked for, and what is due and nobody's is
//! taken up, a few at a time. Beside each job its lease is renewed and its progress written twice a second.
//!
//! # Bounds
//! [`AT_ONCE`] jobs of this store at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use weir_errands::calls::{Calls, Ended};
use weir_errands::clock::now_ms;
use weir_errands::errcodes;
use weir_errands::pace::{Pace, Stop};
use weir_errands::sync::{Counts, Syncing};
use weir_store_api::jobs::{JobState, SyncProgress, SyncRequest};

use super::ending::{Ending, Over, ending};
use super::rows::{self, Begun, Due, Lease};
use super::syncs::{Kept, Own};
use super::{Errands, Wanted};
use crate::metrics::Metrics;
use crate::repo::RepoError;
use crate::server::AppState;

/// Between two looks at what is due.
const ROUND: Duration = Duration::from_secs(1);
/// Between two renewals of a lease, and two notes of how far it is.
const TICK: Duration = Duration::from_millis(500);
/// Jobs of this store at a time.
const AT_ONCE: usize = 4;
/// How long to pause when WeChat says that there were too many calls in this minute.
const MINUTE: Duration = Duration::from_secs(60);
/// Users whom WeChat does not know who are named.
const SHOWN: usize = 20;

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
    if begun.is_stopped {
        let why = (None, None);
        lease
            .finish(repo, due.id, JobState::Stopped, why, &begun.counts)
            .await?;
        return lease.release(repo).await;
    }
    let account = due.account.as_str();
    tracing::info!(account, id = due.id, "a sync goes on");
    let door = match errands.entrance.door(account) {
        Ok(door) => door,
        Err(unusable) => {
            let why = unusable.to_string();
            let why = (None, Some(why.as_str()));
            lease
                .finish(repo, due.id, JobState::Failed, why, &begun.counts)
                .await?;
            return lease.release(repo).await;
        }
    };
    let run = begun.name.clone();
    let (kept, mut pass) = Kept::read(state.repo.clone(), lease.clone(), run.clone()).await?;
    let syncing = Arc::new(Syncing {
        account: account.to_owned(),
        appid: begun.wanted.appid.clone(),
        run: run.clone(),
        calls: Calls::new(door, MINUTE),
        store: Own::new(state.clone(), account.to_owned()),
        progress: kept,
        pace: Pace::new(errands.settings.rate),
        concurrency: errands.settings.concurrency,
        counts: Counts::default(),
    });
    state.metrics.sync_running(account, true);
    let watched = {
        let mut steps = std::pin::pin!(async {
            match &begun.wanted.openids {
                None => syncing.pass(&mut pass).await,
                Some(openids) => syncing.chosen(openids).await,
            }
        });
        let mut beside = std::pin::pin!(beside(
            state,
            errands,
            (&due, &begun),
            &lease,
            &syncing,
            ended
        ));
        let is_stopped = tokio::select! {
            // Why it ended, the pace knows.
            Ok(()) | Err(Ended) = &mut steps => false,
            is_stopped = &mut beside => {
                let (Ok(()) | Err(Ended)) = steps.await;
                is_stopped
            }
        };
        is_stopped
    };
    let progress = told(&begun, &syncing);
    state.metrics.sync_running(account, false);
    state.metrics.sync_progress(account, &progress);
    // What is not noted is asked for again: no more than that.
    let _ = syncing.progress.note().await;
    // Where something came of it, what is in the way now is another trouble.
    let tries = if progress.stored > begun.counts.stored {
        0
    } else {
        begun.tries
    };
    let ending = ending(Over {
        stop: syncing.pace.stopped(),
        is_stopped: watched,
        tries,
        now_ms: now_ms(),
        chance: fastrand::f64(),
    });
    let ending = match ending {
        Ending::Done if begun.wanted.openids.is_some() && progress.unknown_users > 0 => {
            let why = format!(
                "WeChat knows no such users: {} of those named",
                progress.unknown_users
            );
            let errcode = Some(errcodes::INVALID_OPENID);
            Ending::Failed { errcode, why }
        }
        ending => ending,
    };
    tracing::info!(account, id = due.id, ?ending, "a sync's run is over");
    end(state, &due, &lease, &begun, (&progress, tries), ending).await?;
    lease.release(repo).await
}

/// Writes down what becomes of a job.
async fn end(
    state: &AppState,
    due: &Due,
    lease: &Lease,
    begun: &Begun,
    (progress, tries): (&SyncProgress, i64),
    ending: Ending,
) -> Result<(), RepoError> {
    let repo = &*state.repo;
    let metrics: &Metrics = &state.metrics;
    let finish = async |over: JobState, why: (Option<i64>, Option<&str>)| {
        metrics.job(over.name());
        lease.finish(repo, due.id, over, why, progress).await
    };
    match ending {
        Ending::Done => {
            finish(JobState::Done, (None, None)).await?;
            if begun.wanted.openids.is_none() {
                metrics.synced(&due.account, now_ms());
                rows::forget(repo, &begun.name).await?;
            }
            Ok(())
        }
        Ending::Stopped => finish(JobState::Stopped, (None, None)).await,
        Ending::Failed { errcode, why } => finish(JobState::Failed, (errcode, Some(&why))).await,
        Ending::Rest {
            until_ms,
            errcode,
            why,
        } => {
            metrics.job("resting");
            let why = (errcode, Some(why.as_str()));
            let rest = Some((until_ms, tries + 1));
            lease.rest(repo, due.id, rest, why, progress).await
        }
        Ending::Left => lease.rest(repo, due.id, None, (None, None), progress).await,
        Ending::Lost => Ok(()),
    }
}

/// Renews the lease and tells how far it is, until the run is to end. Whether somebody wanted it to.
async fn beside(
    state: &AppState,
    errands: &Errands,
    (due, begun): (&Due, &Begun),
    lease: &Lease,
    syncing: &Syncing<Kept, Own>,
    mut ended: watch::Receiver<bool>,
) -> bool {
    let repo = &*state.repo;
    let time = errands.settings.lease;
    let mut renewed = Instant::now();
    loop {
        let asked = Instant::now();
        let told = async {
            if !lease.renew(repo, time).await? {
                return Ok(None);
            }
            syncing.progress.note().await?;
            let progress = told(begun, syncing);
            state.metrics.sync_progress(&due.account, &progress);
            lease.progress(repo, due.id, &progress).await
        };
        // What the database does not answer in time is no renewal.
        match tokio::time::timeout(time / 4, told).await {
            Ok(Ok(Some(false))) => renewed = asked,
            Ok(Ok(Some(true))) => {
                syncing.pace.stop(Stop::Interrupted);
                return true;
            }
            Ok(Ok(None)) => {
                let why = "another store has taken it over".to_owned();
                syncing.pace.stop(Stop::NotKept(why));
                return false;
            }
            Ok(Err(_)) | Err(_) => {}
        }
        if renewed.elapsed() >= time / 2 {
            let why = "the database does not let this store keep its lease".to_owned();
            syncing.pace.stop(Stop::NotKept(why));
            return false;
        }
        tokio::select! {
            _ = ended.wait_for(|ended| *ended) => {
                syncing.pace.stop(Stop::Interrupted);
                return false;
            }
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

/// How far a job is, with what earlier runs did.
fn told(begun: &Begun, syncing: &Syncing<Kept, Own>) -> SyncProgress {
    let counts = &syncing.counts;
    let unknown = counts
        .unknown
        .lock()
        .expect("nobody panics while holding it");
    let earlier = &begun.counts;
    SyncProgress {
        followers: counts.followers.load(Relaxed),
        stored: counts.stored.load(Relaxed),
        compared: counts.compared.load(Relaxed),
        came_since: earlier.came_since + counts.came.load(Relaxed),
        unfollowed: earlier.unfollowed + counts.left.load(Relaxed),
        pages: earlier.pages + counts.pages.load(Relaxed),
        calls: earlier.calls + syncing.calls.made(),
        unknown: unknown.iter().take(SHOWN).cloned().collect(),
        unknown_users: unknown.len() as u64,
    }
}
