//! What people and scripts see of a run.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use indicatif::ProgressBar;
use serde_json::{Value, json};
use weir_errands::pace::Stop;

use super::args::SyncArgs;
use super::journal::Kept;
use super::store::HttpStore;
use crate::term::{bar, count, harmless, outln};

/// So many users whom WeChat does not know are named.
const SHOWN: usize = 20;
const HELD: &str = "nobody panics while holding it";

/// What is told of.
type Syncing = weir_errands::sync::Syncing<Kept, HttpStore>;

/// Says how far it is.
pub(super) struct Report<'a> {
    args: &'a SyncArgs,
    bar: ProgressBar,
    begun: Instant,
    is_resumed: bool,
}

impl<'a> Report<'a> {
    pub(super) fn new(args: &'a SyncArgs, is_resumed: bool) -> Self {
        Self {
            args,
            bar: bar(0),
            begun: Instant::now(),
            is_resumed,
        }
    }

    /// How far it is.
    pub(super) fn progress(&self, syncing: &Syncing) -> anyhow::Result<()> {
        let counts = &syncing.counts;
        self.bar.set_length(counts.followers.load(Relaxed));
        self.bar.set_position(counts.stored.load(Relaxed));
        let compared = counts.compared.load(Relaxed);
        if compared > 0 {
            self.bar.set_message(format!("comparing: {compared}"));
        }
        if self.args.json {
            outln!("{}", json!({ "progress": self.numbers(syncing) }))?;
        }
        Ok(())
    }

    /// What came of it; whether it is complete.
    pub(super) fn finish(self, syncing: &Syncing, stop: Option<&Stop>) -> anyhow::Result<bool> {
        self.bar.finish_and_clear();
        let chosen = !self.args.openids.is_empty();
        let unknown = syncing.counts.unknown.lock().expect(HELD);
        let complete = stop.is_none() && (unknown.is_empty() || !chosen);
        let why = stop.map(Stop::words);
        if self.args.json {
            let mut summary = self.numbers(syncing);
            summary["run"] = json!(syncing.run);
            summary["resumed"] = json!(self.is_resumed);
            summary["complete"] = json!(complete);
            summary["unknown"] = json!(*unknown);
            summary["stopped"] = json!(why);
            outln!("{}", json!({ "summary": summary }))?;
            return Ok(complete);
        }
        let counts = &syncing.counts;
        let account = &syncing.account;
        let calls = count_of(syncing.calls.made(), "call");
        let seconds = self.begun.elapsed().as_secs_f64();
        if chosen {
            let asked = counts.stored.load(Relaxed);
            outln!(
                "{account}: {} stored; {calls}, {seconds:.1} s",
                count_of(asked, "user")
            )?;
        } else {
            outln!(
                "{account}: {} of {} stored, {} unfollowed; {calls}, {seconds:.1} s",
                counts.stored.load(Relaxed),
                count_of(counts.followers.load(Relaxed), "follower"),
                counts.left.load(Relaxed),
            )?;
        }
        if let Some(why) = &*counts.no_blacklist.lock().expect(HELD) {
            outln!("the blacklist is not read: {}", harmless(why))?;
        }
        for openid in unknown.iter().take(SHOWN) {
            let openid = harmless(openid);
            outln!("{openid}: no user of this account has this openid")?;
        }
        if unknown.len() > SHOWN {
            outln!("… and {} more", unknown.len() - SHOWN)?;
        }
        if let Some(why) = &why {
            outln!("stopped: {}", harmless(why))?;
            if !chosen {
                outln!("nobody was unfollowed whom WeChat did not name; the same command goes on")?;
            }
        }
        Ok(complete)
    }

    fn numbers(&self, syncing: &Syncing) -> Value {
        let counts = &syncing.counts;
        let seconds = self.begun.elapsed().as_secs_f64();
        json!({
            "account": syncing.account,
            "followers": counts.followers.load(Relaxed),
            "stored": counts.stored.load(Relaxed),
            "compared": counts.compared.load(Relaxed),
            "came_since": counts.came.load(Relaxed),
            "unfollowed": counts.left.load(Relaxed),
            "blacklisted": *counts.blacklisted.lock().expect(HELD),
            "no_blacklist": *counts.no_blacklist.lock().expect(HELD),
            "pages": counts.pages.load(Relaxed),
            "calls": syncing.calls.made(),
            "seconds": (seconds * 1000.0).round() / 1000.0,
        })
    }
}

fn count_of(number: u64, what: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), what)
}
