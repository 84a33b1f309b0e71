//! The work of a campaign: whose turn it is, and where it is kept what became of each. The steps of one message are
//! `weir_errands::send`'s.
//!
//! # Bounds
//! A page of recipients in memory. Beginnings and results that come while the database is busy share its next transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use weir_errands::clock::now_ms;
use weir_errands::door::Door;
use weir_errands::errcodes;
use weir_errands::pace::{Pace, Stop};
use weir_errands::send::{
    Fate, Ledger, Message, NotKept, Outcome, Plan, Recipient, Repeat, Sending, plan,
};
use weir_store_api::jobs::CampaignProgress;

use super::Wanted;
use super::rows::{self, Beginning, Begun, Settling, ToSend};
use crate::jobs::Settings;
use crate::jobs::runner::{MINUTE, Run};
use crate::repo::{Repo, RepoError};

/// Recipients that are read at a time.
const PAGE: i64 = 500;
/// Beginnings and results of one transaction.
const TOGETHER: usize = 256;
/// Tries to note results, and the wait between two.
const TRIES: u32 = 5;
const WAIT: Duration = Duration::from_millis(500);

/// A campaign at work.
pub(in crate::jobs) struct Work {
    repo: Arc<dyn Repo>,
    id: i64,
    sending: Sending<Book>,
    recognised: bool,
    repeat: Repeat,
    senders: u32,
    progress: Mutex<CampaignProgress>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// A recipient whose turn it is; since when it may have been sent, and what became of it then.
type Turn = (Recipient, Option<i64>, Option<Outcome>);

impl Work {
    /// # Errors
    /// The database did not answer, or the message is none: then in words.
    pub(in crate::jobs) async fn read(
        repo: Arc<dyn Repo>,
        settings: &Settings,
        door: Door,
        (id, name, request): (i64, &str, &str),
    ) -> Result<Result<Arc<Self>, String>, RepoError> {
        let wanted: Wanted = crate::jobs::rows::read(request)?;
        let message = match Message::new(name, &wanted.message) {
            Ok(message) => message,
            Err(misfit) => return Ok(Err(misfit.to_string())),
        };
        let progress = rows::tally(&*repo, id).await?;
        let (book, keeper) = Book::open(repo.clone());
        let pace = Pace::new(wanted.rate.unwrap_or(settings.rate));
        let recognised = message.api.is_recognised();
        Ok(Ok(Arc::new(Self {
            repo,
            id,
            sending: Sending::new(door, message, book, pace, MINUTE),
            recognised,
            repeat: wanted.repeat(),
            senders: settings.concurrency,
            progress: Mutex::new(progress),
            keeper: Mutex::new(Some(keeper)),
        })))
    }

    /// Sends to all who are left, until the run is stopped.
    pub(in crate::jobs) async fn steps(self: &Arc<Self>) {
        let (turns, queue) = mpsc::channel::<Turn>(self.senders as usize);
        let queue = Arc::new(tokio::sync::Mutex::new(queue));
        let mut senders = JoinSet::new();
        for _ in 0..self.senders {
            let (this, queue) = (self.clone(), queue.clone());
            senders.spawn(async move {
                loop {
                    let turn = queue.lock().await.recv().await;
                    let Some((recipient, since_ms, before)) = turn else {
                        break;
                    };
                    let Some(fate) = this.sending.send(&recipient, since_ms).await else {
                        break;
                    };
                    this.count(before, fate.outcome);
                }
            });
        }
        drop(queue);
        if let Err(error) = self.feed(turns).await {
            let why = format!("the recipients cannot be read: {error}");
            self.sending.pace.stop(Stop::NotKept(why));
        }
        while senders.join_next().await.is_some() {}
    }

    /// Gives everybody their turn, in the order they were added.
    async fn feed(&self, turns: mpsc::Sender<Turn>) -> Result<(), RepoError> {
        let mut after = 0;
        loop {
            let page = rows::to_send(&*self.repo, self.id, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.key;
            for one in page {
                let before = one.past.as_ref().and_then(|past| past.fate.as_ref());
                let before = before.map(|fate| fate.outcome);
                match plan(one.past.as_ref(), self.recognised, self.repeat, now_ms()) {
                    Plan::Leave(fate) => self.leave(one, before, fate),
                    // WeChat would say the same. Who may have got it is asked about all the same.
                    Plan::Send { since_ms: None } if one.is_blacklisted => {
                        let reason = errcodes::meaning(errcodes::BLACKLISTED).reason;
                        let fate = Fate::refused(reason.to_owned());
                        self.leave(one, before, fate.with_errcode(errcodes::BLACKLISTED));
                    }
                    Plan::Send { since_ms } => {
                        (self.sending.ledger).expect(&one.openid, one.key, one.begins);
                        let recipient = Recipient {
                            openid: one.openid,
                            values: one.values,
                        };
                        // Nobody takes turns any more: the run was stopped.
                        if turns.send((recipient, since_ms, before)).await.is_err() {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// Nothing is sent; that it is not known what became of it is noted, if it was not.
    fn leave(&self, one: ToSend, before: Option<Outcome>, fate: Fate) {
        if one.past.and_then(|past| past.fate).as_ref() != Some(&fate) {
            self.count(before, fate.outcome);
            let ledger = &self.sending.ledger;
            ledger.put(Entry::Settle(Settling {
                key: one.key,
                begins: one.begins,
                fate,
            }));
        }
    }

    fn count(&self, before: Option<Outcome>, now: Outcome) {
        let mut progress = lock(&self.progress);
        if let Some(before) = before {
            let count = field(&mut progress, before);
            *count = count.saturating_sub(1);
        }
        *field(&mut progress, now) += 1;
    }

    /// Whether somebody was added whose turn has not come.
    pub(in crate::jobs) async fn is_more(&self) -> Result<bool, RepoError> {
        let progress = rows::tally(&*self.repo, self.id).await?;
        *lock(&self.progress) = progress;
        Ok(progress.sent + progress.refused + progress.unknown < progress.recipients)
    }

    /// Waits until all is noted.
    pub(in crate::jobs) async fn close(&self) {
        lock(&self.sending.ledger.entries).take();
        let keeper = lock(&self.keeper).take();
        if let Some(keeper) = keeper {
            // A panic there has been reported.
            let _ = keeper.await;
        }
    }
}

fn field(progress: &mut CampaignProgress, outcome: Outcome) -> &mut u64 {
    match outcome {
        Outcome::Sent => &mut progress.sent,
        Outcome::Refused => &mut progress.refused,
        Outcome::Unknown => &mut progress.unknown,
    }
}

impl Run for Work {
    fn pace(&self) -> &Pace {
        &self.sending.pace
    }

    async fn note(&self) -> Result<(), RepoError> {
        Ok(())
    }

    fn counts(&self) -> String {
        serde_json::to_string(&*lock(&self.progress)).expect("numbers are JSON")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while holding it")
}

/// Who was about to be sent the message, and what became of it, on its way to the database.
struct Book {
    entries: Mutex<Option<mpsc::UnboundedSender<Entry>>>,
    /// Of those whose turn it is, the row's key, and how often they were about to be sent it.
    turns: Mutex<HashMap<String, (i64, i64)>>,
}

enum Entry {
    /// Told what becomes of it.
    Begin(Beginning, oneshot::Sender<Begun>),
    Settle(Settling),
}

impl Book {
    fn open(repo: Arc<dyn Repo>) -> (Self, JoinHandle<()>) {
        // As many wait as there are senders.
        let (entries, queue) = mpsc::unbounded_channel();
        let keeper = tokio::spawn(keep(repo, queue));
        let book = Self {
            entries: Mutex::new(Some(entries)),
            turns: Mutex::default(),
        };
        (book, keeper)
    }

    fn expect(&self, openid: &str, key: i64, begins: i64) {
        lock(&self.turns).insert(openid.to_owned(), (key, begins));
    }

    fn put(&self, entry: Entry) -> bool {
        let entries = lock(&self.entries);
        entries
            .as_ref()
            .is_some_and(|entries| entries.send(entry).is_ok())
    }
}

impl Ledger for Book {
    async fn begin(&self, openid: &str, at_ms: i64) -> Result<Option<Fate>, NotKept> {
        let not_kept =
            || NotKept("the database did not keep it, or another store sends it".to_owned());
        let turn = lock(&self.turns).get(openid).copied();
        let (key, begins) = turn.ok_or_else(not_kept)?;
        let beginning = Beginning { key, begins, at_ms };
        let (kept, told) = oneshot::channel();
        if !self.put(Entry::Begin(beginning, kept)) {
            return Err(not_kept());
        }
        match told.await {
            Ok(Begun::Kept) => Ok(None),
            Ok(Begun::Erased(outcome)) => {
                lock(&self.turns).remove(openid);
                let fate = Fate::refused("erased");
                Ok(Some(Fate { outcome, ..fate }))
            }
            Err(_) => Err(not_kept()),
        }
    }

    fn settle(&self, openid: &str, fate: &Fate) -> Result<(), NotKept> {
        // Nobody settles what was not begun.
        let Some((key, begins)) = lock(&self.turns).remove(openid) else {
            return Ok(());
        };
        let settling = Settling {
            key,
            begins: begins + 1,
            fate: fate.clone(),
        };
        match self.put(Entry::Settle(settling)) {
            true => Ok(()),
            false => Err(NotKept("the run is over".to_owned())),
        }
    }
}

/// Keeps what comes until nobody is left to send, everything that waits at a time in one transaction.
async fn keep(repo: Arc<dyn Repo>, mut queue: mpsc::UnboundedReceiver<Entry>) {
    let mut entries = Vec::with_capacity(TOGETHER);
    while queue.recv_many(&mut entries, TOGETHER).await > 0 {
        let (mut beginnings, mut waiting, mut settlings) = (Vec::new(), Vec::new(), Vec::new());
        for entry in entries.drain(..) {
            match entry {
                Entry::Begin(beginning, kept) => {
                    waiting.push((beginning.key, kept));
                    beginnings.push(beginning);
                }
                Entry::Settle(settling) => settlings.push(settling),
            }
        }
        if !beginnings.is_empty() {
            let begun = rows::begin(&*repo, &beginnings).await.unwrap_or_default();
            for (key, told) in waiting {
                // Not told: not kept. Who asked may be gone.
                let _ = begun.get(&key).map(|begun| told.send(*begun));
            }
        }
        let mut tries = 1;
        while !settlings.is_empty() {
            match rows::settle(&*repo, &settlings).await {
                Ok(()) => break,
                // Then it is not known what became of them: nobody gets it twice.
                Err(error) if tries >= TRIES => {
                    tracing::error!(%error, lost = settlings.len(), "results of a campaign are lost");
                    break;
                }
                Err(_) => tokio::time::sleep(WAIT).await,
            }
            tries += 1;
        }
    }
}
