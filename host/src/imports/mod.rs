//! The functions a module may call: `env.proxy_*` and the part of WASI that Envoy provides.
//!
//! One file per subject. Each host call acts on the context whose callback runs, or on the one the module chose by
//! `proxy_set_effective_context`. No host call enters a callback of the module; what must wait is noted in
//! [`VmState::deferred`].

mod calls;
mod general;
mod headers;
mod metrics;
mod shared;
mod streams;
mod wasi;

use std::rc::Rc;

use wasmtime::{Caller, Linker};

use crate::abi::{Fault, Guest, Status};
use crate::context::{Context, Root};
use crate::http::stream::Stream;
use crate::vm::VmState;

/// Makes every import known to the linker.
pub(crate) fn register(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    general::register(linker)?;
    streams::register(linker)?;
    headers::register(linker)?;
    shared::register(linker)?;
    metrics::register(linker)?;
    calls::register(linker)?;
    wasi::register(linker)
}

/// A host call in progress.
struct Call<'a, 'b> {
    caller: &'a mut Caller<'b, VmState>,
    guest: Guest,
}

impl Call<'_, '_> {
    fn state(&mut self) -> &mut VmState {
        self.caller.data_mut()
    }

    fn read(&self, pointer: u32, size: u32) -> Result<Vec<u8>, Status> {
        self.guest.read(&*self.caller, pointer, size)
    }

    fn write(&mut self, pointer: u32, bytes: &[u8]) -> Result<(), Status> {
        self.guest.write(&mut *self.caller, pointer, bytes)
    }

    fn write_u32(&mut self, pointer: u32, value: u32) -> Result<(), Status> {
        self.guest.write_u32(&mut *self.caller, pointer, value)
    }

    fn write_u64(&mut self, pointer: u32, value: u64) -> Result<(), Status> {
        self.guest.write_u64(&mut *self.caller, pointer, value)
    }

    /// Hands bytes to the module, in memory that its allocator provides.
    fn give(&mut self, bytes: &[u8], pointer_at: u32, size_at: u32) -> Result<(), Fault> {
        self.state().restricted = true;
        let given = self
            .guest
            .give(&mut *self.caller, bytes, pointer_at, size_at);
        self.state().restricted = false;
        given
    }

    /// The stream that the call acts on, with the place of its filter.
    fn stream(&mut self) -> Option<(Rc<Stream>, usize)> {
        let state = self.state();
        let acting = state.acting();
        match state.contexts.get(&acting) {
            Some(Context::Stream(context)) => Some((context.stream.upgrade()?, context.filter)),
            _ => None,
        }
    }

    /// The root of the context that the call acts on.
    fn root(&mut self) -> Option<&mut Root> {
        let state = self.state();
        let root = state.acting_root();
        state.root(root)
    }
}

/// Runs a host call and turns its outcome into what the module gets: a status, or a trap.
fn answer(
    caller: &mut Caller<'_, VmState>,
    run: impl FnOnce(&mut Call<'_, '_>) -> Result<(), Fault>,
) -> wasmtime::Result<u32> {
    if caller.data().restricted {
        wasmtime::bail!("a host call that is not allowed during start-up and allocation");
    }
    answer_anytime(caller, run)
}

/// As [`answer`], for host calls that are allowed during start-up and allocation.
fn answer_anytime(
    caller: &mut Caller<'_, VmState>,
    run: impl FnOnce(&mut Call<'_, '_>) -> Result<(), Fault>,
) -> wasmtime::Result<u32> {
    let Some(guest) = caller.data().guest.clone() else {
        wasmtime::bail!("a host call before the module is instantiated");
    };
    match run(&mut Call { caller, guest }) {
        Ok(()) => Ok(Status::Ok as u32),
        Err(Fault::Status(status)) => Ok(status as u32),
        Err(Fault::Trap(error)) => Err(error),
    }
}
