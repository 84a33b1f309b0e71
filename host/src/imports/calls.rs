//! HTTP callouts.
//!
//! Whoever dispatches, a callout belongs to the root context: it outlives the stream and ends with the root.

use std::time::Duration;

use wasmtime::{Caller, Linker};

use super::answer;
use crate::abi::{Status, decode_pairs};
use crate::http::headers::Headers;
use crate::upstream::call::{self, Request};
use crate::vm::VmState;

pub(super) fn register(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_http_call",
        |mut caller: Caller<'_, VmState>,
         cluster: u32,
         cluster_size: u32,
         headers: u32,
         headers_size: u32,
         body: u32,
         body_size: u32,
         trailers: u32,
         trailers_size: u32,
         timeout_ms: u32,
         token_at: u32| {
            answer(&mut caller, |host| {
                let cluster = host.read(cluster, cluster_size)?;
                let headers = decode_pairs(&host.read(headers, headers_size)?);
                let body = host.read(body, body_size)?;
                let _trailers = host.read(trailers, trailers_size)?; // HTTP/1 upstreams get none
                host.write_u32(token_at, 0)?;
                let request = Request {
                    cluster: String::from_utf8_lossy(&cluster).into_owned(),
                    headers: Headers::from_pairs(headers),
                    body,
                    timeout: i32::try_from(timeout_ms)
                        .map(|ms| Duration::from_millis(ms.unsigned_abs().into()))
                        .map_err(|_| Status::BadArgument)?,
                };
                let token = call::dispatch(host.state(), request)?;
                Ok(host.write_u32(token_at, token)?)
            })
        },
    )?;
    Ok(())
}
