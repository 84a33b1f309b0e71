//! `weir sync`: an account's followers, as WeChat has them, into the store.
//!
//! | file | idea |
//! |---|---|
//! | `pass.rs` | how far it is, as the journal tells |
//! | `syncing.rs` | the steps |
//! | `calls.rs` | WeChat's API, with patience |
//! | `store.rs` | the store |
//! | `report.rs` | what people and scripts see of it |
//!
//! Every step may be done twice without harm: a profile is stored under the time at which it was asked for, and the store keeps the
//! newest. So nothing is coordinated with the pushes that come meanwhile. Nobody is unfollowed for being absent from
//! a list: who is absent is asked about, and WeChat's word is stored like any other.
//!
//! Out of scope: doing it at set times (cron does), tags' names.

mod args;
mod calls;
mod pass;
mod report;
mod store;
mod syncing;

use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;

pub use args::SyncArgs;

use crate::Outcome;
use crate::door::Door;
use crate::errcodes;
use crate::journal::Journal;
use crate::pace::{Pace, Stop, interrupted};
use calls::{Calls, Ended};
use pass::{BATCH, Pass};
use report::Report;
use store::Store;
use syncing::{Counts, Syncing, Why};

/// How often it is told how far it is.
const TICK: Duration = Duration::from_secs(1);

/// Runs the command.
///
/// # Errors
/// It could not be tried: no door, no store, another run at work.
pub async fn run(args: &SyncArgs) -> anyhow::Result<Outcome> {
    let door = Door::of(&args.door, &args.account, &args.connect, args.concurrency)?;
    let store = Store::of(args)?;
    let mut pass = Pass::new(&args.account);
    let journal = if args.openids.is_empty() {
        Some(Journal::open(&args.journal_path(), &mut pass)?)
    } else {
        None
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
        run: pass.run.clone(),
        calls: Calls::new(door, Duration::from_secs(args.pause)),
        store,
        journal,
        pace: Pace::new(args.rate),
        concurrency: args.concurrency,
        counts: Counts::default(),
    });
    let report = Report::new(args, &pass);
    let told = work(args, &syncing, &mut pass, &report).await;
    // Nobody is left who works: they ended, or were ended with the set they were in.
    let stop = syncing.pace.stopped();
    let made = syncing.calls.made();
    let report = told.map(|()| report.finish(&syncing, stop.as_ref()));
    if let Some(syncing) = Arc::into_inner(syncing)
        && let Some(journal) = syncing.journal
    {
        journal.close()?;
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
    syncing: &Arc<Syncing>,
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
            chosen(args, syncing).await
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

/// Those who are named, and nobody else.
async fn chosen(args: &SyncArgs, syncing: &Syncing) -> Result<(), Ended> {
    let mut users: Vec<Arc<str>> = args
        .openids
        .iter()
        .map(|user| user.as_str().into())
        .collect();
    users.sort_unstable();
    users.dedup();
    for batch in users.chunks(BATCH) {
        syncing.ask(batch, Why::Listed).await?;
    }
    Ok(())
}
