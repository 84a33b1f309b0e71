//! Calls per API, account and day, counted by all workers together.
//!
//! Two records per account in shared data, rows of 16 bytes: which API, which day, how many; and which APIs WeChat has
//! said are used up (45009), which is empty on most days and so read at every call. A day begins at midnight in Beijing. What
//! the store and other programs call is not counted here: the configured reserve is theirs.
//!
//! Where there is a budget, each call is counted before it is made; elsewhere a worker counts for itself and adds it up
//! ([`add`]) a while later.

use weir_engine::shared::{self, SharedData, Write};

/// Most APIs that are counted, per account; the calls of others pass uncounted.
const MAX_ROWS: usize = 256;
/// `fingerprint u64 | day u32 | count u32`.
const ROW: usize = 16;
const BEIJING_S: u64 = 8 * 3_600;
const DAY_S: u64 = 86_400;

/// Creates the records. Call while configuring.
pub(crate) fn prepare(shared: &dyn SharedData, appid: &str) {
    shared::create(shared, &counts(appid), &[]);
    shared::create(shared, &stops(appid), &[]);
}

/// Counts a call if it is one of the `most` of today.
pub(crate) fn take(
    shared: &dyn SharedData,
    appid: &str,
    path: &str,
    most: u32,
    unix_s: u64,
) -> bool {
    let counted = change(shared, &counts(appid), path, unix_s, |count| {
        let room = *count < most;
        *count += u32::from(room);
        room
    });
    // What cannot be counted is not refused.
    counted.unwrap_or(true)
}

/// Adds up calls that were made.
pub(crate) fn add(shared: &dyn SharedData, appid: &str, path: &str, calls: u32, unix_s: u64) {
    let _ = change(shared, &counts(appid), path, unix_s, |count| {
        *count = count.saturating_add(calls);
        true
    });
}

/// Whether WeChat has said that it is enough for today.
pub(crate) fn is_stopped(shared: &dyn SharedData, appid: &str, path: &str, unix_s: u64) -> bool {
    let Some((rows, _)) = shared.get(&stops(appid)) else {
        return false;
    };
    if rows.is_empty() {
        return false;
    }
    let mut wanted = [0; 12];
    let (api, day) = wanted.split_at_mut(8);
    api.copy_from_slice(&fingerprint(path).to_le_bytes());
    day.copy_from_slice(&today(unix_s).to_le_bytes());
    let mut rows = rows.as_chunks::<ROW>().0.iter();
    rows.any(|row| row.starts_with(&wanted))
}

/// WeChat has said that it is enough for today.
pub(crate) fn stop(shared: &dyn SharedData, appid: &str, path: &str, unix_s: u64) {
    let _ = change(shared, &stops(appid), path, unix_s, |count| {
        let first = *count == 0;
        *count = 1;
        first
    });
}

/// The quota was cleared at WeChat: everything counts from nothing.
pub(crate) fn clear(shared: &dyn SharedData, appid: &str) {
    for key in [counts(appid), stops(appid)] {
        let _ = shared::update(shared, &key, |rows| {
            rows.clear();
            ((), Write::Yes)
        });
    }
}

/// Lets `act` change today's count of an API; it says whether it did.
fn change(
    shared: &dyn SharedData,
    key: &str,
    path: &str,
    unix_s: u64,
    act: impl Fn(&mut u32) -> bool,
) -> Option<bool> {
    let today = today(unix_s);
    let api = fingerprint(path).to_le_bytes();
    shared::update(shared, key, |table| {
        let place = (table.as_chunks::<ROW>().0.iter()).position(|row| row.starts_with(&api));
        let at = match place {
            Some(place) => place * ROW,
            None if table.len() < MAX_ROWS * ROW => table.len(),
            None => return (true, Write::No),
        };
        let number = |from: usize| {
            let bytes = table
                .get(at + from..)
                .and_then(|rest| rest.first_chunk::<4>());
            bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        let mut count = if number(8) == today { number(12) } else { 0 };
        if !act(&mut count) {
            return (false, Write::No);
        }
        table.resize(table.len().max(at + ROW), 0);
        let row = [&api[..], &today.to_le_bytes()[..], &count.to_le_bytes()[..]].concat();
        if let Some(place) = table.get_mut(at..at + ROW) {
            place.copy_from_slice(&row);
        }
        (true, Write::Yes)
    })
}

fn today(unix_s: u64) -> u32 {
    u32::try_from((unix_s + BEIJING_S) / DAY_S).unwrap_or(u32::MAX)
}

/// FNV-1a, 64 bits: a few hundred paths do not meet in it.
fn fingerprint(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn counts(appid: &str) -> String {
    format!("weir/quota/{appid}")
}

fn stops(appid: &str) -> String {
    format!("weir/quota-stops/{appid}")
}
