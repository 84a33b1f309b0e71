//! What the store does for accounts through the API door by itself.
//!
//! A job is a row that says what is wanted, who asked and how far it is. Every store on the database looks for rows that are due,
//! and takes a lease on the account and the kind of work before it begins: so one store at a time does it, and one that died
//! is followed by another, which goes on from what is kept ([`syncs`](mod@syncs)).
//!
//! | file | idea |
//! |---|---|
//! | `schedule.rs` | which syncs are asked for by the clock |
//! | `rows.rs` | what is asked of the database |
//! | `ending.rs` | what becomes of a job whose run is over |
//! | `runner.rs` | who is at work, and until when |
//! | `campaigns/` | one message to many: the requests, the rows, the work |
//! | `tags/` | changes of tags at WeChat: the requests, the rows, the work |
//! | `syncs.rs` | the work of a sync: where its progress is kept and its events go |
//!
//! # Promises
//! - What is kept of a job is written by the holder of its lease alone: the database compares, in the same statement.
//! - A lease is measured by the database's clock. A store that cannot renew its own for as long as it lasts ends its work.
//! - Nothing is tried again without end: a job rests a bounded number of times.

pub mod campaigns;
mod ending;
mod rows;
mod runner;
pub mod schedule;
mod syncs;
mod tags;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use weir_errands::door::Entrance;
use weir_store_api::jobs::{Sync, SyncRequest};

use crate::error::Error;
use crate::repo::{Repo, RepoError, select};
pub use rows::{sync, syncs};
pub(crate) use runner::Runner;
use schedule::Timer;
pub(crate) use tags::Wanted as TagsWanted;
pub use tags::{operation as tag_operation, operations as tag_operations};

/// Most users that a sync asks about by name.
const CHOSEN: usize = 10_000;
/// Longest `by` and `why`, in characters.
const BY_CHARS: usize = 128;
const WHY_CHARS: usize = 512;

/// How jobs are done.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which syncs are asked for by the clock.
    pub timers: Vec<Timer>,
    /// Calls to WeChat a second, for each job.
    pub rate: f64,
    /// Calls under way at a time, for each job.
    pub concurrency: u32,
    /// How long a lease lasts without being renewed.
    pub lease: Duration,
}

/// What a store that knows the door has.
#[derive(Clone)]
pub struct Errands {
    /// The door.
    pub entrance: Entrance,
    /// How jobs are done.
    pub settings: Arc<Settings>,
    /// Told when there is a new job.
    wake: Arc<Notify>,
}

impl std::fmt::Debug for Errands {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Errands")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Errands {
    /// Through this door, so.
    #[must_use]
    pub fn new(entrance: Entrance, settings: Settings) -> Self {
        Self {
            entrance,
            settings: Arc::new(settings),
            wake: Arc::default(),
        }
    }

    /// Asks for a sync.
    ///
    /// # Errors
    /// The request makes no sense, or a sync of the account is not over yet: [`Error::AtWork`] has its number.
    pub(crate) async fn ask(
        &self,
        repo: &dyn Repo,
        account: &str,
        request: SyncRequest,
    ) -> Result<Sync, Error> {
        let wanted = Wanted::check(repo, account, &request).await?;
        let id = match rows::create(repo, account, &wanted, &request, Duration::ZERO).await? {
            Some(id) => id,
            None => {
                let open = rows::open_sync(repo, account).await?;
                return Err(open.map_or(Error::Internal, Error::AtWork));
            }
        };
        tracing::info!(account, id, "a sync was asked for");
        self.wake.notify_one();
        let sync = rows::sync(repo, account, id).await?;
        sync.ok_or(Error::Internal)
    }
}

/// Has a job end; what is under way is let finish.
///
/// # Errors
/// There is no such sync.
pub(crate) async fn stop_sync(repo: &dyn Repo, account: &str, id: i64) -> Result<Sync, Error> {
    rows::stop(repo, rows::SYNC, account, id).await?;
    let sync = rows::sync(repo, account, id).await?;
    sync.ok_or(Error::NotFound("this account has no such sync"))
}

/// What a job wants: its `request`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Wanted {
    appid: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    openids: Option<Vec<String>>,
}

impl Wanted {
    async fn check(repo: &dyn Repo, account: &str, request: &SyncRequest) -> Result<Self, Error> {
        let bad = |why: &str| Err(Error::BadParameter(why.to_owned()));
        if !is_account(account) {
            return bad("an account's name has 1 to 32 of a-z, 0-9, _ and -");
        }
        check_words(&request.by, &request.why)?;
        if let Some(openids) = &request.openids {
            if openids.is_empty() {
                return bad("openids: it is empty; leave it out to ask about all who follow");
            }
            if openids.len() > CHOSEN {
                return bad("openids: at most 10000");
            }
            let place = openids
                .iter()
                .position(|openid| !weir_errands::sync::is_openid(openid));
            if let Some(place) = place {
                return Err(Error::BadParameter(format!(
                    "openids[{place}]: no openid: letters, digits, - and _"
                )));
            }
        }
        let appid = match &request.appid {
            Some(appid) if is_appid(appid) => Some(appid.clone()),
            Some(_) => return bad("appid: letters, digits, - and _"),
            None => appid(repo, account).await?,
        };
        let Some(appid) = appid else {
            return bad("the store knows nothing of this account yet: say its appid");
        };
        Ok(Self {
            appid,
            openids: request.openids.clone(),
        })
    }
}

/// Who asks and why, as the audit has it.
fn check_words(by: &Option<String>, why: &Option<String>) -> Result<(), Error> {
    for (name, text, most) in [("by", by, BY_CHARS), ("why", why, WHY_CHARS)] {
        let wrong = text
            .as_ref()
            .is_some_and(|text| text.chars().count() > most || text.chars().any(char::is_control));
        if wrong {
            return Err(Error::BadParameter(format!(
                "{name}: at most {most} characters, none of them a control character"
            )));
        }
    }
    Ok(())
}

/// The appid that events of the account had.
async fn appid(repo: &dyn Repo, account: &str) -> Result<Option<String>, RepoError> {
    let accounts = select::accounts(repo).await?.into_iter();
    let mut known = accounts.filter(|known| known.name == account);
    Ok(known.next().and_then(|account| account.appid))
}

/// An account's name, as configurations have it.
pub(crate) fn is_account(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    (1..=32).contains(&text.len()) && text.chars().all(fits)
}

fn is_appid(text: &str) -> bool {
    weir_errands::sync::is_openid(text)
}
