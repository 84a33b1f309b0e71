//! Logging, the clock, ticks, properties, contexts, status; and the calls that always say no.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use wasmtime::{Caller, Linker};

use super::{answer, answer_anytime};
use crate::abi::Status;
use crate::context::Context;
use crate::http::property;
use crate::log::Level;
use crate::vm::{Deferred, VmState};

pub(super) fn register(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    logging(linker)?;
    contexts(linker)?;
    properties(linker)?;
    refusals(linker)
}

/// Nanoseconds since the epoch.
pub(super) fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Writes a module's words to the log, with the names of its filter and VM in front as Envoy has them.
pub(super) fn log(state: &VmState, level: Level, message: &[u8]) {
    let mut prefix = String::from("wasm log");
    if let Some(context) = state.contexts.get(&state.acting()) {
        let plugin = context.plugin();
        let name = match context {
            Context::Root(_) => "",
            Context::Stream(_) => plugin.name.as_str(),
        };
        for part in [name, &plugin.root_id, &plugin.vm.vm_id] {
            if !part.is_empty() {
                prefix.push(' ');
                prefix.push_str(part);
            }
        }
    }
    let message = String::from_utf8_lossy(message);
    state.lane.log.say(level, format!("{prefix}: {message}"));
}

fn logging(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_log",
        |mut caller: Caller<'_, VmState>, level: u32, message: u32, size: u32| {
            answer_anytime(&mut caller, |call| {
                let level = Level::from_abi(level).ok_or(Status::BadArgument)?;
                let message = call.read(message, size)?;
                log(call.state(), level, &message);
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_log_level",
        |mut caller: Caller<'_, VmState>, level_at: u32| {
            answer(&mut caller, |call| {
                let level = call.state().lane.log.level();
                Ok(call.write_u32(level_at, level as u32)?)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_current_time_nanoseconds",
        |mut caller: Caller<'_, VmState>, time_at: u32| {
            answer(&mut caller, |call| Ok(call.write_u64(time_at, now())?))
        },
    )?;
    Ok(())
}

fn contexts(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_set_tick_period_milliseconds",
        |mut caller: Caller<'_, VmState>, period_ms: u32| {
            answer(&mut caller, |call| {
                set_tick(call.state(), Duration::from_millis(period_ms.into()));
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_effective_context",
        |mut caller: Caller<'_, VmState>, context: u32| {
            answer(&mut caller, |call| {
                let state = call.state();
                if context != 0 && !state.contexts.contains_key(&context) {
                    return Err(Status::BadArgument.into());
                }
                state.effective = context;
                Ok(())
            })
        },
    )?;
    linker.func_wrap("env", "proxy_done", |mut caller: Caller<'_, VmState>| {
        answer(&mut caller, |call| {
            let state = call.state();
            let id = state.acting_root();
            let root = state.root(id).filter(|root| root.pending_done);
            root.ok_or(Status::NotFound)?.pending_done = false;
            state.deferred.push(Deferred::EndRoot(id));
            Ok(())
        })
    })?;
    linker.func_wrap(
        "env",
        "proxy_get_status",
        |mut caller: Caller<'_, VmState>, code_at: u32, message_at: u32, size_at: u32| {
            answer(&mut caller, |call| {
                let (code, message) = call.root().map_or((0, ""), |root| root.status);
                call.write_u32(code_at, code)?;
                call.give(message.as_bytes(), message_at, size_at)
            })
        },
    )?;
    Ok(())
}

/// Ticks belong to a root. The timer is set again after each tick, so a slow handler delays the next one.
fn set_tick(state: &mut VmState, period: Duration) {
    let vm = state.vm.clone();
    let id = state.acting_root();
    let Some(root) = state.root(id) else { return };
    if let Some(tick) = root.tick.take() {
        tick.abort();
    }
    if period.is_zero() {
        return;
    }
    let task = tokio::task::spawn_local(async move {
        loop {
            tokio::time::sleep(period).await;
            match vm.upgrade() {
                Some(vm) if !vm.has_failed() => vm.on_tick(id),
                _ => return,
            }
        }
    });
    root.tick = Some(task.abort_handle());
}

fn properties(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_property",
        |mut caller: Caller<'_, VmState>,
         path: u32,
         path_size: u32,
         value_at: u32,
         size_at: u32| {
            answer(&mut caller, |call| {
                let path = call.read(path, path_size)?;
                let value = property::get(call.state(), &path).ok_or(Status::NotFound)?;
                call.give(&value, value_at, size_at)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_property",
        |mut caller: Caller<'_, VmState>, path: u32, path_size: u32, value: u32, size: u32| {
            answer(&mut caller, |call| {
                let path = call.read(path, path_size)?;
                let value = call.read(value, size)?;
                let (stream, _) = call.stream().ok_or(Status::NotFound)?;
                stream.filter_state.borrow_mut().insert(path, value);
                Ok(())
            })
        },
    )?;
    Ok(())
}

/// gRPC callouts and foreign functions: not provided here, and refused in a way the module can tell.
fn refusals(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    const NO_CALL: u32 = Status::InternalFailure as u32;
    const NO_SUCH: u32 = Status::NotFound as u32;
    type C<'a> = Caller<'a, VmState>;
    linker.func_wrap(
        "env",
        "proxy_call_foreign_function",
        |_: C<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| NO_SUCH,
    )?;
    #[rustfmt::skip]
    linker.func_wrap(
        "env",
        "proxy_grpc_call",
        |_: C<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| NO_CALL,
    )?;
    #[rustfmt::skip]
    linker.func_wrap(
        "env",
        "proxy_grpc_stream",
        |_: C<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32, _: u32| NO_CALL,
    )?;
    linker.func_wrap(
        "env",
        "proxy_grpc_send",
        |_: C<'_>, _: u32, _: u32, _: u32, _: u32| NO_SUCH,
    )?;
    linker.func_wrap("env", "proxy_grpc_cancel", |_: C<'_>, _: u32| NO_SUCH)?;
    linker.func_wrap("env", "proxy_grpc_close", |_: C<'_>, _: u32| NO_SUCH)?;
    Ok(())
}
