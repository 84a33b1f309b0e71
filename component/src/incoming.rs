//! The request, and the one response to it.

use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{
    Fields, IncomingRequest, Method as HttpMethod, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wasip2::io::poll::poll;
use wasip2::io::streams::StreamError;
use weir_engine::{Method, Response};

/// The status that a response has from the beginning.
const OK: u16 = 200;
/// Most bytes asked for at a time.
const CHUNK: u64 = 65_536;
/// How much of a body that is too large is read all the same: a sender that is not heard to the end may not hear the answer.
const MAX_REST: usize = 1 << 20;

pub(crate) fn method(request: &IncomingRequest) -> Method {
    match request.method() {
        HttpMethod::Get => Method::Get,
        HttpMethod::Post => Method::Post,
        _ => Method::Other,
    }
}

/// The body, whole or too large, and whether it had to be waited for; `None` when it does not come within `limit_ms`.
pub(crate) fn body(
    request: &IncomingRequest,
    most: usize,
    limit_ms: u64,
) -> Option<(Vec<u8>, bool)> {
    let incoming = request.consume().ok()?;
    let stream = incoming.stream().ok()?;
    // Made when there is something to wait for: mostly there is not.
    let mut wait = None;
    let mut body = Vec::new();
    while body.len() <= most.saturating_add(MAX_REST) {
        match stream.read(CHUNK) {
            Ok(bytes) if bytes.is_empty() => {
                let (ready, late) = wait.get_or_insert_with(|| {
                    let limit_ns = limit_ms.saturating_mul(1_000_000);
                    (
                        stream.subscribe(),
                        monotonic_clock::subscribe_duration(limit_ns),
                    )
                });
                if poll(&[ready, late]).contains(&1) {
                    return None;
                }
            }
            Ok(bytes) if body.is_empty() => body = bytes,
            Ok(bytes) => body.extend_from_slice(&bytes),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => return None,
        }
    }
    Some((body, wait.is_some()))
}

/// Answers. That nobody is there any more to hear it is no error.
pub(crate) fn respond(answer: ResponseOutparam, response: &Response) {
    let length = response.body.len().to_string().into_bytes();
    let mut headers = vec![("content-length".to_owned(), length)];
    if let Some(content_type) = response.content_type {
        headers.push(("content-type".to_owned(), content_type.into()));
    }
    // They are names and values of ours, which a host takes.
    let outgoing =
        OutgoingResponse::new(Fields::from_list(&headers).unwrap_or_else(|_| Fields::new()));
    if response.status != OK {
        let _ = outgoing.set_status_code(response.status);
    }
    let body = outgoing.body();
    ResponseOutparam::set(answer, Ok(outgoing));
    if let Ok(body) = body {
        write(body, &response.body);
    }
}

fn write(body: OutgoingBody, mut rest: &[u8]) {
    if let Ok(stream) = body.write() {
        while !rest.is_empty() {
            let Ok(room) = stream.check_write() else {
                return;
            };
            let (now, later) = rest.split_at(rest.len().min(usize::try_from(room).unwrap_or(0)));
            if now.is_empty() {
                stream.subscribe().block();
            } else if stream.write(now).is_err() {
                return;
            }
            rest = later;
        }
    }
    let _ = OutgoingBody::finish(body, None);
}
