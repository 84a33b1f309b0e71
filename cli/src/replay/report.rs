//! What became of each line, and of all.

use std::time::Instant;

use serde_json::json;
use weir_sim::{Push, UserSees};

use super::Done;
use super::record::Unsendable;
use crate::Outcome;
use crate::account::Known;
use crate::push::Kind;
use crate::term::{count, harmless, outln};
use crate::trigger::verdict::{self, Verdict};

/// Counts lines, and says what is worth saying of one.
pub(super) struct Report {
    json: bool,
    dry_run: bool,
    begun: Instant,
    /// Answered as WeChat wants it: with a reply, without one.
    replied: u64,
    silent: u64,
    failed: u64,
    bad: u64,
    not_pushes: u64,
    /// Of a dry run.
    sendable: u64,
    interrupted_at: Option<u64>,
}

impl Report {
    pub(super) fn new(json: bool, dry_run: bool) -> Self {
        Self {
            json,
            dry_run,
            begun: Instant::now(),
            replied: 0,
            silent: 0,
            failed: 0,
            bad: 0,
            not_pushes: 0,
            sendable: 0,
            interrupted_at: None,
        }
    }

    pub(super) fn unsendable(&mut self, line: u64, why: &Unsendable) -> anyhow::Result<()> {
        let (verdict, why) = match why {
            Unsendable::Bad(why) => {
                self.bad += 1;
                ("bad", why)
            }
            Unsendable::NotAPush(why) => {
                self.not_pushes += 1;
                ("not_a_push", why)
            }
        };
        if self.json {
            outln!(
                "{}",
                json!({"line": line, "verdict": verdict, "reason": why})
            )?;
        } else if verdict == "bad" {
            outln!("line {line}: bad: {}", harmless(why))?;
        }
        Ok(())
    }

    pub(super) fn would_send(
        &mut self,
        line: u64,
        kind: &Kind,
        push: &Push,
        url: &str,
    ) -> anyhow::Result<()> {
        self.sendable += 1;
        let (openid, time) = (push.from_user_name(), push.create_time());
        if self.json {
            outln!(
                "{}",
                json!({"line": line, "kind": kind.name, "openid": openid, "create_time": time, "url": url})
            )?;
        } else {
            outln!(
                "line {line}: {} from {} of {time} to {url}",
                harmless(&kind.name),
                harmless(openid)
            )?;
        }
        Ok(())
    }

    pub(super) fn done(&mut self, done: &Done, known: &Known) -> anyhow::Result<()> {
        let judged = verdict::judge(&done.exchange, &done.kind, known);
        if !judged.verdict.is_good() {
            self.failed += 1;
        } else if matches!(done.exchange.reply, UserSees::Reply(_)) {
            self.replied += 1;
        } else {
            self.silent += 1;
        }
        let last = done.exchange.attempts.last();
        if self.json {
            outln!(
                "{}",
                json!({
                    "line": done.line,
                    "kind": done.kind.name,
                    "account": known.account.name,
                    "verdict": judged.verdict,
                    "attempts": done.exchange.attempts.len(),
                    "status": last.and_then(weir_sim::Attempt::status),
                    "took_ms": last.map(|attempt| attempt.took.as_millis() as u64),
                })
            )?;
        } else if !judged.verdict.is_good() {
            let status = last.and_then(weir_sim::Attempt::status);
            let status = status.map_or_else(String::new, |status| format!(" (status {status})"));
            let sentence = match judged.verdict {
                Verdict::TriesAgain => "no answer that counts".to_owned(),
                _ => judged.sentence,
            };
            outln!(
                "line {}: {} failed{status}: {}",
                done.line,
                harmless(&done.kind.name),
                harmless(&sentence)
            )?;
        }
        Ok(())
    }

    /// The line that was next.
    pub(super) fn interrupted(&mut self, line: u64) {
        self.interrupted_at = Some(line);
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted_at.is_some()
    }

    /// The counts, and the outcome.
    pub(super) fn finish(self) -> anyhow::Result<Outcome> {
        let sent = self.replied + self.silent + self.failed;
        let good = self.failed + self.bad == 0 && self.interrupted_at.is_none();
        let seconds = self.begun.elapsed().as_secs_f64();
        if self.json {
            let summary = json!({
                "sent": sent,
                "replied": self.replied,
                "without_reply": self.silent,
                "failed": self.failed,
                "bad_lines": self.bad,
                "not_pushes": self.not_pushes,
                "would_send": self.sendable,
                "seconds": (seconds * 1000.0).round() / 1000.0,
                "resume_from": self.interrupted_at,
            });
            outln!("{}", json!({ "summary": summary }))?;
            return Ok(Outcome::good_if(good));
        }
        let number =
            |number: u64, what: &str| count(usize::try_from(number).unwrap_or(usize::MAX), what);
        if self.dry_run {
            outln!("would send {}", number(self.sendable, "push"))?;
        } else {
            outln!(
                "sent {sent} in {seconds:.1} s: {} replied to, {} without a reply, {} failed",
                self.replied,
                self.silent,
                self.failed
            )?;
        }
        outln!(
            "left out: {}, {} that hold no push of the accounts",
            number(self.bad, "bad line"),
            number(self.not_pushes, "line"),
        )?;
        if let Some(line) = self.interrupted_at {
            outln!("interrupted; go on with --from {line}")?;
        }
        Ok(Outcome::good_if(good))
    }
}
