//! `weir sync`: an account's followers, as WeChat has them, into the store.
//!
//! The steps are `weir_errands`'s. Here are:
//!
//! | file | idea |
//! |---|---|
//! | `journal.rs` | how far a pass is, in a file |
//! | `store.rs` | the store, by HTTP |
//! | `report.rs` | what people and scripts see of it |
//! | `watch.rs` | a sync that the store does itself |
//!
//! Out of scope: doing it at set times, which a store does; tags' names.

mod args;
mod journal;
mod report;
mod store;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use weir_errands::calls::{Calls, Ended};
use weir_errands::errcodes;
use weir_errands::pace::{Pace, Stop};
use weir_errands::sync::{Counts, Pass, Syncing};

pub use args::SyncArgs;

use crate::Outcome;
use crate::interrupt::interrupted;
use journal::{Kept, Told};
use report::Report;
use store::HttpStore;

/// How often it is told how far it is.
const TICK: Duration = Duration::from_secs(1);

/// Runs the command.
///
/// # Errors
/// It could not be tried: no door, no store, another run at work.
pub async fn run(args: &SyncArgs) -> anyhow::Result<Outcome> {
    let Some(door) = args.door() else {
        return watch::run(args).await;
    };
    let door = door.open(&args.account, &args.connect, args.concurrency)?;
    let store = HttpStore::of(args)?;
    let mut told = Told::new(&args.account);
    let progress = if args.openids.is_empty() {
        Kept::open(&args.journal_path(), &mut told)?
    } else {
        Kept::nothing()
    };
    // Asked in any case: a store that does not answer is found out before anybody is asked about.
    let known = store.appid(&args.account).await?;
    let Some(appid) = args.appid.clone().or(known) else {
        let account = &args.account;
        bail!("the store knows nothing of an account {account} yet: say its --appid");
    };
    let syncing = Arc::new(Syncing {
        account: args.account.clone(),
        appid,
        run: told.pass.run.clone(),
        calls: Calls::new(door, Duration::from_secs(args.pause)),
        store,
        progress,
        pace: Pace::new(args.rate),
        concurrency: args.concurrency,
        counts: Counts::default(),
    });
    let report = Report::new(args, told.is_resumed);
    let shown = work(args, &syncing, &mut told.pass, &report).await;
    // Nobody is left who works: they ended, or were ended with the set they were in.
    let stop = syncing.pace.stopped();
    let made = syncing.calls.made();
    let report = shown.map(|()| report.finish(&syncing, stop.as_ref()));
    if let Some(syncing) = Arc::into_inner(syncing) {
        syncing.progress.close()?;
    }
    let complete = report??;
    if let Some(Stop::Useless { errcode, why }) = stop
        && made == 0
        && errcode != Some(errcodes::QUOTA)
    {
        bail!("{why}");
    }
    Ok(Outcome::good_if(complete))
}

/// Does it, and tells how far it is.
async fn work(
    args: &SyncArgs,
    syncing: &Arc<Syncing<Kept, HttpStore>>,
    pass: &mut Pass,
    report: &Report<'_>,
) -> anyhow::Result<()> {
    let mut told = Ok(());
    let mut ticks = tokio::time::interval(TICK);
    let mut interrupted = std::pin::pin!(interrupted());
    let mut work = std::pin::pin!(async {
        if args.openids.is_empty() {
            syncing.pass(pass).await
        } else {
            syncing.chosen(&args.openids).await
        }
    });
    loop {
        tokio::select! {
            // Why it ended, the pace knows.
            Ok(()) | Err(Ended) = &mut work => return told,
            _ = ticks.tick() => {
                if told.is_ok() {
                    told = report.progress(syncing);
                }
                // Nobody reads any more.
                if told.is_err() {
                    syncing.pace.stop(Stop::Interrupted);
                }
            }
            () = &mut interrupted, if syncing.pace.stopped().is_none() => {
                syncing.pace.stop(Stop::Interrupted);
            }
        }
    }
}
