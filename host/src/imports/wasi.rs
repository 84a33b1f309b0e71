//! The part of WASI that Envoy provides: output to the log, environment, clocks, random bytes. No files, no sockets,
//! no sleep; `proc_exit` returns, so that the module runs into its own trap.

use std::sync::LazyLock;
use std::time::Instant;

use wasmtime::{Caller, Linker};

use super::{Call, general};
use crate::abi::{Fault, Status};
use crate::log::Level;
use crate::vm::{VmState, abi_size};

const SUCCESS: u32 = 0;
const BAD_FD: u32 = 8;
const FAULT: u32 = 21;
const INVALID: u32 = 28;
const NO_ENTRY: u32 = 44;
const NOT_IMPLEMENTED: u32 = 52;
const NOT_SUPPORTED: u32 = 58;

const STDOUT: u32 = 1;
const STDERR: u32 = 2;
/// The most random bytes of one call.
const MAX_RANDOM_BYTES: u32 = 64 * 1024;

const MODULE: &str = "wasi_snapshot_preview1";

type Host<'a> = Caller<'a, VmState>;

/// Runs a WASI call; memory that is not the module's is `EFAULT`, any other refusal says its own number.
fn answer(
    caller: &mut Host<'_>,
    run: impl FnOnce(&mut Call<'_, '_>) -> Result<u32, Status>,
) -> wasmtime::Result<u32> {
    let mut errno = SUCCESS;
    super::answer_anytime(caller, |call| {
        errno = run(call).unwrap_or(FAULT);
        Ok::<(), Fault>(())
    })?;
    Ok(errno)
}

pub(super) fn register(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    output(linker)?;
    environment(linker)?;
    clocks(linker)?;
    absent(linker)
}

fn output(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "fd_write",
        |mut caller: Host<'_>, fd: u32, vectors: u32, count: u32, written_at: u32| {
            answer(&mut caller, |call| {
                let level = match fd {
                    STDOUT => Level::Info,
                    STDERR => Level::Error,
                    _ => return Ok(BAD_FD),
                };
                let vectors = call.read(vectors, count.saturating_mul(8))?;
                let mut text = Vec::new();
                for vector in vectors.as_chunks::<8>().0 {
                    let [a, b, c, d, e, f, g, h] = *vector;
                    let pointer = u32::from_le_bytes([a, b, c, d]);
                    let size = u32::from_le_bytes([e, f, g, h]);
                    text.extend(call.read(pointer, size)?);
                }
                let written = abi_size(text.len());
                if written > 0 {
                    let line = text.strip_suffix(b"\n").unwrap_or(&text);
                    general::log(call.state(), level, line);
                }
                call.write_u32(written_at, written)?;
                Ok(SUCCESS)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "fd_fdstat_get",
        |mut caller: Host<'_>, fd: u32, stat_at: u32| {
            answer(&mut caller, |call| {
                if fd != STDOUT && fd != STDERR {
                    return Ok(BAD_FD);
                }
                const RIGHT_TO_WRITE: u64 = 64;
                for (index, word) in [0, RIGHT_TO_WRITE, 0].into_iter().enumerate() {
                    call.write_u64(stat_at + abi_size(index * 8), word)?;
                }
                Ok(SUCCESS)
            })
        },
    )?;
    linker.func_wrap(MODULE, "proc_exit", |_: Host<'_>, _code: u32| {})?;
    Ok(())
}

fn environment(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "environ_sizes_get",
        |mut caller: Host<'_>, count_at: u32, size_at: u32| {
            answer(&mut caller, |call| {
                let environment = environment_block(call);
                let size = environment.iter().map(Vec::len).sum();
                call.write_u32(count_at, abi_size(environment.len()))?;
                call.write_u32(size_at, abi_size(size))?;
                Ok(SUCCESS)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "environ_get",
        |mut caller: Host<'_>, mut pointers_at: u32, mut block_at: u32| {
            answer(&mut caller, |call| {
                for entry in environment_block(call) {
                    call.write_u32(pointers_at, block_at)?;
                    call.write(block_at, &entry)?;
                    pointers_at += 4;
                    block_at += abi_size(entry.len());
                }
                Ok(SUCCESS)
            })
        },
    )?;
    for name in ["args_get", "args_sizes_get"] {
        linker.func_wrap(MODULE, name, move |mut caller: Host<'_>, a: u32, b: u32| {
            answer(&mut caller, |call| {
                if name == "args_sizes_get" {
                    call.write_u32(a, 0)?;
                    call.write_u32(b, 0)?;
                }
                Ok(SUCCESS)
            })
        })?;
    }
    Ok(())
}

fn environment_block(call: &mut Call<'_, '_>) -> Vec<Vec<u8>> {
    let environment = &call.state().base.identity.config.environment;
    environment
        .iter()
        .map(|(name, value)| format!("{name}={value}\0").into_bytes())
        .collect()
}

fn clocks(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    const REALTIME: u32 = 0;
    const MONOTONIC: u32 = 1;
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    linker.func_wrap(
        MODULE,
        "clock_time_get",
        |mut caller: Host<'_>, clock: u32, _precision: u64, time_at: u32| {
            answer(&mut caller, |call| {
                let time = match clock {
                    REALTIME => general::now(),
                    MONOTONIC => u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX),
                    _ => return Ok(NOT_SUPPORTED),
                };
                call.write_u64(time_at, time)?;
                Ok(SUCCESS)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "clock_res_get",
        |mut caller: Host<'_>, clock: u32, resolution_at: u32| {
            answer(&mut caller, |call| {
                if clock != REALTIME && clock != MONOTONIC {
                    return Ok(NOT_SUPPORTED);
                }
                call.write_u64(resolution_at, 1)?;
                Ok(SUCCESS)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "random_get",
        |mut caller: Host<'_>, at: u32, size: u32| {
            answer(&mut caller, |call| {
                if size > MAX_RANDOM_BYTES {
                    return Ok(INVALID);
                }
                let mut bytes = vec![0; size as usize];
                getrandom::fill(&mut bytes).map_err(|_| Status::InternalFailure)?;
                call.write(at, &bytes)?;
                Ok(SUCCESS)
            })
        },
    )?;
    Ok(())
}

/// What is imported by habit and never works.
#[rustfmt::skip]
fn absent(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "sched_yield", |_: Host<'_>| SUCCESS)?;
    linker.func_wrap(MODULE, "poll_oneoff", |mut caller: Host<'_>, _: u32, _: u32, _: u32, events_at: u32| {
        answer(&mut caller, |call| call.write_u32(events_at, 0).map(|()| SUCCESS))
    })?;
    linker.func_wrap(MODULE, "fd_read", |_: Host<'_>, _: u32, _: u32, _: u32, _: u32| NOT_IMPLEMENTED)?;
    linker.func_wrap(MODULE, "fd_seek", |_: Host<'_>, _: u32, _: i64, _: u32, _: u32| SUCCESS)?;
    linker.func_wrap(MODULE, "fd_close", |_: Host<'_>, _: u32| SUCCESS)?;
    linker.func_wrap(MODULE, "fd_fdstat_set_flags", |_: Host<'_>, _: u32, _: u32| NOT_IMPLEMENTED)?;
    linker.func_wrap(MODULE, "fd_filestat_get", |_: Host<'_>, _: u32, _: u32| BAD_FD)?;
    linker.func_wrap(MODULE, "fd_prestat_get", |_: Host<'_>, _: u32, _: u32| BAD_FD)?;
    linker.func_wrap(MODULE, "fd_prestat_dir_name", |_: Host<'_>, _: u32, _: u32, _: u32| NOT_IMPLEMENTED)?;
    linker.func_wrap(MODULE, "path_filestat_get", |_: Host<'_>, _: u32, _: u32, _: u32, _: u32, _: u32| NOT_SUPPORTED)?;
    linker.func_wrap(MODULE, "path_open", |_: Host<'_>, _: u32, _: u32, _: u32, _: u32, _: u32, _: i64, _: i64, _: u32, _: u32| NO_ENTRY)?;
    Ok(())
}
