//! Shared data of one process as Envoy has it: one counter for all versions, no delete, a write to an absent key always
//! succeeds. Writes may also meet a conflict that nobody sees the cause of, or be refused.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use weir_engine::shared::{Cas, SetError, SharedData};

use crate::rng::Rng;

/// How often writes go wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Trouble {
    /// In a thousand conditional writes, so many meet a conflict.
    pub(crate) conflicts: u64,
    /// In a thousand writes, so many are refused: the host has no room.
    pub(crate) refusals: u64,
}

pub(crate) struct Shared {
    values: RefCell<BTreeMap<String, (Vec<u8>, u32)>>,
    counter: Cell<u32>,
    rng: RefCell<Rng>,
    trouble: Cell<Trouble>,
    /// Conflicts in a row: sixteen make a worker give up, which is as good as a refusal.
    in_a_row: Cell<u32>,
    unrecorded: Cell<u64>,
}

/// After so many conflicts in a row an engine gives up. Source: `weir_engine::shared`.
const GIVES_UP: u32 = 16;

impl Shared {
    pub(crate) fn new(rng: Rng) -> Self {
        Self {
            values: RefCell::default(),
            counter: Cell::new(0),
            rng: RefCell::new(rng),
            trouble: Cell::default(),
            in_a_row: Cell::new(0),
            unrecorded: Cell::new(0),
        }
    }

    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.trouble.set(trouble);
    }

    /// How many changes were not recorded so far.
    pub(crate) fn unrecorded(&self) -> u64 {
        self.unrecorded.get()
    }
}

/// What engines have left behind for others.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Left {
    pub(crate) bytes: usize,
    /// Events and late replies in it.
    pub(crate) counts: u64,
}

impl Shared {
    /// Source of the layout: `weir_engine::handover`.
    pub(crate) fn left(&self) -> Left {
        let values = self.values.borrow();
        let Some((value, _)) = values.get(weir_engine::handover::KEY) else {
            return Left::default();
        };
        let (bytes, mut counts) = (value.len(), 0);
        let mut rest = value.as_slice();
        while let Some((length, more)) = rest.split_first_chunk() {
            let (record, after) = more.split_at(u32::from_le_bytes(*length) as usize);
            counts += u64::from(matches!(record[0], 0 | 3 | 4));
            rest = after;
        }
        Left { bytes, counts }
    }
}

impl SharedData for Shared {
    fn get(&self, key: &str) -> Option<(Vec<u8>, Cas)> {
        let values = self.values.borrow();
        let (value, cas) = values.get(key)?;
        Some((value.clone(), Cas(*cas)))
    }

    fn set(&self, key: &str, value: &[u8], cas: Option<Cas>) -> Result<(), SetError> {
        let Trouble {
            conflicts,
            refusals,
        } = self.trouble.get();
        if refusals > 0 && self.rng.borrow_mut().chance(refusals) {
            self.unrecorded.set(self.unrecorded.get() + 1);
            return Err(SetError::Refused);
        }
        if conflicts > 0 && cas.is_some() && self.rng.borrow_mut().chance(conflicts) {
            let row = self.in_a_row.get() + 1;
            self.in_a_row.set(row % GIVES_UP);
            if row == GIVES_UP {
                self.unrecorded.set(self.unrecorded.get() + 1);
            }
            return Err(SetError::Conflict);
        }
        self.in_a_row.set(0);
        let mut values = self.values.borrow_mut();
        let next = self.counter.get() + 1;
        match (values.get_mut(key), cas) {
            (Some((_, current)), Some(cas)) if *current != cas.0 => return Err(SetError::Conflict),
            (Some(entry), _) => {
                entry.0.clear();
                entry.0.extend_from_slice(value);
                entry.1 = next;
            }
            (None, _) => {
                values.insert(key.to_owned(), (value.to_vec(), next));
            }
        }
        self.counter.set(next);
        Ok(())
    }
}
