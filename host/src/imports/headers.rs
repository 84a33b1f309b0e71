//! Header and trailer maps, of the stream and of the answer to a callout.

use wasmtime::{Caller, Linker};

use super::{Call, answer};
use crate::abi::{MapType, Status, decode_pairs, encode_pairs};
use crate::http::headers::Headers;
use crate::vm::VmState;

/// Reads a map; `None` when the module may not see it now, or there is none.
fn read<R>(
    call: &mut Call<'_, '_>,
    map: MapType,
    use_map: impl FnOnce(&Headers) -> R,
) -> Option<R> {
    match map {
        MapType::CallResponseHeaders => {
            let response = call.root()?.response.clone()?;
            Some(use_map(&response.headers))
        }
        MapType::CallResponseTrailers => {
            let response = call.root()?.response.clone()?;
            response.trailers.as_ref().map(use_map)
        }
        MapType::GrpcInitialMetadata | MapType::GrpcTrailingMetadata => None,
        _ => {
            let (stream, filter) = call.stream()?;
            stream.with_map(filter, map, use_map)
        }
    }
}

/// Changes a map of the stream.
fn change(
    call: &mut Call<'_, '_>,
    map: MapType,
    use_map: impl FnOnce(&mut Headers),
) -> Result<(), Status> {
    let (stream, filter) = call.stream().ok_or(Status::BadArgument)?;
    stream
        .with_map_mut(filter, map, use_map)
        .ok_or(Status::BadArgument)
}

pub(super) fn register(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    whole(linker)?;
    single(linker)
}

fn whole(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_header_map_pairs",
        |mut caller: Caller<'_, VmState>, map: u32, at: u32, size_at: u32| {
            answer(&mut caller, |call| {
                let map = MapType::from_abi(map)?;
                // A map that cannot be seen reads as an empty one: only single values say BadArgument.
                let bytes = read(call, map, |map| encode_pairs(map.iter()));
                call.give(&bytes.unwrap_or_default(), at, size_at)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_header_map_pairs",
        |mut caller: Caller<'_, VmState>, map: u32, pairs: u32, size: u32| {
            answer(&mut caller, |call| {
                let map = MapType::from_abi(map)?;
                let pairs = decode_pairs(&call.read(pairs, size)?);
                Ok(change(call, map, |map| *map = Headers::from_pairs(pairs))?)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_header_map_size",
        |mut caller: Caller<'_, VmState>, map: u32, size_at: u32| {
            answer(&mut caller, |call| {
                let map = MapType::from_abi(map)?;
                let size = read(call, map, Headers::byte_size).ok_or(Status::BadArgument)?;
                Ok(call.write_u32(size_at, crate::vm::abi_size(size))?)
            })
        },
    )?;
    Ok(())
}

fn single(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_header_map_value",
        |mut caller: Caller<'_, VmState>,
         map: u32,
         key: u32,
         key_size: u32,
         at: u32,
         size_at: u32| {
            answer(&mut caller, |call| {
                let map = MapType::from_abi(map)?;
                let key = call.read(key, key_size)?;
                let logging = call.stream().is_some_and(|(stream, _)| stream.is_logging());
                let found = read(call, map, |map| map.get(&key).map(<[u8]>::to_vec));
                let value = match found {
                    None if !logging => return Err(Status::BadArgument.into()),
                    None | Some(None) => return Err(Status::NotFound.into()),
                    Some(Some(value)) => value,
                };
                call.give(&value, at, size_at)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_add_header_map_value",
        |mut caller: Caller<'_, VmState>,
         map: u32,
         key: u32,
         key_size: u32,
         value: u32,
         size: u32| {
            answer(&mut caller, |call| {
                let map = MapType::from_abi(map)?;
                let (key, value) = (call.read(key, key_size)?, call.read(value, size)?);
                Ok(change(call, map, |map| map.add(&key, &value))?)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_replace_header_map_value",
        |mut caller: Caller<'_, VmState>,
         map: u32,
         key: u32,
         key_size: u32,
         value: u32,
         size: u32| {
            answer(&mut caller, |call| {
                let map = MapType::from_abi(map)?;
                let (key, value) = (call.read(key, key_size)?, call.read(value, size)?);
                Ok(change(call, map, |map| map.set(&key, &value))?)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_remove_header_map_value",
        |mut caller: Caller<'_, VmState>, map: u32, key: u32, key_size: u32| {
            answer(&mut caller, |call| {
                let map = MapType::from_abi(map)?;
                let key = call.read(key, key_size)?;
                Ok(change(call, map, |map| map.remove(&key))?)
            })
        },
    )?;
    Ok(())
}
