//! Shared data and shared queues.

use wasmtime::{Caller, Linker};

use super::{Call, answer};
use crate::abi::Status;
use crate::lane::Post;
use crate::shared::Registrant;
use crate::vm::VmState;

fn vm_id(call: &mut Call<'_, '_>) -> String {
    call.state().base.identity.config.vm_id.clone()
}

pub(super) fn register(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    data(linker)?;
    queues(linker)
}

fn data(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_shared_data",
        |mut caller: Caller<'_, VmState>,
         key: u32,
         key_size: u32,
         at: u32,
         size_at: u32,
         cas_at: u32| {
            answer(&mut caller, |call| {
                let key = call.read(key, key_size)?;
                let vm_id = vm_id(call);
                let (value, cas) = call.state().lane.shared.get(&vm_id, &key)?;
                call.give(&value, at, size_at)?;
                Ok(call.write_u32(cas_at, cas)?)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_shared_data",
        |mut caller: Caller<'_, VmState>,
         key: u32,
         key_size: u32,
         value: u32,
         size: u32,
         cas: u32| {
            answer(&mut caller, |call| {
                let (key, value) = (call.read(key, key_size)?, call.read(value, size)?);
                let vm_id = vm_id(call);
                Ok(call.state().lane.shared.set(&vm_id, &key, &value, cas)?)
            })
        },
    )?;
    Ok(())
}

fn queues(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_register_shared_queue",
        |mut caller: Caller<'_, VmState>, name: u32, size: u32, token_at: u32| {
            answer(&mut caller, |call| {
                let name = call.read(name, size)?;
                let vm_id = vm_id(call);
                let state = call.state();
                let registrant = Registrant {
                    thread: state.lane.address_of(&state.base.identity),
                    context: state.acting_root(),
                };
                let token = state.lane.shared.register(&vm_id, &name, registrant);
                Ok(call.write_u32(token_at, token)?)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_resolve_shared_queue",
        |mut caller: Caller<'_, VmState>,
         id: u32,
         id_size: u32,
         name: u32,
         size: u32,
         token_at: u32| {
            answer(&mut caller, |call| {
                let (id, name) = (call.read(id, id_size)?, call.read(name, size)?);
                let id = if id.is_empty() {
                    vm_id(call)
                } else {
                    String::from_utf8(id).map_err(|_| Status::NotFound)?
                };
                let token = call.state().lane.shared.resolve(&id, &name)?;
                Ok(call.write_u32(token_at, token)?)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_enqueue_shared_queue",
        |mut caller: Caller<'_, VmState>, token: u32, value: u32, size: u32| {
            answer(&mut caller, |call| {
                let value = call.read(value, size)?;
                let woken = call.state().lane.shared.enqueue(token, &value)?;
                // Posted, not called: the wake-up comes after this callback, also on this very thread.
                woken.thread.mailbox.post(Post::QueueReady {
                    vm: woken.thread.vm,
                    context: woken.context,
                    queue: token,
                });
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_dequeue_shared_queue",
        |mut caller: Caller<'_, VmState>, token: u32, at: u32, size_at: u32| {
            answer(&mut caller, |call| {
                let item = call.state().lane.shared.dequeue(token)?;
                call.give(&item, at, size_at)
            })
        },
    )?;
    Ok(())
}
