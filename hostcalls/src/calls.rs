//! Calls of the root, and their answers.

use proxy_wasm::types::{BufferType, MapType};
use weir_engine::HttpRequest;

use crate::abi::{OK, pairs, proxy_http_call};
use crate::http::{buffer, header};

/// A header of the call's answer. Only where the answer has headers.
pub fn call_header(name: &str) -> Option<Vec<u8>> {
    header(MapType::HttpCallResponseHeaders, name).ok()
}

/// The body of the call's answer, which the host said to have so many bytes; fewer if it cannot be read.
pub fn call_body(size: usize) -> Vec<u8> {
    buffer(BufferType::HttpCallResponseBody, size).unwrap_or_default()
}

/// Starts a call from the root context; the number under which its answer comes. `None`: the host would not.
pub fn call(request: &HttpRequest) -> Option<u32> {
    let mut headers = vec![
        (":method", &*request.method),
        (":path", &request.path),
        (":authority", &request.authority),
    ];
    if let Some(kind) = &request.content_type {
        headers.push(("content-type", kind));
    }
    let (cluster, body, timeout_ms) = (&request.cluster, &request.body, request.timeout_ms);
    let (headers, trailers) = (pairs(&headers), pairs(&[]));
    let mut number = 0;
    // SAFETY: all memory is read during the call only; the host writes `number`.
    let status = unsafe {
        proxy_http_call(
            cluster.as_ptr(),
            cluster.len(),
            headers.as_ptr(),
            headers.len(),
            body.as_ptr(),
            body.len(),
            trailers.as_ptr(),
            trailers.len(),
            timeout_ms,
            &raw mut number,
        )
    };
    (status == OK).then_some(number)
}
