//! Events that nobody waits for, on their way to the store: in order, a batch at a time, tried again until it has them. The
//! modules beside the push filter record with it what they did; pushes have the [`outbox`](crate::outbox).
//!
//! # Bounds
//! Events, by configuration; what comes beyond is counted as lost. It is this worker's memory: a crash loses it.

use std::collections::VecDeque;

use weir_store_api::CONTENT_TYPE_BATCH;

use crate::config::Peer;
use crate::{CallOutcome, Env, HttpRequest};

/// Most events of a batch, and most bytes (the one event that crosses them included).
const BATCH_EVENTS: usize = 200;
const BATCH_BYTES: usize = 512 * 1_024;
/// Pauses after calls that failed: doubled from the first to the last.
const FIRST_PAUSE_MS: u64 = 200;
const LAST_PAUSE_MS: u64 = 10_000;

/// What one worker has to record.
#[derive(Debug, Default)]
pub struct Records {
    waiting: VecDeque<Vec<u8>>,
    in_flight: Vec<Vec<u8>>,
    failures: u32,
    not_before_ms: u64,
    /// The store has refused a batch: events go one by one until it is clear which one it is.
    singly: bool,
}

impl Records {
    /// How many the store does not have yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    /// Whether the store has everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the store did not take what it was given last.
    #[must_use]
    pub fn is_held_up(&self) -> bool {
        self.failures > 0
    }

    /// Whether there is as much as a call takes.
    #[must_use]
    pub fn is_a_batch(&self) -> bool {
        self.in_flight.is_empty() && self.waiting.len() >= BATCH_EVENTS
    }

    /// `false`: there is no room.
    #[must_use]
    pub fn push(&mut self, event: Vec<u8>, most: usize) -> bool {
        let room = self.len() < most;
        if room {
            self.waiting.push_back(event);
        }
        room
    }

    /// The next call to the store; `None`: nothing is due.
    pub fn next_call(&mut self, store: &Peer, path: &str, mono_ms: u64) -> Option<HttpRequest> {
        let body = self.take_batch(mono_ms)?;
        let path = path.to_owned();
        Some(HttpRequest::post(store, path, CONTENT_TYPE_BATCH, body))
    }

    fn take_batch(&mut self, mono_ms: u64) -> Option<Vec<u8>> {
        if !self.in_flight.is_empty() || self.waiting.is_empty() || mono_ms < self.not_before_ms {
            return None;
        }
        let most = if self.singly { 1 } else { BATCH_EVENTS };
        let mut body = vec![b'['];
        while self.in_flight.len() < most && body.len() < BATCH_BYTES {
            let Some(event) = self.waiting.pop_front() else {
                break;
            };
            if !self.in_flight.is_empty() {
                body.push(b',');
            }
            body.extend_from_slice(&event);
            self.in_flight.push(event);
        }
        body.push(b']');
        Some(body)
    }

    /// The call is over. Returns how many events the store will never take.
    pub fn done(&mut self, outcome: &CallOutcome<'_>, env: &mut Env<'_>) -> usize {
        let (mono_ms, random) = (env.now.mono_ms, env.random_u32());
        match *outcome {
            CallOutcome::Answer {
                status: 200..=299, ..
            } => {
                self.in_flight.clear();
                (self.failures, self.singly) = (0, false);
                0
            }
            CallOutcome::Answer {
                status: 400 | 410 | 413 | 415 | 422,
                ..
            } => {
                if self.in_flight.len() == 1 {
                    self.in_flight.clear();
                    return 1;
                }
                self.singly = true;
                self.put_back();
                0
            }
            _ => {
                self.failures = self.failures.saturating_add(1);
                let doublings = self.failures.saturating_sub(1).min(16);
                let pause = (FIRST_PAUSE_MS << doublings).min(LAST_PAUSE_MS);
                self.not_before_ms = mono_ms + pause / 2 + u64::from(random) % (pause / 2 + 1);
                self.put_back();
                0
            }
        }
    }

    /// Forgets everything; returns how many events that was.
    pub fn abandon(&mut self) -> usize {
        let lost = self.len();
        *self = Self::default();
        lost
    }

    fn put_back(&mut self) {
        for event in self.in_flight.drain(..).rev() {
            self.waiting.push_front(event);
        }
    }
}
