//! The same on a host that has `wasi:keyvalue` and `wasi:config` instead of `weir:state`.
//!
//! There is no compare-and-set in `wasi:keyvalue` (0.2.0-draft), but a counter that is raised atomically: whoever raises a key's
//! lock from 0 to 1 may write, and takes the lock away. A lock that [`BROKEN`] others have met is that of an instance that died
//! with it.
//!
//! How far the state reaches is the host's to say: where each instance has a bucket of its own, copies of a push are recognised by
//! the store alone. Metrics have nowhere to go.
//!
//! # Shape
//! A value is `version u32 | bytes`, little-endian.

use std::cell::OnceCell;

use weir_engine::config::Config;
use weir_engine::metric::Metric;
use weir_engine::shared::{Cas, SetError, SharedData};

use crate::bindings::wasi::config::store as settings;
use crate::bindings::wasi::keyvalue::atomics;
use crate::bindings::wasi::keyvalue::store::{self, Bucket};

/// Where the configuration is in `wasi:config`.
const DOCUMENT: &str = "weir";
/// What hosts call the bucket that one need not ask for.
const BUCKETS: [&str; 3] = ["", "default", "weir"];
/// A holder writes once; so many others do not meet it meanwhile.
const BROKEN: u64 = 256;

thread_local! {
    static BUCKET: OnceCell<Option<Bucket>> = const { OnceCell::new() };
}

fn on_bucket<T>(act: impl FnOnce(&Bucket) -> Option<T>) -> Option<T> {
    BUCKET.with(|bucket| {
        let open = || BUCKETS.iter().find_map(|name| store::open(name).ok());
        act(bucket.get_or_init(open).as_ref()?)
    })
}

/// The host's bucket.
pub(crate) struct Shared;

impl SharedData for Shared {
    fn get(&self, key: &str) -> Option<(Vec<u8>, Cas)> {
        on_bucket(|bucket| read(bucket, key).ok()?)
    }

    fn set(&self, key: &str, value: &[u8], cas: Option<Cas>) -> Result<(), SetError> {
        let done = on_bucket(|bucket| Some(write(bucket, key, value, cas)));
        done.unwrap_or(Err(SetError::Refused))
    }

    fn guards_creation(&self) -> bool {
        true
    }
}

fn read(bucket: &Bucket, key: &str) -> Result<Option<(Vec<u8>, Cas)>, SetError> {
    let value = bucket.get(key).map_err(|_| SetError::Refused)?;
    Ok(value.and_then(|mut value| {
        let version = u32::from_le_bytes(*value.first_chunk()?);
        Some((value.split_off(4), Cas(version)))
    }))
}

fn write(bucket: &Bucket, key: &str, value: &[u8], cas: Option<Cas>) -> Result<(), SetError> {
    let lock = format!("{key}#lock");
    match atomics::increment(bucket, &lock, 1) {
        Ok(1) => {}
        Ok(met) => {
            if met >= BROKEN {
                let _ = bucket.delete(&lock);
            }
            return Err(SetError::Conflict);
        }
        Err(_) => return Err(SetError::Refused),
    }
    let written = write_locked(bucket, key, value, cas);
    // Not taken away, it is broken in time.
    let _ = bucket.delete(&lock);
    written
}

fn write_locked(
    bucket: &Bucket,
    key: &str,
    value: &[u8],
    cas: Option<Cas>,
) -> Result<(), SetError> {
    let current = read(bucket, key)?.map_or(Cas::ABSENT, |(_, version)| version);
    if cas.is_some_and(|cas| cas != current) {
        return Err(SetError::Conflict);
    }
    let next = current.0.checked_add(1).unwrap_or(1);
    let mut whole = next.to_le_bytes().to_vec();
    whole.extend_from_slice(value);
    bucket.set(key, &whole).map_err(|_| SetError::Refused)
}

/// Nothing: `wasi:keyvalue` is no place for metrics.
#[derive(Default)]
pub(crate) struct Meter;

impl Meter {
    pub(crate) fn count(&mut self, _: Metric, _: &Config) {}

    pub(crate) fn tell(&mut self) {}
}

/// The configuration, where it is not in the environment.
pub(crate) fn document() -> Option<String> {
    setting(DOCUMENT)
}

/// The same for a secret.
pub(crate) fn setting(name: &str) -> Option<String> {
    settings::get(name).ok()?
}
