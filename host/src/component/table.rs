//! `weir:state/table`: values and their versions, in this process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::instance::bindings::weir::state::table::{Entry, Refusal};

/// Most bytes of keys and values.
const MAX_BYTES: usize = 256 << 20;

#[derive(Default)]
pub(super) struct Table(Mutex<State>);

#[derive(Default)]
struct State {
    values: HashMap<String, (Vec<u8>, u32)>,
    bytes: usize,
    last: u32,
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<Entry> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (value, version) = state.values.get(key)?;
        Some(Entry {
            value: value.clone(),
            version: *version,
        })
    }

    pub(super) fn set(
        &self,
        key: String,
        value: Vec<u8>,
        over: Option<u32>,
    ) -> Result<(), Refusal> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (current, size) = match state.values.get(&key) {
            Some((value, version)) => (*version, key.len() + value.len()),
            None => (0, 0),
        };
        if over.is_some_and(|over| over != current) {
            return Err(Refusal::Conflict);
        }
        let bytes = state.bytes - size + key.len() + value.len();
        if bytes > MAX_BYTES {
            return Err(Refusal::Refused);
        }
        state.bytes = bytes;
        // 0 is what is not there.
        state.last = state.last.checked_add(1).unwrap_or(1);
        let version = state.last;
        state.values.insert(key, (value, version));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(table: &Table, value: &[u8], over: Option<u32>) -> bool {
        table.set("key".into(), value.into(), over).is_ok()
    }

    #[test]
    fn of_two_creators_one_succeeds() {
        let table = Table::default();
        assert!(table.get("key").is_none());
        assert!(set(&table, b"first", Some(0)));
        assert!(!set(&table, b"second", Some(0)));
        assert_eq!(table.get("key").expect("there").value, b"first");
    }

    #[test]
    fn a_value_is_written_over_the_version_that_was_read_alone() {
        let table = Table::default();
        assert!(set(&table, b"one", None));
        let read = table.get("key").expect("there").version;
        assert!(set(&table, b"two", Some(read)));
        assert!(!set(&table, b"three", Some(read)));
        assert!(set(&table, b"four", None));
        assert_eq!(table.get("key").expect("there").value, b"four");
    }

    #[test]
    fn what_there_is_no_room_for_is_refused_and_the_rest_stays() {
        let table = Table::default();
        assert!(set(&table, b"one", None));
        let large = vec![0; MAX_BYTES];
        let refused = table.set("other".into(), large, None).err();
        assert!(matches!(refused, Some(Refusal::Refused)));
        assert_eq!(table.get("key").expect("there").value, b"one");
    }
}
