//! Counters, gauges and histograms that a module defines.
//!
//! The kind is in the low two bits of a metric's number. Defining a name again gives another number for the same
//! metric. A counter refuses an offset that is not positive.

use std::sync::atomic::Ordering::Relaxed;

use wasmtime::{Caller, Linker};

use super::answer;
use crate::abi::Status;
use crate::metrics::record;
use crate::vm::{Metric, VmState};

const COUNTER: u32 = 0;
const GAUGE: u32 = 1;
const HISTOGRAM: u32 = 2;
const KIND_MASK: u32 = 3;
const KIND_STEP: u32 = 4;

pub(super) fn register(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_define_metric",
        |mut caller: Caller<'_, VmState>, kind: u32, name: u32, size: u32, id_at: u32| {
            answer(&mut caller, |call| {
                let name = call.read(name, size)?;
                let name = format!("wasmcustom.{}", String::from_utf8_lossy(&name));
                let state = call.state();
                let all = &state.lane.metrics;
                let metric = match kind {
                    COUNTER => Metric::Counter(all.number(&name)),
                    GAUGE => Metric::Gauge(all.number(&name)),
                    HISTOGRAM => Metric::Histogram(all.histogram(&name)),
                    _ => return Err(Status::BadArgument.into()),
                };
                state.next_metric += KIND_STEP;
                let id = state.next_metric | kind;
                state.metrics.insert(id, metric);
                Ok(call.write_u32(id_at, id)?)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_increment_metric",
        |mut caller: Caller<'_, VmState>, id: u32, offset: i64| {
            answer(&mut caller, |call| Ok(increment(call.state(), id, offset)?))
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_record_metric",
        |mut caller: Caller<'_, VmState>, id: u32, value: u64| {
            answer(&mut caller, |call| {
                match call.state().metrics.get(&id).ok_or(Status::NotFound)? {
                    Metric::Counter(number) => _ = number.fetch_add(value, Relaxed),
                    Metric::Gauge(number) => number.store(value, Relaxed),
                    Metric::Histogram(histogram) => record(histogram, value),
                }
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_metric",
        |mut caller: Caller<'_, VmState>, id: u32, value_at: u32| {
            answer(&mut caller, |call| {
                if id & KIND_MASK == HISTOGRAM {
                    return Err(Status::BadArgument.into());
                }
                let value = match call.state().metrics.get(&id).ok_or(Status::NotFound)? {
                    Metric::Counter(number) | Metric::Gauge(number) => number.load(Relaxed),
                    Metric::Histogram(_) => return Err(Status::BadArgument.into()),
                };
                Ok(call.write_u64(value_at, value)?)
            })
        },
    )?;
    Ok(())
}

fn increment(state: &VmState, id: u32, offset: i64) -> Result<(), Status> {
    if id & KIND_MASK > GAUGE {
        return Err(Status::BadArgument);
    }
    match state.metrics.get(&id).ok_or(Status::NotFound)? {
        Metric::Counter(number) => {
            let offset = u64::try_from(offset).ok().filter(|offset| *offset > 0);
            number.fetch_add(offset.ok_or(Status::BadArgument)?, Relaxed);
        }
        Metric::Gauge(number) => {
            // Two's complement: adding the bits of a negative offset subtracts.
            number.fetch_add(offset.cast_unsigned(), Relaxed);
        }
        Metric::Histogram(_) => return Err(Status::BadArgument),
    }
    Ok(())
}
