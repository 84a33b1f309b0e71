//! Properties: what a module can ask about the request, the connection and itself.
//!
//! A path is names joined by null bytes. Strings are their bytes, numbers and times eight bytes, little-endian.
//! Known are the attributes that Envoy gives for plain HTTP without TLS from the client; anything else is not found.

use std::time::{SystemTime, UNIX_EPOCH};

use super::headers::Headers;
use super::stream::Stream;
use crate::context::Context;
use crate::vm::VmState;

/// The value of a property, or none.
pub(crate) fn get(state: &VmState, path: &[u8]) -> Option<Vec<u8>> {
    let parts: Vec<&str> = path
        .split(|byte| *byte == 0)
        .map(std::str::from_utf8)
        .collect::<Result<_, _>>()
        .ok()?;
    let context = state.contexts.get(&state.acting())?;
    let plugin = context.plugin();
    match parts.as_slice() {
        ["plugin_name"] => return text(&plugin.name),
        ["plugin_root_id"] => return text(&plugin.root_id),
        ["plugin_vm_id"] => return text(&plugin.vm.vm_id),
        ["xds", "node", "id"] => return text(&state.lane.generation().config.node_id),
        ["xds", "node", "cluster"] => return text(&state.lane.generation().config.node_cluster),
        _ => {}
    }
    let Context::Stream(context) = context else {
        return None;
    };
    of_stream(&*context.stream.upgrade()?, &parts)
}

fn of_stream(stream: &Stream, parts: &[&str]) -> Option<Vec<u8>> {
    match parts {
        ["request", rest @ ..] => of_request(stream, rest),
        ["response", rest @ ..] => of_response(stream, rest),
        ["source", "address"] => text(&stream.client.peer.to_string()),
        ["source", "port"] => number(stream.client.peer.port().into()),
        ["destination", "address"] => text(&stream.client.local.to_string()),
        ["destination", "port"] => number(stream.client.local.port().into()),
        ["connection", "id"] | ["connection_id"] => number(stream.client.connection),
        ["connection", "mtls"] => Some(vec![0]),
        ["xds", "cluster_name"] => match &stream.route.as_ref()?.action {
            crate::config::RouteAction::Cluster { name, .. } => text(name),
            crate::config::RouteAction::Direct { .. } => None,
        },
        ["xds", "route_name"] => text(&stream.route.as_ref()?.name),
        [name] => stream.filter_state.borrow().get(name.as_bytes()).cloned(),
        _ => None,
    }
}

fn of_request(stream: &Stream, parts: &[&str]) -> Option<Vec<u8>> {
    let headers = stream.decode.headers.borrow();
    let headers = headers.as_ref()?;
    let body_bytes = stream.decode.body_bytes.get();
    let header = |name: &[u8]| headers.get(name).map(<[u8]>::to_vec);
    match parts {
        ["id"] => text(&stream.request_id),
        ["path"] => header(b":path"),
        ["url_path"] => header(b":path").map(|path| split_query(&path).0.to_vec()),
        ["query"] => header(b":path").map(|path| split_query(&path).1.to_vec()),
        ["host"] => header(b":authority"),
        ["scheme"] => header(b":scheme"),
        ["method"] => header(b":method"),
        ["referer"] => header(b"referer"),
        ["useragent"] => header(b"user-agent"),
        ["protocol"] => text(stream.client.protocol()),
        ["time"] => number(nanoseconds(stream.started)),
        ["size"] => number(content_length(headers).unwrap_or(body_bytes)),
        ["total_size"] => number(body_bytes + headers.byte_size() as u64),
        ["headers", name] => header(name.as_bytes()),
        _ => None,
    }
}

fn of_response(stream: &Stream, parts: &[&str]) -> Option<Vec<u8>> {
    let outcome = stream.outcome.borrow();
    match parts {
        ["code"] => number(outcome.status?.into()),
        ["code_details"] if !outcome.details.is_empty() => text(&outcome.details),
        ["flags"] => number(outcome.flags),
        ["size"] => number(stream.encode.body_bytes.get()),
        ["headers", name] => {
            let headers = stream.encode.headers.borrow();
            headers.as_ref()?.get(name.as_bytes()).map(<[u8]>::to_vec)
        }
        _ => None,
    }
}

/// A `:path` as path and query, without the question mark.
pub(crate) fn split_query(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().position(|byte| *byte == b'?') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, b""),
    }
}

fn content_length(headers: &Headers) -> Option<u64> {
    headers.get_text("content-length")?.parse().ok()
}

fn text(value: &str) -> Option<Vec<u8>> {
    Some(value.as_bytes().to_vec())
}

fn number(value: u64) -> Option<Vec<u8>> {
    Some(value.to_le_bytes().to_vec())
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
