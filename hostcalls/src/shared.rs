//! Shared data, and the queues that wake a root.

use std::cell::Cell;

use weir_engine::shared::{Cas, SetError, SharedData};

use crate::abi::{
    CAS_MISMATCH, NOT_FOUND, OK, bytes, proxy_dequeue_shared_queue, proxy_enqueue_shared_queue,
    proxy_get_shared_data, proxy_register_shared_queue, proxy_set_shared_data,
};

thread_local! {
    /// Whether the last value that was asked for could not be read, which is not to say that it is absent.
    static UNREADABLE: Cell<bool> = const { Cell::new(false) };
    static CREATION_FAILED: Cell<bool> = const { Cell::new(false) };
}

/// Whether something could not be created in shared data since this was last asked. Nothing is ever created later.
pub fn creation_failed() -> bool {
    CREATION_FAILED.take()
}

/// The host's shared data.
pub struct Shared;

impl SharedData for Shared {
    fn get(&self, key: &str) -> Option<(Vec<u8>, Cas)> {
        let mut cas = 0;
        // SAFETY: `key` is read during the call only; the host writes `cas`.
        let value = bytes(|data, size| unsafe {
            proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas)
        });
        match value {
            Ok(value) => Some((value, Cas(cas))),
            Err(status) => {
                UNREADABLE.set(status != NOT_FOUND);
                None
            }
        }
    }

    fn set(&self, key: &str, value: &[u8], cas: Option<Cas>) -> Result<(), SetError> {
        if cas.is_none() && UNREADABLE.take() {
            // A creation of what may exist and hold the promises of other workers.
            CREATION_FAILED.set(true);
            return Err(SetError::Refused);
        }
        // 0 asks for an unconditional write; the host's counter starts at 1.
        let creates = cas.is_none();
        let cas = cas.map_or(0, |cas| cas.0);
        // SAFETY: `key` and `value` are read during the call only.
        let status = unsafe {
            proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
        };
        match status {
            OK => Ok(()),
            CAS_MISMATCH if !creates => Err(SetError::Conflict),
            _ => {
                CREATION_FAILED.set(creates || CREATION_FAILED.get());
                Err(SetError::Refused)
            }
        }
    }
}

/// A queue to oneself: the way from a stream to the root.
#[derive(Clone, Copy)]
pub struct Queue(u32);

impl Queue {
    /// Registers `name`; from now on this root context is woken by it.
    pub fn register(name: &str) -> Option<Self> {
        let mut queue = 0;
        // SAFETY: `name` is read during the call only; the host writes `queue`.
        let status =
            unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &raw mut queue) };
        (status == OK).then_some(Self(queue))
    }

    /// The host's number for it, by which other VMs of the process know it, too.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The queue of a number, perhaps another VM's.
    pub fn numbered(number: u32) -> Self {
        Self(number)
    }

    /// Has the root called after this callback.
    pub fn wake(self) {
        // SAFETY: one byte, read during the call. If it fails, the next tick does the work.
        let _ = unsafe { proxy_enqueue_shared_queue(self.0, [1_u8].as_ptr(), 1) };
    }

    /// Takes one wake-up out; there may be none left.
    pub fn take(self) -> bool {
        // SAFETY: plain values.
        bytes(|data, size| unsafe { proxy_dequeue_shared_queue(self.0, data, size) }).is_ok()
    }
}
