//! One input and its time.
//!
//! libFuzzer's own clock counts whole seconds and the wall's time, in which a process may also stand still. Here an
//! input that seems slow is tried again, and the shortest time counts: that is the work it takes. An input that never
//! ends is noticed by a thread beside, which stands still when the process does.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The longest that one input may take.
pub const LIMIT: Duration = Duration::from_millis(100);
/// What takes less is not looked at again.
const UNREMARKABLE: Duration = Duration::from_micros(200);
/// How often a slow one is tried again.
const TRIALS: u32 = 5;
/// Looks, one a second, after which an input is one that never ends.
const ENDLESS: u32 = 60;

/// Microseconds of the slowest input so far.
static SLOWEST_US: AtomicU64 = AtomicU64::new(0);
/// Inputs begun and ended.
static TURNS: AtomicU64 = AtomicU64::new(0);

/// Runs a target on an input. A new slowest one is told on standard error: `slowest unit: 1234 us, 56 bytes`.
///
/// # Panics
/// The target's own, and when the input takes longer than [`LIMIT`]. When it never ends, the process is aborted.
pub fn run(target: fn(&[u8]), data: &[u8]) {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| drop(thread::spawn(watch)));
    TURNS.fetch_add(1, Ordering::Relaxed);
    timed(target, data);
    TURNS.fetch_add(1, Ordering::Relaxed);
}

fn timed(target: fn(&[u8]), data: &[u8]) {
    let once = || {
        let start = Instant::now();
        target(data);
        start.elapsed()
    };
    let took = once();
    let slowest = Duration::from_micros(SLOWEST_US.load(Ordering::Relaxed));
    if took <= slowest.max(UNREMARKABLE) {
        return;
    }
    let least = (0..TRIALS).map(|_| once()).fold(took, Duration::min);
    if least > slowest {
        let micros = u64::try_from(least.as_micros()).unwrap_or(u64::MAX);
        SLOWEST_US.store(micros, Ordering::Relaxed);
        eprintln!("slowest unit: {micros} us, {} bytes", data.len());
    }
    assert!(least <= LIMIT, "{least:?} for {} bytes", data.len());
}

/// Aborts the process, for libFuzzer to keep the input, when one is at work at every look for a minute.
fn watch() {
    let (mut last, mut looks) = (0, 0);
    loop {
        thread::sleep(Duration::from_secs(1));
        let now = TURNS.load(Ordering::Relaxed);
        // Odd: an input is at work.
        looks = if now == last && now % 2 == 1 {
            looks + 1
        } else {
            0
        };
        last = now;
        if looks >= ENDLESS {
            eprintln!("this input never ends");
            std::process::abort();
        }
    }
}
