//! The clock: what is to happen, in order of time, and among equals in the order in which it was put in.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

struct Entry<T> {
    at_ms: u64,
    number: u64,
    what: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest first.
        (other.at_ms, other.number).cmp(&(self.at_ms, self.number))
    }
}

/// What is to happen.
pub(crate) struct Queue<T> {
    entries: BinaryHeap<Entry<T>>,
    numbers: u64,
    now_ms: u64,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: BinaryHeap::new(),
            numbers: 0,
            now_ms: 0,
        }
    }

    /// The present, milliseconds since the world began.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub(crate) fn at(&mut self, at_ms: u64, what: T) {
        self.numbers += 1;
        self.entries.push(Entry {
            at_ms: at_ms.max(self.now_ms),
            number: self.numbers,
            what,
        });
    }

    pub(crate) fn after(&mut self, ms: u64, what: T) {
        self.at(self.now_ms + ms, what);
    }

    /// Moves the clock to what is next.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let entry = self.entries.pop()?;
        self.now_ms = entry.at_ms;
        Some(entry.what)
    }
}
