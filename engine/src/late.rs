//! What applications said, for copies of the push that come to other workers.
//!
//! Rules can rebuild their replies, an application's cannot be asked for again. Its reply, not sealed, is put here
//! before the push's slot in the dedup table says that there is one, and stays as long as the push is recognised.
//!
//! # Bounds
//! [`BUCKETS`] values in shared data, each of at most its share of `late_max_bytes`; the oldest make room. A reply that
//! is gone can be had from the store.

use crate::claims::Fingerprint;
use crate::shared::{self, SharedData, Write};

/// Values the replies are spread over, so that each stays small and workers seldom meet.
const BUCKETS: u64 = 64;
/// `print 16 | put_mono_ms u64 | length u32`.
const HEAD: usize = 28;

/// The table, as one engine sees it.
#[derive(Debug)]
pub(crate) struct LateReplies {
    bucket_max_bytes: usize,
    retention_ms: u64,
}

impl LateReplies {
    /// Creates the table unless it exists. Call while configuring.
    pub(crate) fn prepare(shared: &dyn SharedData, max_bytes: usize, retention_ms: u64) -> Self {
        for bucket in (0..BUCKETS).filter(|_| !shared.guards_creation()) {
            shared::create(shared, &key(bucket), &[]);
        }
        Self {
            bucket_max_bytes: max_bytes / BUCKETS as usize,
            retention_ms,
        }
    }

    /// Keeps the reply to a push; one that does not fit is not kept.
    pub(crate) fn put(
        &self,
        shared: &dyn SharedData,
        print: Fingerprint,
        reply: &[u8],
        mono_ms: u64,
    ) {
        let Ok(length) = u32::try_from(reply.len()) else {
            return;
        };
        // Not recorded means: the store has it.
        let _ = shared::update(shared, &key(print.spread() % BUCKETS), |value| {
            let room = self.bucket_max_bytes.saturating_sub(HEAD + reply.len());
            let mut kept: Vec<_> = records(value)
                .filter(|record| {
                    record.print != print.to_bytes()
                        && mono_ms.saturating_sub(record.put_mono_ms) <= self.retention_ms
                })
                .collect();
            let mut bytes: usize = kept.iter().map(|record| record.whole.len()).sum();
            let mut gone = 0;
            for record in &kept {
                if bytes <= room {
                    break;
                }
                bytes -= record.whole.len();
                gone += 1;
            }
            kept.drain(..gone);
            let mut next = Vec::with_capacity(bytes + HEAD + reply.len());
            for record in kept {
                next.extend_from_slice(record.whole);
            }
            if HEAD + reply.len() <= self.bucket_max_bytes {
                next.extend_from_slice(&print.to_bytes());
                next.extend_from_slice(&mono_ms.to_le_bytes());
                next.extend_from_slice(&length.to_le_bytes());
                next.extend_from_slice(reply);
            }
            *value = next;
            ((), Write::Yes)
        });
    }

    /// The reply to a push.
    pub(crate) fn get(&self, shared: &dyn SharedData, print: Fingerprint) -> Option<Vec<u8>> {
        let (value, _) = shared.get(&key(print.spread() % BUCKETS))?;
        records(&value)
            .find(|record| record.print == print.to_bytes())
            .map(|record| record.reply.to_vec())
    }
}

struct Record<'v> {
    print: [u8; 16],
    put_mono_ms: u64,
    reply: &'v [u8],
    whole: &'v [u8],
}

fn records(mut value: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (print, rest) = value.split_first_chunk::<16>()?;
        let (put, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (reply, after) = rest.split_at_checked(length)?;
        let whole = value.get(..HEAD + length)?;
        value = after;
        Some(Record {
            print: *print,
            put_mono_ms: u64::from_le_bytes(*put),
            reply,
            whole,
        })
    })
}

fn key(bucket: u64) -> String {
    format!("weir/late/{bucket}")
}
