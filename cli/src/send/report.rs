//! What became of each recipient, and of all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Instant;

use anyhow::Context;
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::json;
use weir_errands::pace::Stop;
use weir_errands::send::{Fate, Outcome};

use super::args::SendArgs;
use crate::term::{bar, count, harmless, outln};

/// Counts, and says what is worth saying.
pub(super) struct Report<'a> {
    args: &'a SendArgs,
    file: Option<BufWriter<File>>,
    bar: ProgressBar,
    begun: Instant,
    sent: usize,
    sent_earlier: usize,
    refused: usize,
    unknown: usize,
    /// Reasons of what was not sent, with their errcodes.
    reasons: BTreeMap<(Option<i64>, String), usize>,
}

#[derive(Serialize)]
struct Line<'a> {
    openid: &'a str,
    #[serde(flatten)]
    fate: &'a Fate,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    earlier: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counts {
    /// Everybody was sent the message, now or earlier.
    pub(super) complete: bool,
    pub(super) any_sent_now: bool,
}

impl<'a> Report<'a> {
    /// # Errors
    /// The file cannot be made.
    pub(super) fn new(args: &'a SendArgs, recipients: usize) -> anyhow::Result<Self> {
        let file = match &args.report {
            None => None,
            Some(path) => {
                let file = File::create(path);
                let file = file.with_context(|| format!("--report {}", path.display()))?;
                Some(BufWriter::new(file))
            }
        };
        Ok(Self {
            args,
            file,
            bar: bar(recipients as u64),
            begun: Instant::now(),
            sent: 0,
            sent_earlier: 0,
            refused: 0,
            unknown: 0,
            reasons: BTreeMap::new(),
        })
    }

    /// What an earlier run brought.
    pub(super) fn earlier(&mut self, openid: &str, fate: &Fate) -> anyhow::Result<()> {
        self.tell(openid, fate, true)
    }

    /// What this run brought.
    pub(super) fn now(&mut self, openid: &str, fate: &Fate) -> anyhow::Result<()> {
        self.tell(openid, fate, false)
    }

    fn tell(&mut self, openid: &str, fate: &Fate, earlier: bool) -> anyhow::Result<()> {
        match fate.outcome {
            Outcome::Sent => {
                self.sent += 1;
                self.sent_earlier += usize::from(earlier);
            }
            Outcome::Refused => self.refused += 1,
            Outcome::Unknown => self.unknown += 1,
        }
        let reason = fate.reason.clone().unwrap_or_default();
        if fate.outcome != Outcome::Sent {
            let known = (fate.errcode, reason.clone());
            *self.reasons.entry(known).or_default() += 1;
        }
        self.bar.inc(1);
        let line = Line {
            openid,
            fate,
            earlier,
        };
        if let Some(file) = &mut self.file {
            serde_json::to_writer(&mut *file, &line).context("--report")?;
            file.write_all(b"\n").context("--report")?;
        }
        if self.args.json {
            let line = serde_json::to_string(&line).expect("texts and numbers are JSON");
            return self.bar.suspend(|| outln!("{line}")).map_err(Into::into);
        }
        if self.file.is_none() && fate.outcome != Outcome::Sent {
            let word = match fate.outcome {
                Outcome::Unknown => "unknown",
                Outcome::Sent | Outcome::Refused => "refused",
            };
            let code = code(fate.errcode);
            let again = if fate.retryable {
                " (the next run sends it)"
            } else {
                ""
            };
            let said = || outln!("{openid}: {word}:{code} {}{again}", harmless(&reason));
            self.bar.suspend(said)?;
        }
        Ok(())
    }

    /// The counts. `all` is how many the list has.
    pub(super) fn finish(mut self, all: usize, stop: Option<&Stop>) -> anyhow::Result<Counts> {
        self.bar.finish_and_clear();
        if let Some(mut file) = self.file.take() {
            file.flush().context("--report")?;
        }
        let left = all - self.sent - self.refused - self.unknown;
        let seconds = self.begun.elapsed().as_secs_f64();
        let why = stop.map(Stop::words);
        if self.args.json {
            let reasons: Vec<_> = (self.reasons.iter())
                .map(|((errcode, reason), n)| {
                    json!({"errcode": errcode, "reason": reason, "recipients": n})
                })
                .collect();
            let summary = json!({
                "campaign": self.args.campaign,
                "recipients": all,
                "sent": self.sent,
                "sent_earlier": self.sent_earlier,
                "refused": self.refused,
                "unknown": self.unknown,
                "left": left,
                "reasons": reasons,
                "stopped": why,
                "seconds": (seconds * 1000.0).round() / 1000.0,
            });
            outln!("{}", json!({ "summary": summary }))?;
        } else {
            outln!(
                "{}: {} of {} sent ({} earlier), {} refused, {} unknown, {left} left; {seconds:.1} s",
                self.args.campaign,
                self.sent,
                count(all, "recipient"),
                self.sent_earlier,
                self.refused,
                self.unknown,
            )?;
            for ((errcode, reason), n) in &self.reasons {
                outln!("  {n} ×{} {}", code(*errcode), harmless(reason))?;
            }
            if let Some(why) = &why {
                outln!("stopped: {}", harmless(why))?;
            }
            if self.unknown > 0 {
                outln!("unknown: sent or not; --repeat-unknown sends again, perhaps twice")?;
            }
            if left > 0 {
                outln!("the same command goes on")?;
            }
        }
        Ok(Counts {
            complete: self.sent == all,
            any_sent_now: self.sent > self.sent_earlier,
        })
    }
}

fn code(errcode: Option<i64>) -> String {
    errcode.map_or_else(String::new, |errcode| format!(" {errcode}"))
}
