//! Which workers are alive, so that work claimed by a dead one can be taken over.
//!
//! Every engine has a random id and signs a table in shared data once a second. A claim names its
//! owner; when the owner has not signed for [`DEAD_AFTER_MS`], the claim is anybody's. Two small writes
//! per worker and second, instead of a lease to renew for each push in flight. A row also says how to wake the engine.
//!
//! The second table says the same of those who go on with what an engine leaves behind (`handover`): a module of another
//! version may live beside this one, and know nothing of that.
//!
//! # Bounds
//! [`MAX_OWNERS`] rows of 16 bytes, twice. With more live engines than rows, the surplus ones look dead to the
//! others, and a copy of their work may be done twice; the store's unique key still keeps one.

use crate::planted::{Bug, planted};
use crate::shared::{self, SharedData, Write};

/// Rows in the table.
pub const MAX_OWNERS: usize = 256;
/// How often an engine signs.
pub const SIGN_EVERY_MS: u64 = 1_000;
/// An owner that has not signed for this long is taken for dead.
pub const DEAD_AFTER_MS: u64 = 3_000;

/// The size of a row is part of it: a table of other rows must not be read as this one.
const KEY: &str = "weir/owners/16";
/// Those who go on with what others leave, the same way. The layout of that is part of it, too.
const HEIRS_KEY: &str = "weir/heirs/16/1";
const ROW: usize = 16;

/// What the host wakes an engine by; none where it cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mailbox(pub u32);

/// The random name of one engine (one worker's VM and configuration); never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OwnerId(u32);

impl OwnerId {
    /// An id from four random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes).max(1))
    }

    pub(crate) fn to_bits(self) -> u32 {
        self.0
    }

    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        (bits != 0).then_some(Self(bits))
    }
}

/// Creates the tables. Call while configuring.
pub(crate) fn prepare(shared: &dyn SharedData) {
    if !shared.guards_creation() {
        shared::create(shared, KEY, &[]);
        shared::create(shared, HEIRS_KEY, &[]);
    }
}

/// Signs for `me`, and drops rows of the dead.
pub(crate) fn sign(shared: &dyn SharedData, me: OwnerId, mailbox: Option<Mailbox>, mono_ms: u64) {
    // Not recorded means: looks dead, see the module header.
    for key in [KEY, HEIRS_KEY] {
        let _ = write(shared, key, me, mono_ms, Some(mailbox));
    }
}

/// Says that `me` is no more. Returns whether nobody is there who goes on with what it leaves.
pub(crate) fn sign_off(shared: &dyn SharedData, me: OwnerId, mono_ms: u64) -> bool {
    // Not recorded means: looks alive for a while.
    let _ = write(shared, KEY, me, mono_ms, None);
    let heirs = write(shared, HEIRS_KEY, me, mono_ms, None);
    // An absent table has nobody in it.
    heirs.unwrap_or_else(|| shared.get(HEIRS_KEY).is_none())
}

/// Renews the row of `me`, or drops it, and drops those of the dead. Returns whether the table is empty then.
fn write(
    shared: &dyn SharedData,
    key: &str,
    me: OwnerId,
    mono_ms: u64,
    row: Option<Option<Mailbox>>,
) -> Option<bool> {
    shared::update(shared, key, |table| {
        let mut next = Vec::with_capacity(table.len() + ROW);
        for (id, seen, mailbox) in rows(table) {
            if id != me && mono_ms.saturating_sub(seen) < DEAD_AFTER_MS {
                write_row(&mut next, id, seen, mailbox);
            }
        }
        if let Some(mailbox) = row
            && next.len() < MAX_OWNERS * ROW
        {
            write_row(&mut next, me, mono_ms, mailbox);
        }
        *table = next;
        (table.is_empty(), Write::Yes)
    })
}

/// Whether `owner` signed lately.
pub(crate) fn is_alive(shared: &dyn SharedData, owner: OwnerId, mono_ms: u64) -> bool {
    let Some((table, _)) = shared.get(KEY) else {
        return false;
    };
    if planted(Bug::DeathIgnored) || planted(Bug::LifeIgnored) {
        return planted(Bug::DeathIgnored);
    }
    rows(&table).any(|(id, seen, _)| id == owner && mono_ms.saturating_sub(seen) < DEAD_AFTER_MS)
}

/// Where the other living engines are woken.
pub(crate) fn others(shared: &dyn SharedData, me: OwnerId, mono_ms: u64) -> Vec<Mailbox> {
    let Some((table, _)) = shared.get(KEY) else {
        return Vec::new();
    };
    rows(&table)
        .filter(|(id, seen, _)| *id != me && mono_ms.saturating_sub(*seen) < DEAD_AFTER_MS)
        .filter_map(|(_, _, mailbox)| mailbox)
        .collect()
}

fn rows(table: &[u8]) -> impl Iterator<Item = (OwnerId, u64, Option<Mailbox>)> {
    table.as_chunks::<ROW>().0.iter().filter_map(|row| {
        let (id, rest) = row.split_first_chunk::<4>()?;
        let (seen, rest) = rest.split_first_chunk::<8>()?;
        let mailbox = u32::from_le_bytes(*rest.first_chunk::<4>()?);
        Some((
            OwnerId::from_bits(u32::from_le_bytes(*id))?,
            u64::from_le_bytes(*seen),
            // Hosts number from 1; should one not, the tick does the work.
            (mailbox != 0).then_some(Mailbox(mailbox)),
        ))
    })
}

fn write_row(table: &mut Vec<u8>, id: OwnerId, seen: u64, mailbox: Option<Mailbox>) {
    let mailbox = mailbox.map_or(0, |mailbox| mailbox.0);
    table.extend_from_slice(&id.0.to_le_bytes());
    table.extend_from_slice(&seen.to_le_bytes());
    table.extend_from_slice(&mailbox.to_le_bytes());
}
