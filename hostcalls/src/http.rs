//! A stream: its request, its response, and what else is known of it.

use std::ptr::null;

use proxy_wasm::types::{BufferType, MapType};
use weir_engine::Response;

use crate::abi::{
    OK, Status, Unreadable, bytes, or_absent, pairs, proxy_add_header_map_value,
    proxy_continue_stream, proxy_get_buffer_bytes, proxy_get_header_map_value, proxy_get_property,
    proxy_remove_header_map_value, proxy_replace_header_map_value, proxy_send_local_response,
    proxy_set_buffer_bytes,
};

/// A request header, as bytes; `None` if there is none. Only while the request's headers are held.
pub fn request_header(name: &str) -> Result<Option<Vec<u8>>, Unreadable> {
    or_absent(header(MapType::HttpRequestHeaders, name))
}

/// A header of the response, as bytes; `None` if there is none or it cannot be read.
pub fn response_header(name: &str) -> Option<Vec<u8>> {
    header(MapType::HttpResponseHeaders, name).ok()
}

/// Sets a header of the request, while its headers are held. `false`: the host would not.
#[must_use]
pub fn set_request_header(name: &str, value: &str) -> bool {
    set_header(MapType::HttpRequestHeaders, name, value)
}

/// Sets a header of the response, while its headers are held. `false`: the host would not.
#[must_use]
pub fn set_response_header(name: &str, value: &str) -> bool {
    set_header(MapType::HttpResponseHeaders, name, value)
}

fn set_header(map: MapType, name: &str, value: &str) -> bool {
    // SAFETY: both are read during the call only.
    let status = unsafe {
        proxy_replace_header_map_value(
            map as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    };
    status == OK
}

/// Adds a header to the response beside those of its name, while its headers are held. `false`: the host would not.
#[must_use]
pub fn add_response_header(name: &str, value: &str) -> bool {
    // SAFETY: both are read during the call only.
    let status = unsafe {
        proxy_add_header_map_value(
            MapType::HttpResponseHeaders as u32,
            name.as_ptr(),
            name.len(),
            value.as_ptr(),
            value.len(),
        )
    };
    status == OK
}

/// Removes a header of the request, while its headers are held. `false`: the host would not.
#[must_use]
pub fn remove_request_header(name: &str) -> bool {
    remove_header(MapType::HttpRequestHeaders, name)
}

/// Removes a header of the response, while its headers are held. `false`: the host would not.
#[must_use]
pub fn remove_response_header(name: &str) -> bool {
    remove_header(MapType::HttpResponseHeaders, name)
}

fn remove_header(map: MapType, name: &str) -> bool {
    // SAFETY: `name` is read during the call only.
    unsafe { proxy_remove_header_map_value(map as u32, name.as_ptr(), name.len()) == OK }
}

/// The first `size` bytes of the response's body; none if it cannot be read.
pub fn response_body(size: usize) -> Vec<u8> {
    buffer(BufferType::HttpResponseBody, size).unwrap_or_default()
}

/// Puts `body` in the place of the response's, which is held. `false`: the host would not.
#[must_use]
pub fn replace_response_body(body: &[u8]) -> bool {
    // SAFETY: `body` is read during the call only.
    let status = unsafe {
        proxy_set_buffer_bytes(
            BufferType::HttpResponseBody as u32,
            0,
            usize::MAX,
            body.as_ptr(),
            body.len(),
        )
    };
    status == OK
}

/// The half of a stream that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// On its way to the upstream.
    Request = 0,
    /// On its way back.
    Response = 1,
}

/// Lets the stream that is effective now go on.
pub fn go_on(half: Half) {
    // SAFETY: plain values. A stream that is gone goes nowhere.
    let _ = unsafe { proxy_continue_stream(half as u32) };
}

/// What Envoy knows of the stream that is effective now, by the path of the attribute; `None` if nothing.
pub fn property(path: &[&str]) -> Option<Vec<u8>> {
    let path = path.join("\0");
    // SAFETY: `path` is read during the call only.
    let value =
        bytes(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) });
    value.ok().filter(|value| !value.is_empty())
}

pub(crate) fn header(map: MapType, name: &str) -> Result<Vec<u8>, Status> {
    // SAFETY: `name` is read during the call only.
    bytes(|data, size| unsafe {
        proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size)
    })
}

/// The first `max` bytes of the request's body; none if it has none.
pub fn request_body(max: usize) -> Result<Vec<u8>, Unreadable> {
    Ok(or_absent(buffer(BufferType::HttpRequestBody, max))?.unwrap_or_default())
}

pub(crate) fn buffer(buffer: BufferType, max: usize) -> Result<Vec<u8>, Status> {
    if max == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: plain values.
    bytes(|data, size| unsafe { proxy_get_buffer_bytes(buffer as u32, 0, max, data, size) })
}

/// Answers the stream that is effective now.
pub fn respond(response: &Response) {
    let headers = header_pairs(response.content_type);
    send_response(response.status, &headers, &response.body);
}

/// The same with these headers.
pub fn respond_with(status: u16, headers: &[(&str, &str)], body: &[u8]) {
    send_response(status, &pairs(headers), body);
}

fn send_response(status: u16, headers: &[u8], body: &[u8]) {
    // SAFETY: all memory is read during the call only. A stream that is gone needs no answer.
    let _ = unsafe {
        proxy_send_local_response(
            u32::from(status),
            null(),
            0,
            body.as_ptr(),
            body.len(),
            headers.as_ptr(),
            headers.len(),
            -1,
        )
    };
}

/// `content-type`, and that a browser is not to look for another one in plain text: of other types it does not.
fn header_pairs(content_type: Option<&str>) -> Vec<u8> {
    let nosniff = ("x-content-type-options", "nosniff");
    match content_type {
        None => pairs(&[]),
        Some(plain @ "text/plain") => pairs(&[("content-type", plain), nosniff]),
        Some(content_type) => pairs(&[("content-type", content_type)]),
    }
}
