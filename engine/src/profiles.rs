//! Asks WeChat who the new followers are.
//!
//! Followers are gathered for `profile_wait_ms` into one `user/info/batchget` of up to 100. Each answer
//! becomes a `weir.user.snapshot` event. A refused token is dropped and the batch asked again with a new one;
//! anything else that may pass is tried again a few times, then given up and counted (the full sync finds them).
//!
//! # Bounds
//! `profiles_max_queued` per worker over all accounts, [`MAX_TRIES`] tries each. The queue is this worker's memory: a crash
//! loses it, the follow itself is in the store.

use std::collections::VecDeque;

use weir_protocol::api::MAX_BATCH;

use crate::backoff::Backoff;
use crate::config::Limits;
use crate::outbox::Follower;

/// How often one follower is asked for.
const MAX_TRIES: u8 = 5;
const BACKOFF: Backoff = Backoff {
    first_ms: 300,
    most_ms: 60_000,
};

struct Job {
    follower: Follower,
    tries: u8,
}

/// The followers of one account whose profile is wanted.
pub(crate) struct Profiles {
    waiting: VecDeque<Job>,
    in_flight: Vec<Job>,
    since_ms: u64,
    not_before_ms: u64,
    failures: u32,
    batch: usize,
    token: String,
}

impl Default for Profiles {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            in_flight: Vec::new(),
            since_ms: 0,
            not_before_ms: 0,
            failures: 0,
            batch: MAX_BATCH,
            token: String::new(),
        }
    }
}

/// What became of a call.
pub(crate) enum Asked {
    /// WeChat answered.
    Answered,
    /// WeChat refused the token: ask again as soon as there is a new one.
    TokenRefused,
    /// One of the openids is refused: ask for each alone.
    OneIsWrong,
    /// It may work later.
    Failed,
}

impl Profiles {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    pub(crate) fn push(&mut self, follower: Follower, mono_ms: u64) {
        if self.waiting.is_empty() {
            self.since_ms = mono_ms;
        }
        self.waiting.push_back(Job { follower, tries: 0 });
    }

    /// Whether a call could go now, given a token.
    pub(crate) fn is_due(&self, limits: &Limits, mono_ms: u64) -> bool {
        self.in_flight.is_empty()
            && !self.waiting.is_empty()
            && mono_ms >= self.not_before_ms
            && (self.waiting.len() >= MAX_BATCH
                || mono_ms.saturating_sub(self.since_ms) >= limits.profile_wait_ms)
    }

    /// The openids of the next call; they are in flight from now on.
    pub(crate) fn take_batch(&mut self, token: String) -> Vec<&str> {
        let take = self.batch.min(self.waiting.len());
        self.in_flight = self.waiting.drain(..take).collect();
        self.token = token;
        self.in_flight
            .iter()
            .map(|job| job.follower.openid.as_str())
            .collect()
    }

    /// The token of the call in flight.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The follower of the call in flight with this openid.
    pub(crate) fn asked_for(&self, openid: &str) -> Option<&Follower> {
        self.in_flight
            .iter()
            .map(|job| &job.follower)
            .find(|f| f.openid == openid)
    }

    /// The call is over. Returns how many followers are given up.
    pub(crate) fn done(&mut self, asked: &Asked, mono_ms: u64, random: u32) -> u64 {
        match asked {
            Asked::Answered => {
                self.in_flight.clear();
                self.failures = 0;
                self.batch = MAX_BATCH;
                self.since_ms = mono_ms;
                return 0;
            }
            // Once is news, twice in a row is a problem that a pause may cure.
            Asked::TokenRefused if self.failures == 0 => {}
            Asked::OneIsWrong if self.in_flight.len() > 1 => {}
            Asked::OneIsWrong => {
                self.in_flight.clear();
                return 1;
            }
            Asked::TokenRefused | Asked::Failed => {
                self.not_before_ms = mono_ms + BACKOFF.pause_ms(self.failures, random);
            }
        }
        if matches!(asked, Asked::OneIsWrong) {
            self.batch = 1;
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        let before = self.in_flight.len();
        for mut job in self.in_flight.drain(..).rev() {
            job.tries += 1;
            if job.tries < MAX_TRIES {
                self.waiting.push_front(job);
            }
        }
        let kept = self.waiting.len().min(before);
        (before - kept) as u64
    }
}
