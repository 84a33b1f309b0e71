//! Log, clocks, chance, environment, configuration, contexts.

use std::ptr::null_mut;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use proxy_wasm::types::{BufferType, LogLevel};
use weir_engine::Random;
use weir_engine::time::Now;

use crate::abi::{
    MONOTONIC, OK, REALTIME, clock_time_get, environ_get, environ_sizes_get, proxy_done, proxy_log,
    proxy_set_effective_context, proxy_set_tick_period_milliseconds, random_get,
};
use crate::http::buffer;

/// How often the clocks are read until they agree.
const MAX_READINGS: u8 = 4;

/// Writes a line. Control characters are the caller's to keep out.
pub fn log(level: LogLevel, line: &str) {
    // SAFETY: the host reads `line` during the call only. Nothing can be done about a lost line.
    let _ = unsafe { proxy_log(level as u32, line.as_ptr(), line.len()) };
}

/// The present: both clocks within a millisecond of one another.
///
/// A thread that is interrupted between two readings takes different moments for one, and what it tells by them until its next
/// turn happened before what came before it.
pub fn now() -> Now {
    let mut before_ms = mono_ms();
    let mut readings = 0;
    loop {
        let unix_ms = clock_ms(REALTIME);
        let mono_ms = mono_ms();
        readings += 1;
        if mono_ms.saturating_sub(before_ms) <= 1 || readings == MAX_READINGS {
            return Now { unix_ms, mono_ms };
        }
        before_ms = mono_ms;
    }
}

/// The monotonic clock alone, which all workers of the process share.
pub fn mono_ms() -> u64 {
    clock_ms(MONOTONIC)
}

/// A clock that fails stands still: at 0 deadlines would pass that have not, and others would never come.
fn clock_ms(clock: u32) -> u64 {
    static LAST_NANOS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
    let mut nanos = 0;
    // SAFETY: the host writes one u64.
    let failed = unsafe { clock_time_get(clock, 1_000_000, &raw mut nanos) } != 0;
    if let Some(last) = LAST_NANOS.get(clock as usize) {
        if failed {
            nanos = last.load(Relaxed);
        } else {
            last.store(nanos, Relaxed);
        }
    }
    nanos / 1_000_000
}

/// Fills `out` from the host's cryptographic source, at most 64 KiB. `false`: it has none.
#[must_use]
pub fn random(out: &mut [u8]) -> bool {
    // SAFETY: the host writes `out.len()` bytes.
    unsafe { random_get(out.as_mut_ptr(), out.len()) == 0 }
}

/// The variables that the host lets the VM see.
pub struct Environment(Vec<u8>);

impl Environment {
    /// As the host tells it now; empty if it does not.
    pub fn read() -> Self {
        let (mut count, mut size) = (0, 0);
        // SAFETY: the host writes both numbers.
        if unsafe { environ_sizes_get(&raw mut count, &raw mut size) } != 0 {
            return Self(Vec::new());
        }
        let mut entries = vec![null_mut(); count];
        let mut block = vec![0; size];
        // SAFETY: the host writes what it has just announced: as many pointers and as many bytes.
        match unsafe { environ_get(entries.as_mut_ptr(), block.as_mut_ptr()) } {
            0 => Self(block),
            _ => Self(Vec::new()),
        }
    }

    /// The value of `name`, if it is text.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.split(|&byte| byte == 0).find_map(|entry| {
            let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(std::str::from_utf8(value).ok()?.to_owned())
        })
    }
}

/// The plugin's configuration; empty if it cannot be read, which is none that is taken.
pub fn configuration(size: usize) -> Vec<u8> {
    buffer(BufferType::PluginConfiguration, size).unwrap_or_default()
}

/// Runs `act` with `context` effective, then `back`. `false`: the context is gone, and nothing ran.
pub fn within(context: u32, back: u32, act: impl FnOnce()) -> bool {
    // SAFETY: plain values.
    if unsafe { proxy_set_effective_context(context) } != OK {
        return false;
    }
    act();
    // SAFETY: plain values. `back` is the root we were called on.
    let _ = unsafe { proxy_set_effective_context(back) };
    true
}

/// Has this root context called every `period_ms`.
pub fn set_tick_period(period_ms: u64) -> bool {
    let period = u32::try_from(period_ms).unwrap_or(u32::MAX);
    // SAFETY: plain values.
    unsafe { proxy_set_tick_period_milliseconds(period) == OK }
}

/// Tells the host that this root context, which asked to be kept, may go. `false`: it did not hear.
#[must_use]
pub fn done() -> bool {
    // SAFETY: plain values.
    unsafe { proxy_done() == OK }
}

/// Random bytes, fetched from the host 1 KiB at a time: a hostcall for 16 bytes costs as much as for 1,024.
pub struct Pool {
    bytes: [u8; 1024],
    used: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            bytes: [0; 1024],
            used: 1024,
        }
    }
}

impl Random for Pool {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(self.bytes.len()) {
            if self.bytes.len() - self.used < chunk.len() {
                // What cannot be had is asked for again the next time.
                self.used = if random(&mut self.bytes) {
                    0
                } else {
                    self.bytes.len()
                };
            }
            let end = self.used + chunk.len();
            if let Some(bytes) = self.bytes.get_mut(self.used..end) {
                chunk.copy_from_slice(bytes);
                // Handed out once.
                bytes.fill(0);
            }
            self.used = end;
        }
    }
}
