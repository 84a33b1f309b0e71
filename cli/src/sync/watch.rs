//! A sync that the store does itself: asked for, and watched.

use anyhow::bail;
use serde_json::json;
use weir_errands::pace::{Pace, Stop};
use weir_store_api::jobs::{JobState, Sync, SyncRequest};

use super::TICK;
use super::args::SyncArgs;
use super::store::HttpStore;
use crate::Outcome;
use crate::interrupt::interrupted;
use crate::term::{bar, harmless, outln};

/// Asks for it, and watches it if that is wanted.
///
/// # Errors
/// The store does not answer, or does no syncs.
pub(super) async fn run(args: &SyncArgs) -> anyhow::Result<Outcome> {
    let store = HttpStore::of(args)?;
    let openids = (!args.openids.is_empty()).then(|| args.openids.clone());
    let request = SyncRequest {
        openids,
        appid: args.appid.clone(),
        by: std::env::var("USER").ok().filter(|user| !user.is_empty()),
        why: args.why.clone(),
    };
    let (account, asked) = (&args.account, store.ask(&request).await?);
    let is_new = asked.is_ok();
    let sync = match asked {
        Ok(sync) => Some(sync),
        Err(()) => store.last().await?,
    };
    let Some(sync) = sync else {
        bail!("the store does a sync of {account} and does not show it");
    };
    if !args.watch {
        let said = if is_new {
            "asked for"
        } else {
            "not over yet: nothing new was asked for"
        };
        if args.json {
            outln!("{}", json!({ "sync": sync }))?;
        } else {
            outln!(
                "{account}: sync {} is {said}; --watch shows how far it is",
                sync.id
            )?;
        }
        return Ok(Outcome::good_if(is_new));
    }
    if !is_new {
        eprintln!(
            "weir: sync {} of {account} is not over yet: this is it",
            sync.id
        );
    }
    watch(args, &store, sync).await
}

/// Shows it until it is over, or does not go on by itself soon.
async fn watch(args: &SyncArgs, store: &HttpStore, mut sync: Sync) -> anyhow::Result<Outcome> {
    let bar = bar(0);
    // The store's answers are waited for as patiently as everywhere.
    let pace = Pace::new(f64::from(u16::MAX));
    let mut interrupted = std::pin::pin!(interrupted());
    while !sync.state.is_over() && sync.state != JobState::Resting {
        bar.set_length(sync.chosen.unwrap_or(sync.progress.followers));
        bar.set_position(sync.progress.stored);
        if sync.progress.compared > 0 {
            bar.set_message(format!("comparing: {}", sync.progress.compared));
        }
        if args.json {
            outln!("{}", json!({ "progress": sync }))?;
        }
        tokio::select! {
            () = &mut interrupted => {
                bar.finish_and_clear();
                outln!("{}: sync {} goes on at the store", args.account, sync.id)?;
                return Ok(Outcome::Bad);
            }
            () = tokio::time::sleep(TICK) => {}
        }
        sync = match store.sync(&pace, sync.id).await {
            Ok(sync) => sync,
            Err(_) => bail!(
                "{}",
                pace.stopped()
                    .as_ref()
                    .map_or_else(String::new, Stop::words)
            ),
        };
    }
    bar.finish_and_clear();
    if args.json {
        outln!("{}", json!({ "summary": sync }))?;
    } else {
        let (account, progress) = (&args.account, &sync.progress);
        outln!(
            "{account}: sync {} is {}: {} of {} stored, {} unfollowed; {} calls",
            sync.id,
            sync.state.name(),
            progress.stored,
            sync.chosen.unwrap_or(progress.followers),
            progress.unfollowed,
            progress.calls,
        )?;
        if let Some(why) = &progress.no_blacklist {
            outln!("the blacklist is not read: {}", harmless(why))?;
        }
        for openid in &progress.unknown {
            outln!(
                "{}: no user of this account has this openid",
                harmless(openid)
            )?;
        }
        if let Some(reason) = &sync.reason {
            outln!("{}", harmless(reason))?;
        }
        if let Some(due_at) = &sync.due_at {
            outln!("it goes on by itself at {due_at}")?;
        }
    }
    Ok(Outcome::good_if(sync.state == JobState::Done))
}
