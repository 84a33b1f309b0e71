//! Calls per API, account and day, counted by all workers together.
//!
//! A record per account in shared data, rows of 16 bytes: which API, which day, how many, whether WeChat has said that it is
//! enough (45009). A day begins at midnight in Beijing. What the store and other programs call is not counted here: the
//! configured reserve is theirs.

use weir_engine::shared::{self, SharedData, Write};

/// Most APIs that are counted, per account; the calls of others pass uncounted.
const MAX_ROWS: usize = 256;
const ROW: usize = 16;
const BEIJING_S: u64 = 8 * 3_600;
const DAY_S: u64 = 86_400;

/// Creates the record. Call while configuring.
pub(crate) fn prepare(shared: &dyn SharedData, appid: &str) {
    shared::create(shared, &key(appid), &[]);
}

/// Counts a call, unless the day's are used up. Returns how many it is today, `None`: no more of them.
pub(crate) fn take(
    shared: &dyn SharedData,
    appid: &str,
    path: &str,
    most: u32,
    unix_s: u64,
) -> Option<u32> {
    let counted = change(shared, appid, path, unix_s, |row| {
        if row.stopped || row.count >= most {
            return (None, Write::No);
        }
        row.count += 1;
        (Some(row.count), Write::Yes)
    });
    // What cannot be counted is not refused.
    counted.unwrap_or(Some(0))
}

/// WeChat has said that it is enough for today.
pub(crate) fn stop(shared: &dyn SharedData, appid: &str, path: &str, unix_s: u64) {
    let _ = change(shared, appid, path, unix_s, |row| {
        let write = if row.stopped { Write::No } else { Write::Yes };
        row.stopped = true;
        ((), write)
    });
}

/// The quota was cleared at WeChat: everything counts from nothing.
pub(crate) fn clear(shared: &dyn SharedData, appid: &str) {
    let _ = shared::update(shared, &key(appid), |rows| {
        rows.clear();
        ((), Write::Yes)
    });
}

struct Row {
    count: u32,
    stopped: bool,
}

fn change<T: Default>(
    shared: &dyn SharedData,
    appid: &str,
    path: &str,
    unix_s: u64,
    act: impl Fn(&mut Row) -> (T, Write),
) -> Option<T> {
    let today = u32::try_from((unix_s + BEIJING_S) / DAY_S).unwrap_or(u32::MAX);
    let api = fingerprint(path).to_le_bytes();
    shared::update(shared, &key(appid), |table| {
        let place = (table.as_chunks::<ROW>().0.iter()).position(|row| row.starts_with(&api));
        let at = match place {
            Some(place) => place * ROW,
            None if table.len() < MAX_ROWS * ROW => table.len(),
            None => return (T::default(), Write::No),
        };
        let number = |from: usize| {
            let bytes = table
                .get(at + from..)
                .and_then(|rest| rest.first_chunk::<4>());
            bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        let (day, count) = (number(8), number(12));
        // The highest bit says that WeChat has had enough.
        let mut row = Row {
            count: if day == today {
                count & (u32::MAX >> 1)
            } else {
                0
            },
            stopped: day == today && count >> 31 == 1,
        };
        let (report, write) = act(&mut row);
        let mut bytes = [0; ROW];
        let (id, rest) = bytes.split_at_mut(8);
        id.copy_from_slice(&api);
        let (day, count) = rest.split_at_mut(4);
        day.copy_from_slice(&today.to_le_bytes());
        let stopped = u32::from(row.stopped) << 31;
        count.copy_from_slice(&(row.count.min(u32::MAX >> 1) | stopped).to_le_bytes());
        table.resize(table.len().max(at + ROW), 0);
        if let Some(place) = table.get_mut(at..at + ROW) {
            place.copy_from_slice(&bytes);
        }
        (report, write)
    })
}

/// FNV-1a, 64 bits: a few hundred paths do not meet in it.
fn fingerprint(path: &str) -> u64 {
    path.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn key(appid: &str) -> String {
    format!("weir/quota/{appid}")
}
