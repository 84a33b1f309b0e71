//! The host's functions as the ABI has them, and what goes over the boundary.

use std::ptr::null_mut;

use proxy_wasm::types::{self};

/// A number and no enumeration: a host may say what the ABI does not know.
pub(crate) type Status = u32;
pub(crate) const OK: Status = types::Status::Ok as u32;
pub(crate) const NOT_FOUND: Status = types::Status::NotFound as u32;
pub(crate) const CAS_MISMATCH: Status = types::Status::CasMismatch as u32;

pub(crate) const REALTIME: u32 = 0;
pub(crate) const MONOTONIC: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    pub(crate) fn proxy_log(level: u32, message: *const u8, size: usize) -> Status;
    pub(crate) fn proxy_set_tick_period_milliseconds(period: u32) -> Status;
    pub(crate) fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
    pub(crate) fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
    pub(crate) fn proxy_get_header_map_pairs(
        map: u32,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
    pub(crate) fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> Status;
    pub(crate) fn proxy_http_call(
        cluster: *const u8,
        cluster_size: usize,
        headers: *const u8,
        headers_size: usize,
        body: *const u8,
        body_size: usize,
        trailers: *const u8,
        trailers_size: usize,
        timeout_ms: u32,
        number: *mut u32,
    ) -> Status;
    pub(crate) fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> Status;
    pub(crate) fn proxy_add_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> Status;
    pub(crate) fn proxy_remove_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
    ) -> Status;
    pub(crate) fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *const u8,
        data_size: usize,
    ) -> Status;
    pub(crate) fn proxy_continue_stream(stream: u32) -> Status;
    pub(crate) fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
    pub(crate) fn proxy_set_effective_context(context: u32) -> Status;
    pub(crate) fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> Status;
    pub(crate) fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        data: *const u8,
        size: usize,
        cas: u32,
    ) -> Status;
    pub(crate) fn proxy_register_shared_queue(
        name: *const u8,
        size: usize,
        queue: *mut u32,
    ) -> Status;
    pub(crate) fn proxy_enqueue_shared_queue(queue: u32, data: *const u8, size: usize) -> Status;
    pub(crate) fn proxy_dequeue_shared_queue(
        queue: u32,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
    pub(crate) fn proxy_define_metric(
        kind: u32,
        name: *const u8,
        size: usize,
        metric: *mut u32,
    ) -> Status;
    pub(crate) fn proxy_increment_metric(metric: u32, offset: i64) -> Status;
    pub(crate) fn proxy_record_metric(metric: u32, value: u64) -> Status;
    pub(crate) fn proxy_done() -> Status;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    pub(crate) fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u16;
    pub(crate) fn random_get(buffer: *mut u8, size: usize) -> u16;
    pub(crate) fn environ_sizes_get(count: *mut usize, size: *mut usize) -> u16;
    pub(crate) fn environ_get(entries: *mut *mut u8, block: *mut u8) -> u16;
}

/// Bytes that the host placed in our memory.
///
/// # Safety
/// `data` and `size` are what the host returned: null, or a block of `size` bytes that it got from
/// `proxy_on_memory_allocate`, which the SDK serves from a `Vec` of exactly that capacity.
pub(crate) unsafe fn adopt(data: *mut u8, size: usize) -> Vec<u8> {
    if data.is_null() {
        Vec::new()
    } else {
        // SAFETY: the caller's promise.
        unsafe { Vec::from_raw_parts(data, size, size) }
    }
}

pub(crate) fn bytes(
    call: impl FnOnce(*mut *mut u8, *mut usize) -> Status,
) -> Result<Vec<u8>, Status> {
    let mut data = null_mut();
    let mut size = 0;
    match call(&raw mut data, &raw mut size) {
        // SAFETY: the host has just written both.
        OK => Ok(unsafe { adopt(data, size) }),
        status => Err(status),
    }
}

/// The host would not say.
#[derive(Debug, Clone, Copy)]
pub struct Unreadable;

/// What is absent, apart from what cannot be read.
pub(crate) fn or_absent(read: Result<Vec<u8>, Status>) -> Result<Option<Vec<u8>>, Unreadable> {
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(NOT_FOUND) => Ok(None),
        Err(_) => Err(Unreadable),
    }
}

/// Header pairs as the ABI serialises them: count, then both lengths of each pair, then each string with a NUL.
pub(crate) fn pairs(pairs: &[(&str, &str)]) -> Vec<u8> {
    let size = |(name, value): &(&str, &str)| 10 + name.len() + value.len();
    let mut out = Vec::with_capacity(4 + pairs.iter().map(size).sum::<usize>());
    // Memory has 32 bits: the casts keep every bit.
    out.extend_from_slice(&(pairs.len() as u32).to_le_bytes());
    for (name, value) in pairs {
        out.extend_from_slice(&(name.len() as u32).to_le_bytes());
        out.extend_from_slice(&(value.len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        for text in [name, value] {
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        }
    }
    out
}
