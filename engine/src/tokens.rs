//! The access token of each account, shared by all workers of the process.
//!
//! A record per appid in shared data: the token, when it ends, and a lease. Whoever finds no usable token,
//! or one that ends within [`EARLY_MS`], takes the lease by compare-and-set and fetches; the others use the
//! old token while it lives, or wait. A lease whose holder died runs out. A caller that met 40001 hands the
//! token it used to [`invalidate`]: only if that is still the current one is it dropped, so many callers that
//! meet the same error cause one fetch.
//!
//! Always `stable_token` in normal mode: several fetchers cannot invalidate one another. Never a forced refresh.
//!
//! # Source
//! wechat-protocol 6.1, 8.

use serde::{Deserialize, Serialize};

use crate::backoff::Backoff;
use crate::owners::OwnerId;
use crate::planted::{Bug, planted};
use crate::shared::{self, SharedData, Write};

/// WeChat renews a token this long before its end; asking earlier returns the same one.
const EARLY_MS: u64 = 300_000;
/// A renewal that brought no longer life is not tried again for this long.
const RENEW_PAUSE_MS: u64 = 30_000;
/// A fetch that did not come back within this long is anybody's again.
const LEASE_MS: u64 = 10_000;
/// Pauses after fetches that may work later.
const TRANSIENT: Backoff = Backoff {
    first_ms: 200,
    most_ms: 10_000,
};
/// Pauses after refusals that need an operator (wrong secret, address not on the list).
const REFUSED: Backoff = Backoff {
    first_ms: 30_000,
    most_ms: 300_000,
};

#[derive(Default, Serialize, Deserialize)]
struct Record {
    token: String,
    ends_mono_ms: u64,
    /// Owner and end of the lease; 0 when free.
    lease_owner: u32,
    lease_ends_mono_ms: u64,
    /// No fetch before.
    not_before_mono_ms: u64,
    failures: u32,
}

/// What a caller may do.
#[derive(Debug)]
pub struct Access {
    /// Use this.
    pub token: Option<String>,
    /// The caller holds the lease now and must fetch.
    pub fetch: bool,
}

/// How a fetch went.
pub enum Fetched {
    /// WeChat's answer.
    Token {
        /// The access token.
        token: String,
        /// What is left of its life, seconds.
        expires_in_s: u64,
    },
    /// It may work later.
    Failed,
    /// An operator has to act.
    Refused,
}

/// Creates the record. Call while configuring.
pub fn prepare(shared: &dyn SharedData, appid: &str) {
    if !shared.guards_creation() {
        shared::create(shared, &key(appid), &write(&Record::default()));
    }
}

/// The token, and how long it is good for; nothing is taken on by asking. `true` with it: it is time to fetch the next.
#[must_use]
pub fn current(shared: &dyn SharedData, appid: &str, mono_ms: u64) -> Option<(String, u64, bool)> {
    let (value, _) = shared.get(&key(appid))?;
    let record: Record = serde_json::from_slice(&value).ok()?;
    let left_ms = record.ends_mono_ms.saturating_sub(mono_ms);
    let early = left_ms < EARLY_MS && mono_ms >= record.not_before_mono_ms;
    (left_ms > 0 && !record.token.is_empty()).then_some((record.token, left_ms, early))
}

/// Asks for the token.
pub fn access(shared: &dyn SharedData, appid: &str, me: OwnerId, mono_ms: u64) -> Access {
    change(shared, appid, |record| {
        let left_ms = match record.token.as_str() {
            "" => 0,
            _ => record.ends_mono_ms.saturating_sub(mono_ms),
        };
        let token = (left_ms > 0).then(|| record.token.clone());
        let fetch = left_ms < EARLY_MS
            && mono_ms >= record.not_before_mono_ms
            && (record.lease_owner == 0
                || mono_ms >= record.lease_ends_mono_ms
                || planted(Bug::LeaseIgnored));
        if fetch {
            record.lease_owner = me.to_bits();
            record.lease_ends_mono_ms = mono_ms + LEASE_MS;
        }
        (
            Access { token, fetch },
            if fetch { Write::Yes } else { Write::No },
        )
    })
    .unwrap_or(Access {
        token: None,
        fetch: false,
    })
}

/// Records what a fetch brought, and gives the lease back. A lease that has meanwhile gone to another is left alone,
/// but a token is a token.
pub fn fetched(
    shared: &dyn SharedData,
    appid: &str,
    me: OwnerId,
    result: &Fetched,
    mono_ms: u64,
    random: u32,
) {
    let _ = change(shared, appid, |record| {
        if record.lease_owner == me.to_bits() {
            record.lease_owner = 0;
        }
        let backoff = match result {
            Fetched::Token {
                token,
                expires_in_s,
            } => {
                record.token.clone_from(token);
                record.ends_mono_ms = mono_ms + expires_in_s * 1_000;
                record.failures = 0;
                record.not_before_mono_ms = mono_ms + RENEW_PAUSE_MS;
                return ((), Write::Yes);
            }
            Fetched::Failed => TRANSIENT,
            Fetched::Refused => REFUSED,
        };
        record.failures = record.failures.saturating_add(1);
        record.not_before_mono_ms = mono_ms + backoff.pause_ms(record.failures, random);
        ((), Write::Yes)
    });
}

/// Drops `token` if it is still the current one: WeChat has refused it.
pub fn invalidate(shared: &dyn SharedData, appid: &str, token: &str) {
    let _ = change(shared, appid, |record| {
        if record.token != token && !planted(Bug::InvalidateWithoutCompare) {
            return ((), Write::No);
        }
        record.token.clear();
        record.not_before_mono_ms = 0;
        ((), Write::Yes)
    });
}

fn change<T>(
    shared: &dyn SharedData,
    appid: &str,
    mut change: impl FnMut(&mut Record) -> (T, Write),
) -> Option<T> {
    shared::update(shared, &key(appid), |value| {
        let mut record = serde_json::from_slice(value).unwrap_or_default();
        let (report, write_back) = change(&mut record);
        *value = write(&record);
        (report, write_back)
    })
}

fn write(record: &Record) -> Vec<u8> {
    // String keys only: writing cannot fail.
    serde_json::to_vec(record).unwrap_or_default()
}

fn key(appid: &str) -> String {
    format!("weir/token/{appid}")
}
