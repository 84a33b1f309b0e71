//! Calls of the WeChat API about users, many users to a call.
//!
//! Jobs are gathered for a while into one call. A refused token is dropped and the batch tried again with a new one;
//! anything else that may pass is tried again a few times, then given up and counted.
//!
//! # Bounds
//! The caller bounds the length; [`MAX_TRIES`] tries each. The queue is this worker's memory: a crash loses it, the push
//! that caused the job is in the store.

use std::collections::VecDeque;

use crate::backoff::Backoff;
use crate::planted::{Bug, planted};

/// How often a job is tried.
const MAX_TRIES: u8 = 5;
const BACKOFF: Backoff = Backoff {
    first_ms: 300,
    most_ms: 60_000,
};

struct Tried<J> {
    job: J,
    tries: u8,
    /// Most jobs of a call with this one: halved each time such a call is refused because of one of them.
    most: usize,
}

/// The jobs of one account and kind.
pub(crate) struct ApiQueue<J> {
    waiting: VecDeque<Tried<J>>,
    in_flight: Vec<Tried<J>>,
    /// Most jobs of one call, by WeChat's rules.
    most: usize,
    since_ms: u64,
    not_before_ms: u64,
    failures: u32,
    token: String,
}

/// What became of a call.
pub(crate) enum Asked {
    /// WeChat answered.
    Answered,
    /// WeChat refused the token: ask again as soon as there is a new one.
    TokenRefused,
    /// One of the users is refused: find out which, by halves.
    OneIsWrong,
    /// It may work later.
    Failed,
}

impl<J> ApiQueue<J> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            in_flight: Vec::new(),
            most,
            since_ms: 0,
            not_before_ms: 0,
            failures: 0,
            token: String::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    pub(crate) fn push(&mut self, job: J, mono_ms: u64) {
        if self.waiting.is_empty() {
            self.since_ms = mono_ms;
        }
        let most = self.most;
        self.waiting.push_back(Tried {
            job,
            tries: 0,
            most,
        });
    }

    /// Whether one of the last jobs that wait, as many as go into a call, is such a job.
    pub(crate) fn has_lately(&self, is_such: impl Fn(&J) -> bool) -> bool {
        let mut last = self.waiting.iter().rev().take(self.most);
        last.any(|tried| is_such(&tried.job))
    }

    /// Whether a call could go now, given a token; jobs wait `wait_ms` for company.
    pub(crate) fn is_due(&self, wait_ms: u64, mono_ms: u64) -> bool {
        self.in_flight.is_empty()
            && !self.waiting.is_empty()
            && mono_ms >= self.not_before_ms
            && (self.waiting.len() >= self.most || mono_ms.saturating_sub(self.since_ms) >= wait_ms)
    }

    /// The jobs of the next call: the first one and those that go `together` with it. They are in flight from now on.
    pub(crate) fn take_batch(
        &mut self,
        token: String,
        together: impl Fn(&J, &J) -> bool,
    ) -> impl Iterator<Item = &J> {
        self.token = token;
        let most = self.waiting.front().map_or(0, |first| first.most);
        let mut at = 0;
        while let Some(next) = self.waiting.get(at).filter(|_| self.in_flight.len() < most) {
            let first = self.in_flight.first().unwrap_or(next);
            if together(&first.job, &next.job) {
                self.in_flight.extend(self.waiting.remove(at));
            } else {
                at += 1;
            }
        }
        self.in_flight()
    }

    /// The jobs of the call in flight.
    pub(crate) fn in_flight(&self) -> impl Iterator<Item = &J> {
        self.in_flight.iter().map(|tried| &tried.job)
    }

    /// The token of the call in flight.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// Gives a job away, one in flight too.
    pub(crate) fn give(&mut self) -> Option<J> {
        let tried = self.in_flight.pop().or_else(|| self.waiting.pop_front())?;
        Some(tried.job)
    }

    /// The call is over. Returns how many jobs are given up.
    pub(crate) fn done(&mut self, asked: &Asked, mono_ms: u64, random: u32) -> u64 {
        let jobs = self.in_flight.len();
        let mut may_fail_again = true;
        match asked {
            Asked::Answered => {
                self.in_flight.clear();
                self.failures = 0;
                self.since_ms = mono_ms;
                return 0;
            }
            Asked::OneIsWrong if jobs == 1 => {
                self.in_flight.clear();
                return 1;
            }
            // That says nothing against the others.
            Asked::OneIsWrong => may_fail_again = false,
            // Once is news, twice in a row is a problem that a pause may cure.
            Asked::TokenRefused if self.failures == 0 => self.failures = 1,
            Asked::TokenRefused | Asked::Failed => {
                self.not_before_ms = mono_ms + BACKOFF.pause_ms(self.failures, random);
                self.failures = self.failures.saturating_add(1);
            }
        }
        let mut given_up = 0;
        for mut tried in self.in_flight.drain(..).rev() {
            if may_fail_again {
                tried.tries += 1;
            } else {
                tried.most = jobs.div_ceil(2);
            }
            if planted(Bug::ApiFailureForgotten) {
                continue;
            }
            if tried.tries < MAX_TRIES {
                self.waiting.push_front(tried);
            } else {
                given_up += 1;
            }
        }
        given_up
    }
}
