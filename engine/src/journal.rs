//! Turns a flood of refused pushes into one line a second.
//!
//! Anybody can send bad requests, and a log line costs more than refusing one.

use std::collections::BTreeMap;

use crate::config::AccountId;
use crate::metric::Outcome;

/// Least time between two groups of lines.
const EVERY_MS: u64 = 1_000;

/// What was refused or not answered since the last lines.
#[derive(Default)]
pub(crate) struct Journal {
    counts: BTreeMap<(AccountId, &'static str), u64>,
    written_mono_ms: u64,
}

impl Journal {
    /// Remembers an outcome worth a line.
    pub(crate) fn note(&mut self, account: AccountId, outcome: Outcome) {
        match outcome {
            Outcome::Replied | Outcome::Acknowledged => {}
            _ => *self.counts.entry((account, outcome.label())).or_default() += 1,
        }
    }

    /// The lines to write now: account, outcome, how often.
    pub(crate) fn take(&mut self, mono_ms: u64) -> Vec<(AccountId, &'static str, u64)> {
        if self.counts.is_empty() || mono_ms.saturating_sub(self.written_mono_ms) < EVERY_MS {
            return Vec::new();
        }
        self.written_mono_ms = mono_ms;
        let counts = std::mem::take(&mut self.counts);
        counts
            .into_iter()
            .map(|((account, outcome), count)| (account, outcome, count))
            .collect()
    }
}
