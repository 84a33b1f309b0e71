//! Time and chance, as an instance has them.

use wasip2::clocks::{monotonic_clock, wall_clock};
use wasip2::io::poll::Pollable;
use wasip2::random::random;
use weir_engine::time::Now;
use weir_engine::{Random, TICK_MS};

/// The present, in a time that all instances share: the system's clock at the beginning of the request, and the monotonic one
/// from there on. It is looked at where time may have passed, which is where the instance has waited: each look is a host call.
pub(crate) struct Clock {
    pub(crate) began_ms: u64,
    began_ns: u64,
    pub(crate) now_ms: u64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        let now = wall_clock::now();
        let began_ms = now.seconds * 1_000 + u64::from(now.nanoseconds / 1_000_000);
        Self {
            began_ms,
            began_ns: monotonic_clock::now(),
            now_ms: began_ms,
        }
    }

    pub(crate) fn look(&mut self) {
        let passed_ns = monotonic_clock::now().saturating_sub(self.began_ns);
        self.now_ms = self.began_ms + passed_ns / 1_000_000;
    }

    /// As of the last look.
    pub(crate) fn now(&self) -> Now {
        Now {
            unix_ms: self.now_ms,
            mono_ms: self.now_ms,
        }
    }
}

/// The host's chance.
pub(crate) struct Chance;

impl Random for Chance {
    fn fill(&mut self, out: &mut [u8]) {
        let bytes = random::get_random_bytes(out.len() as u64);
        for (out, byte) in out.iter_mut().zip(bytes) {
            *out = byte;
        }
    }
}

/// When it is the root's turn.
#[derive(Default)]
pub(crate) struct Turns {
    /// When the last one was.
    pub(crate) last_mono_ms: u64,
    /// Is ready when the next one is due, once it was waited for.
    next: Option<Pollable>,
}

impl Turns {
    pub(crate) fn are_due(&self, now_ms: u64) -> bool {
        now_ms >= self.last_mono_ms + TICK_MS
    }

    /// It was waited for.
    pub(crate) fn came(&mut self) {
        self.next = None;
    }

    /// What to wait for. It stays from one wait to the next: mostly something else comes first.
    pub(crate) fn next(&mut self) -> &Pollable {
        let tick_ns = TICK_MS * 1_000_000;
        (self.next).get_or_insert_with(|| monotonic_clock::subscribe_duration(tick_ns))
    }
}
