//! The work of a sync: where its progress is kept, and where its events go. The steps are `weir_errands::sync`'s.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use weir_errands::calls::{Calls, Ended, Failed};
use weir_errands::clock::now_ms;
use weir_errands::door::Door;
use weir_errands::errcodes;
use weir_errands::pace::{Pace, Patience, Stop};
use weir_errands::sync::{Counts, Known, List, NotKept, Page, Pass, Progress, Store, Syncing};
use weir_store_api::jobs::SyncProgress;

use super::ending::Ending;
use super::rows::{self, Begun, Due, Lease};
use super::runner::{MINUTE, Run};
use super::{Errands, Wanted};
use crate::body::{self, Shape};
use crate::event;
use crate::ingest::{Outcome, Refusal};
use crate::repo::{NOBODY, Repo, RepoError, Stored};
use crate::server::AppState;

/// Users of one page.
const PAGE: i64 = 10_000;
/// What a pass reads.
const LISTS: [List; 2] = [List::Followers, List::Blacklist];
/// Users whom WeChat does not know who are named.
const SHOWN: usize = 20;

const HELD: &str = "nobody panics while holding it";

/// A sync at work.
pub(super) struct Work {
    state: AppState,
    wanted: Wanted,
    /// What earlier runs of it did.
    earlier: SyncProgress,
    syncing: Arc<Syncing<Kept, Own>>,
    pass: tokio::sync::Mutex<Pass>,
}

impl Work {
    /// # Errors
    /// The database did not answer.
    pub(super) async fn read(
        state: &AppState,
        errands: &Errands,
        lease: Arc<Lease>,
        door: Door,
        due: &Due,
        begun: &Begun,
    ) -> Result<Self, RepoError> {
        let mut wanted: Wanted = rows::read(&begun.request)?;
        if let Some(openids) = &mut wanted.openids {
            openids.retain(|openid| openid != NOBODY);
        }
        let run = begun.name.clone();
        let (progress, pass) = Kept::read(state.repo.clone(), lease, run.clone()).await?;
        let syncing = Syncing {
            account: due.account.clone(),
            appid: wanted.appid.clone(),
            run,
            calls: Calls::new(door, MINUTE),
            store: Own::new(state.clone(), due.account.clone()),
            progress,
            pace: Pace::new(errands.settings.rate),
            concurrency: errands.settings.concurrency,
            counts: Counts::default(),
        };
        Ok(Self {
            state: state.clone(),
            wanted,
            earlier: rows::read(&begun.counts)?,
            syncing: Arc::new(syncing),
            pass: tokio::sync::Mutex::new(pass),
        })
    }

    /// All of it, as far as it goes.
    pub(super) async fn steps(&self) {
        let ended = match &self.wanted.openids {
            None => self.whole().await,
            Some(openids) => self.syncing.chosen(openids).await,
        };
        // Why it ended, the pace knows.
        let (Ok(()) | Err(Ended)) = ended;
    }

    /// The followers, the blacklist, and the account's tags.
    async fn whole(&self) -> Result<(), Ended> {
        let syncing = &self.syncing;
        syncing.pass(&mut *self.pass.lock().await).await?;
        let (calls, pace) = (&syncing.calls, &syncing.pace);
        match super::tags::read_all(&self.state, &syncing.account, calls, pace).await {
            Ok(_) => Ok(()),
            // The account may not: it has none there.
            Err(Failed::Refused { .. }) => Ok(()),
            Err(Failed::Ended) => Err(Ended),
        }
    }

    /// Whether it is about all who follow.
    pub(super) fn is_whole(&self) -> bool {
        self.wanted.openids.is_none()
    }

    /// Whether more is stored than when the run began.
    pub(super) fn has_come_further(&self) -> bool {
        self.syncing.counts.stored.load(Relaxed) > self.earlier.stored
    }

    /// Users who are named and unknown are no success.
    pub(super) fn judge(&self, ending: Ending) -> Ending {
        let unknown = self.told().unknown_users;
        if self.is_whole() || unknown == 0 || ending != Ending::Done {
            return ending;
        }
        Ending::Failed {
            errcode: Some(errcodes::INVALID_OPENID),
            why: format!("WeChat knows no such users: {unknown} of those named"),
        }
    }

    /// How far it is, with what earlier runs did.
    fn told(&self) -> SyncProgress {
        let (counts, earlier) = (&self.syncing.counts, &self.earlier);
        let unknown = counts.unknown.lock().expect(HELD);
        SyncProgress {
            followers: counts.followers.load(Relaxed),
            stored: counts.stored.load(Relaxed),
            compared: counts.compared.load(Relaxed),
            came_since: earlier.came_since + counts.came.load(Relaxed),
            unfollowed: earlier.unfollowed + counts.left.load(Relaxed),
            pages: earlier.pages + counts.pages.load(Relaxed),
            calls: earlier.calls + self.syncing.calls.made(),
            unknown: unknown.iter().take(SHOWN).cloned().collect(),
            unknown_users: unknown.len() as u64,
            blacklisted: *counts.blacklisted.lock().expect(HELD),
            no_blacklist: counts.no_blacklist.lock().expect(HELD).clone(),
        }
    }
}

impl Run for Work {
    fn pace(&self) -> &Pace {
        &self.syncing.pace
    }

    async fn note(&self) -> Result<(), RepoError> {
        let metrics = &self.state.metrics;
        metrics.sync_progress(&self.syncing.account, &self.told());
        self.syncing.progress.note().await
    }

    fn counts(&self) -> String {
        serde_json::to_string(&self.told()).expect("texts and numbers are JSON")
    }
}

/// How far a pass is, in the database.
#[derive(Debug)]
pub(super) struct Kept {
    repo: Arc<dyn Repo>,
    lease: Arc<Lease>,
    run: String,
    /// The number of the next page of each of [`LISTS`].
    pages: [AtomicI64; 2],
    /// Batches that are stored, and not noted yet.
    stored: Mutex<Vec<i64>>,
}

impl Kept {
    /// What is kept of a pass, and the pass.
    pub(super) async fn read(
        repo: Arc<dyn Repo>,
        lease: Arc<Lease>,
        run: String,
    ) -> Result<(Self, Pass), RepoError> {
        let mut pass = Pass::named(run.clone());
        let mut counts = [0, 0];
        for (list, count) in LISTS.into_iter().zip(&mut counts) {
            for page in rows::pages(&*repo, &run, list).await? {
                pass.page(list, page);
                *count += 1;
            }
        }
        for batch in rows::batches(&*repo, &run).await? {
            // Its page is kept before it is stored.
            let _ = usize::try_from(batch).map(|batch| pass.stored(batch));
        }
        let kept = Self {
            repo,
            lease,
            run,
            pages: counts.map(AtomicI64::new),
            stored: Mutex::default(),
        };
        Ok((kept, pass))
    }

    /// Notes what was stored since the last time. What is not noted is asked for again after a crash.
    pub(super) async fn note(&self) -> Result<(), RepoError> {
        let batches = std::mem::take(&mut *self.waiting());
        if batches.is_empty() {
            return Ok(());
        }
        let noted = rows::keep_batches(&*self.repo, &self.run, &batches).await;
        if noted.is_err() {
            self.waiting().extend(batches);
        }
        noted
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<i64>> {
        self.stored.lock().expect(HELD)
    }
}

fn not_kept(error: &RepoError) -> NotKept {
    NotKept(error.to_string())
}

impl Progress for Kept {
    async fn page(&self, list: List, page: &Page) -> Result<(), NotKept> {
        let place = LISTS.iter().position(|known| *known == list);
        let number = self.pages[place.unwrap_or(0)].fetch_add(1, Ordering::Relaxed);
        let name = (self.run.as_str(), list, number);
        let kept = self.lease.keep_page(&*self.repo, name, page);
        match kept.await {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotKept("another store has taken it over".to_owned())),
            Err(error) => Err(not_kept(&error)),
        }
    }

    fn stored(&self, batch: usize) -> Result<(), NotKept> {
        self.waiting()
            .push(i64::try_from(batch).unwrap_or(i64::MAX));
        Ok(())
    }

    /// That it is complete is the job's state.
    async fn over(&self, _: i64) -> Result<(), NotKept> {
        self.note().await.map_err(|error| not_kept(&error))
    }
}

/// This store, as the place where events go.
#[derive(Debug)]
pub(super) struct Own {
    state: AppState,
    account: String,
    /// Whether it has ever taken anything.
    has_answered: AtomicBool,
}

impl Own {
    pub(super) fn new(state: AppState, account: String) -> Self {
        Self {
            state,
            account,
            has_answered: false.into(),
        }
    }

    /// Stores events, once.
    async fn store(&self, body: &str) -> Result<(), Trouble> {
        let max_events = self.state.limits.max_batch_events;
        let useless = |why: &str| Trouble::Final(format!("the store refuses an event: {why}"));
        let raw = body::split(body.as_bytes(), Shape::Many, max_events)
            .map_err(|error| useless(&error.to_string()))?;
        let mut events = Vec::with_capacity(raw.len());
        for raw in raw {
            let event = event::read(raw, self.state.limits.max_event_bytes, now_ms());
            let mut event = event.map_err(|rejection| useless(rejection.reason))?;
            if let Some(fact) = &mut event.fact {
                fact.erase_on_unfollow(&self.state.erase_on_unfollow);
            }
            events.push(event);
        }
        let stored = self.state.ingest.store(events, body.len()).await;
        let outcomes = stored.map_err(|refusal| {
            Trouble::Passes(match refusal {
                Refusal::Full => "the store's queue is full".to_owned(),
                Refusal::Ending => "the store ends".to_owned(),
                Refusal::Failed => "the database is unavailable".to_owned(),
            })
        })?;
        let count = |wanted: &Outcome| outcomes.iter().filter(|found| *found == wanted).count();
        let metrics = &self.state.metrics;
        metrics.events("created", count(&Outcome::Stored(Stored::Created.into())));
        metrics.events(
            "duplicate",
            count(&Outcome::Stored(Stored::Duplicate.into())),
        );
        match count(&Outcome::Refused) {
            0 => Ok(()),
            refused => {
                metrics.events("rejected", refused);
                Err(useless("the database cannot hold it"))
            }
        }
    }
}

/// Why events are not stored.
enum Trouble {
    /// It may be otherwise in a while.
    Passes(String),
    /// It will not.
    Final(String),
}

impl Own {
    /// Waits, as long as what is in the way may pass.
    async fn wait(
        &self,
        pace: &Pace,
        patience: &mut Patience,
        trouble: Trouble,
    ) -> Result<(), Ended> {
        let why = match trouble {
            Trouble::Final(why) => why,
            Trouble::Passes(why) => {
                match patience.connect(self.has_answered.load(Ordering::Relaxed)) {
                    Some(wait) if pace.wait(wait).await => return Ok(()),
                    Some(_) => return Err(Ended),
                    None => why,
                }
            }
        };
        pace.stop(Stop::Useless { errcode: None, why });
        Err(Ended)
    }
}

impl Store for Own {
    async fn put(&self, pace: &Pace, events: String) -> Result<(), Ended> {
        let mut patience = Patience::default();
        while let Err(trouble) = self.store(&events).await {
            self.wait(pace, &mut patience, trouble).await?;
        }
        self.has_answered.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn known(&self, pace: &Pace, list: List, cursor: Option<&str>) -> Result<Known, Ended> {
        let after = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let mut patience = Patience::default();
        let found = loop {
            match rows::known(&*self.state.repo, (&self.account, list), after, PAGE).await {
                Ok(found) => break found,
                Err(error) => {
                    let trouble = Trouble::Passes(error.to_string());
                    self.wait(pace, &mut patience, trouble).await?;
                }
            }
        };
        let is_full = i64::try_from(found.len()) == Ok(PAGE);
        let last = found.last().filter(|_| is_full);
        Ok(Known {
            next: last.map(|(place, _)| place.to_string()),
            openids: found.into_iter().map(|(_, openid)| openid).collect(),
        })
    }
}
