//! Bodies and buffers; continuing, answering and ending streams.

use std::rc::Rc;

use wasmtime::{Caller, Linker};

use super::{Call, answer};
use crate::abi::{BufferType, Status, decode_pairs};
use crate::http::headers::Headers;
use crate::http::local_reply::LocalReply;
use crate::http::stream::Way;
use crate::vm::{Deferred, VmState};

pub(super) fn register(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    buffers(linker)?;
    streams(linker)
}

/// The whole of a buffer, as the module may see it now.
fn buffer(call: &mut Call<'_, '_>, kind: BufferType) -> Result<Vec<u8>, Status> {
    let body = |call: &mut Call<'_, '_>, way: Way| {
        let Some((stream, filter)) = call.stream() else {
            return Vec::new();
        };
        stream
            .with_body(filter, way, |body| body.clone())
            .unwrap_or_default()
    };
    match kind {
        BufferType::RequestBody => Ok(body(call, Way::Decode)),
        BufferType::ResponseBody => Ok(body(call, Way::Encode)),
        BufferType::VmConfiguration => Ok(call.state().base.identity.config.configuration.clone()),
        BufferType::PluginConfiguration => {
            let root = call.root().filter(|root| root.configuring);
            let root = root.ok_or(Status::NotFound)?;
            Ok(root.plugin.configuration.clone())
        }
        BufferType::CallResponseBody => {
            let response = call.root().and_then(|root| root.response.clone());
            let response: Rc<_> = response.ok_or(Status::NotFound)?;
            Ok(response.body.clone())
        }
        BufferType::DownstreamData
        | BufferType::UpstreamData
        | BufferType::GrpcReceive
        | BufferType::CallData => Ok(Vec::new()),
    }
}

/// Changes a body in place. Only its beginning, its end, or all of it can be replaced, as in Envoy.
fn splice(body: &mut Vec<u8>, start: usize, length: usize, data: &[u8]) -> Result<(), Status> {
    if start == 0 && length == 0 {
        body.splice(0..0, data.iter().copied());
    } else if start == 0 && length >= body.len() {
        *body = data.to_vec();
    } else if start != 0 && start >= body.len() {
        body.extend_from_slice(data);
    } else {
        return Err(Status::BadArgument);
    }
    Ok(())
}

fn buffers(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_get_buffer_bytes",
        |mut caller: Caller<'_, VmState>,
         kind: u32,
         start: u32,
         length: u32,
         at: u32,
         size_at: u32| {
            answer(&mut caller, |call| {
                let kind = BufferType::from_abi(kind)?;
                let bytes = buffer(call, kind)?;
                let start = (start as usize).min(bytes.len());
                let end = start.saturating_add(length as usize).min(bytes.len());
                call.give(&bytes[start..end], at, size_at)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_get_buffer_status",
        |mut caller: Caller<'_, VmState>, kind: u32, length_at: u32, flags_at: u32| {
            answer(&mut caller, |call| {
                let kind = BufferType::from_abi(kind)?;
                let size = crate::vm::abi_size(buffer(call, kind)?.len());
                call.write_u32(length_at, size)?;
                Ok(call.write_u32(flags_at, 0)?)
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_set_buffer_bytes",
        |mut caller: Caller<'_, VmState>,
         kind: u32,
         start: u32,
         length: u32,
         data: u32,
         size: u32| {
            answer(&mut caller, |call| {
                let way = match BufferType::from_abi(kind)? {
                    BufferType::RequestBody => Way::Decode,
                    BufferType::ResponseBody => Way::Encode,
                    other => {
                        buffer(call, other)?;
                        return Err(Status::BadArgument.into());
                    }
                };
                let data = call.read(data, size)?;
                let (stream, filter) = call.stream().ok_or(Status::BadArgument)?;
                stream
                    .with_body(filter, way, |body| {
                        splice(body, start as usize, length as usize, &data)
                    })
                    .ok_or(Status::BadArgument)??;
                Ok(())
            })
        },
    )?;
    Ok(())
}

fn streams(linker: &mut Linker<VmState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        "env",
        "proxy_continue_stream",
        |mut caller: Caller<'_, VmState>, kind: u32| {
            answer(&mut caller, |call| {
                let way = match kind {
                    0 => Way::Decode,
                    1 => Way::Encode,
                    2 => return Ok(()), // a network stream: there is none
                    3 => return Err(Status::Unimplemented.into()),
                    _ => return Err(Status::BadArgument.into()),
                };
                if let Some((stream, filter)) = call.stream() {
                    stream.hide_request(filter);
                    let action = Deferred::Continue(Rc::downgrade(&stream), filter, way);
                    call.state().deferred.push(action);
                }
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_close_stream",
        |mut caller: Caller<'_, VmState>, kind: u32| {
            answer(&mut caller, |call| {
                match kind {
                    0 | 1 => {}
                    2 | 3 => return Ok(()),
                    _ => return Err(Status::BadArgument.into()),
                }
                if let Some((stream, _)) = call.stream() {
                    let action = Deferred::Reset(Rc::downgrade(&stream));
                    call.state().deferred.push(action);
                }
                Ok(())
            })
        },
    )?;
    linker.func_wrap(
        "env",
        "proxy_send_local_response",
        |mut caller: Caller<'_, VmState>,
         status: u32,
         details: u32,
         details_size: u32,
         body: u32,
         body_size: u32,
         headers: u32,
         headers_size: u32,
         _grpc_status: u32| {
            answer(&mut caller, |call| {
                let details = call.read(details, details_size)?;
                let body = call.read(body, body_size)?;
                let headers = decode_pairs(&call.read(headers, headers_size)?);
                call.state().replied = true;
                if let Some((stream, _)) = call.stream() {
                    let reply = LocalReply {
                        status: u16::try_from(status).unwrap_or(u16::MAX),
                        headers: Headers::from_pairs(headers),
                        body,
                        details: String::from_utf8_lossy(&details).replace(' ', "_"),
                    };
                    let action = Deferred::Reply(Rc::downgrade(&stream), reply);
                    call.state().deferred.push(action);
                }
                Ok(())
            })
        },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::splice;
    use crate::abi::Status;

    fn check(start: usize, length: usize, expected: Result<&str, Status>) {
        let mut body = b"body".to_vec();
        let result = splice(&mut body, start, length, b"new");
        let outcome = result.map(|()| String::from_utf8_lossy(&body).into_owned());
        assert_eq!(outcome, expected.map(str::to_owned), "{start}, {length}");
    }

    #[test]
    fn a_body_is_changed_in_front_behind_or_as_a_whole_and_nowhere_else() {
        check(0, 0, Ok("newbody"));
        check(0, 4, Ok("new"));
        check(0, usize::MAX, Ok("new"));
        check(4, 0, Ok("bodynew"));
        check(9, 1, Ok("bodynew"));
        check(0, 3, Err(Status::BadArgument));
        check(1, 1, Err(Status::BadArgument));
    }
}
