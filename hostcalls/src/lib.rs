//! The host, as the plugins see it: the only crate that names hostcalls.
//!
//! A panic, or an end of the program by the C library, costs a worker its VM. So every status becomes a value, and
//! nothing is asked of the C library that asks the host (the environment, the clocks, random bytes). The SDK has the ABI's
//! numbers; its wrappers panic on statuses they do not expect, so the calls are declared here.
//!
//! Source: proxy-wasm ABI 0.2.1; WASI preview 1 (`clock_time_get`, `random_get`, `environ_*`).
#![allow(unsafe_code, reason = "the host's C ABI")]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::cell::Cell;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use proxy_wasm::types::{self, BufferType, LogLevel, MapType, MetricType};
use weir_engine::shared::{Cas, SetError, SharedData};
use weir_engine::time::Now;
use weir_engine::{HttpRequest, Random, Response};

/// A number and no enumeration: a host may say what the ABI does not know.
type Status = u32;
const OK: Status = types::Status::Ok as u32;
const NOT_FOUND: Status = types::Status::NotFound as u32;
const CAS_MISMATCH: Status = types::Status::CasMismatch as u32;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> Status;
    fn proxy_set_tick_period_milliseconds(period: u32) -> Status;
    fn proxy_get_buffer_bytes(
        buffer: u32,
        start: usize,
        max: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
    fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> Status;
    fn proxy_http_call(
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
    fn proxy_replace_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> Status;
    fn proxy_add_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *const u8,
        value_size: usize,
    ) -> Status;
    fn proxy_remove_header_map_value(map: u32, key: *const u8, key_size: usize) -> Status;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *const u8,
        data_size: usize,
    ) -> Status;
    fn proxy_continue_stream(stream: u32) -> Status;
    fn proxy_get_property(
        path: *const u8,
        path_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
    ) -> Status;
    fn proxy_set_effective_context(context: u32) -> Status;
    fn proxy_get_shared_data(
        key: *const u8,
        key_size: usize,
        data: *mut *mut u8,
        size: *mut usize,
        cas: *mut u32,
    ) -> Status;
    fn proxy_set_shared_data(
        key: *const u8,
        key_size: usize,
        data: *const u8,
        size: usize,
        cas: u32,
    ) -> Status;
    fn proxy_register_shared_queue(name: *const u8, size: usize, queue: *mut u32) -> Status;
    fn proxy_enqueue_shared_queue(queue: u32, data: *const u8, size: usize) -> Status;
    fn proxy_dequeue_shared_queue(queue: u32, data: *mut *mut u8, size: *mut usize) -> Status;
    fn proxy_define_metric(kind: u32, name: *const u8, size: usize, metric: *mut u32) -> Status;
    fn proxy_increment_metric(metric: u32, offset: i64) -> Status;
    fn proxy_record_metric(metric: u32, value: u64) -> Status;
    fn proxy_done() -> Status;
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision: u64, time: *mut u64) -> u16;
    fn random_get(buffer: *mut u8, size: usize) -> u16;
    fn environ_sizes_get(count: *mut usize, size: *mut usize) -> u16;
    fn environ_get(entries: *mut *mut u8, block: *mut u8) -> u16;
}

/// Bytes that the host placed in our memory.
///
/// # Safety
/// `data` and `size` are what the host returned: null, or a block of `size` bytes that it got from
/// `proxy_on_memory_allocate`, which the SDK serves from a `Vec` of exactly that capacity.
unsafe fn adopt(data: *mut u8, size: usize) -> Vec<u8> {
    if data.is_null() {
        Vec::new()
    } else {
        // SAFETY: the caller's promise.
        unsafe { Vec::from_raw_parts(data, size, size) }
    }
}

fn bytes(call: impl FnOnce(*mut *mut u8, *mut usize) -> Status) -> Result<Vec<u8>, Status> {
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
fn or_absent(read: Result<Vec<u8>, Status>) -> Result<Option<Vec<u8>>, Unreadable> {
    match read {
        Ok(bytes) => Ok(Some(bytes)),
        Err(NOT_FOUND) => Ok(None),
        Err(_) => Err(Unreadable),
    }
}

/// Writes a line. Control characters are the caller's to keep out.
pub fn log(level: LogLevel, line: &str) {
    // SAFETY: the host reads `line` during the call only. Nothing can be done about a lost line.
    let _ = unsafe { proxy_log(level as u32, line.as_ptr(), line.len()) };
}

/// The present.
pub fn now() -> Now {
    Now {
        unix_ms: clock_ms(REALTIME),
        mono_ms: mono_ms(),
    }
}

/// The monotonic clock alone, which all workers of the process share.
pub fn mono_ms() -> u64 {
    clock_ms(MONOTONIC)
}

/// A clock that fails stands still: at 0 deadlines would pass that have not, and others would never come.
fn clock_ms(clock: u32) -> u64 {
    static LAST_NANOS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
    let mut nanos = 0;
    // SAFETY: the host writes one u64.
    let failed = unsafe { clock_time_get(clock, 1_000_000, &raw mut nanos) } != 0;
    if let Some(last) = LAST_NANOS.get(clock as usize) {
        if failed {
            nanos = last.load(Relaxed);
        } else {
            last.store(nanos, Relaxed);
        }
    }
    nanos / 1_000_000
}

/// Fills `out` from the host's cryptographic source, at most 64 KiB. `false`: it has none.
#[must_use]
pub fn random(out: &mut [u8]) -> bool {
    // SAFETY: the host writes `out.len()` bytes.
    unsafe { random_get(out.as_mut_ptr(), out.len()) == 0 }
}

/// The variables that the host lets the VM see.
pub struct Environment(Vec<u8>);

impl Environment {
    /// As the host tells it now; empty if it does not.
    pub fn read() -> Self {
        let (mut count, mut size) = (0, 0);
        // SAFETY: the host writes both numbers.
        if unsafe { environ_sizes_get(&raw mut count, &raw mut size) } != 0 {
            return Self(Vec::new());
        }
        let mut entries = vec![null_mut(); count];
        let mut block = vec![0; size];
        // SAFETY: the host writes what it has just announced: as many pointers and as many bytes.
        match unsafe { environ_get(entries.as_mut_ptr(), block.as_mut_ptr()) } {
            0 => Self(block),
            _ => Self(Vec::new()),
        }
    }

    /// The value of `name`, if it is text.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.split(|&byte| byte == 0).find_map(|entry| {
            let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            Some(std::str::from_utf8(value).ok()?.to_owned())
        })
    }
}

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

/// A header of the call's answer. Only where the answer has headers.
pub fn call_header(name: &str) -> Option<Vec<u8>> {
    header(MapType::HttpCallResponseHeaders, name).ok()
}

fn header(map: MapType, name: &str) -> Result<Vec<u8>, Status> {
    // SAFETY: `name` is read during the call only.
    bytes(|data, size| unsafe {
        proxy_get_header_map_value(map as u32, name.as_ptr(), name.len(), data, size)
    })
}

/// The first `max` bytes of the request's body; none if it has none.
pub fn request_body(max: usize) -> Result<Vec<u8>, Unreadable> {
    Ok(or_absent(buffer(BufferType::HttpRequestBody, max))?.unwrap_or_default())
}

/// The body of the call's answer, which the host said to have so many bytes; fewer if it cannot be read.
pub fn call_body(size: usize) -> Vec<u8> {
    buffer(BufferType::HttpCallResponseBody, size).unwrap_or_default()
}

/// The plugin's configuration; empty if it cannot be read, which is none that is taken.
pub fn configuration(size: usize) -> Vec<u8> {
    buffer(BufferType::PluginConfiguration, size).unwrap_or_default()
}

fn buffer(buffer: BufferType, max: usize) -> Result<Vec<u8>, Status> {
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

/// `content-type` and `nosniff`.
fn header_pairs(content_type: Option<&str>) -> Vec<u8> {
    match content_type {
        None => pairs(&[]),
        Some(content_type) => pairs(&[
            ("content-type", content_type),
            ("x-content-type-options", "nosniff"),
        ]),
    }
}

/// Header pairs as the ABI serialises them: count, then both lengths of each pair, then each string with a NUL.
fn pairs(pairs: &[(&str, &str)]) -> Vec<u8> {
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

/// Runs `act` with `context` effective, then `back`. `false`: the context is gone, and nothing ran.
pub fn within(context: u32, back: u32, act: impl FnOnce()) -> bool {
    // SAFETY: plain values.
    if unsafe { proxy_set_effective_context(context) } != OK {
        return false;
    }
    act();
    // SAFETY: plain values. `back` is the root we were called on.
    let _ = unsafe { proxy_set_effective_context(back) };
    true
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

thread_local! {
    /// Whether the last value that was asked for could not be read, which is not to say that it is absent.
    static UNREADABLE: Cell<bool> = const { Cell::new(false) };
    static CREATION_FAILED: Cell<bool> = const { Cell::new(false) };
}

/// Whether something could not be created in shared data since this was last asked. Nothing is ever created later.
pub fn creation_failed() -> bool {
    CREATION_FAILED.take()
}

/// The host's shared data.
pub struct Shared;

impl SharedData for Shared {
    fn get(&self, key: &str) -> Option<(Vec<u8>, Cas)> {
        let mut cas = 0;
        // SAFETY: `key` is read during the call only; the host writes `cas`.
        let value = bytes(|data, size| unsafe {
            proxy_get_shared_data(key.as_ptr(), key.len(), data, size, &raw mut cas)
        });
        match value {
            Ok(value) => Some((value, Cas(cas))),
            Err(status) => {
                UNREADABLE.set(status != NOT_FOUND);
                None
            }
        }
    }

    fn set(&self, key: &str, value: &[u8], cas: Option<Cas>) -> Result<(), SetError> {
        if cas.is_none() && UNREADABLE.take() {
            // A creation of what may exist and hold the promises of other workers.
            CREATION_FAILED.set(true);
            return Err(SetError::Refused);
        }
        // 0 asks for an unconditional write; the host's counter starts at 1.
        let creates = cas.is_none();
        let cas = cas.map_or(0, |cas| cas.0);
        // SAFETY: `key` and `value` are read during the call only.
        let status = unsafe {
            proxy_set_shared_data(key.as_ptr(), key.len(), value.as_ptr(), value.len(), cas)
        };
        match status {
            OK => Ok(()),
            CAS_MISMATCH if !creates => Err(SetError::Conflict),
            _ => {
                CREATION_FAILED.set(creates || CREATION_FAILED.get());
                Err(SetError::Refused)
            }
        }
    }
}

/// A queue to oneself: the way from a stream to the root.
#[derive(Clone, Copy)]
pub struct Queue(u32);

impl Queue {
    /// Registers `name`; from now on this root context is woken by it.
    pub fn register(name: &str) -> Option<Self> {
        let mut queue = 0;
        // SAFETY: `name` is read during the call only; the host writes `queue`.
        let status =
            unsafe { proxy_register_shared_queue(name.as_ptr(), name.len(), &raw mut queue) };
        (status == OK).then_some(Self(queue))
    }

    /// The host's number for it, by which other VMs of the process know it, too.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The queue of a number, perhaps another VM's.
    pub fn numbered(number: u32) -> Self {
        Self(number)
    }

    /// Has the root called after this callback.
    pub fn wake(self) {
        // SAFETY: one byte, read during the call. If it fails, the next tick does the work.
        let _ = unsafe { proxy_enqueue_shared_queue(self.0, [1_u8].as_ptr(), 1) };
    }

    /// Takes one wake-up out; there may be none left.
    pub fn take(self) -> bool {
        // SAFETY: plain values.
        bytes(|data, size| unsafe { proxy_dequeue_shared_queue(self.0, data, size) }).is_ok()
    }
}

/// Defines a metric, or finds the one of this name.
pub fn define_metric(kind: MetricType, name: &str) -> Option<u32> {
    let mut metric = 0;
    // SAFETY: `name` is read during the call only; the host writes `metric`.
    let status =
        unsafe { proxy_define_metric(kind as u32, name.as_ptr(), name.len(), &raw mut metric) };
    (status == OK).then_some(metric)
}

/// Adds to a counter or gauge. `false`: it was not added.
#[must_use]
pub fn increment_metric(metric: u32, by: i64) -> bool {
    // SAFETY: plain values.
    unsafe { proxy_increment_metric(metric, by) == OK }
}

/// Records into a histogram.
pub fn record_metric(metric: u32, value: u64) {
    // SAFETY: plain values. A lost measurement is not worth a push.
    let _ = unsafe { proxy_record_metric(metric, value) };
}

/// Has this root context called every `period_ms`.
pub fn set_tick_period(period_ms: u64) -> bool {
    let period = u32::try_from(period_ms).unwrap_or(u32::MAX);
    // SAFETY: plain values.
    unsafe { proxy_set_tick_period_milliseconds(period) == OK }
}

/// Tells the host that this root context, which asked to be kept, may go. `false`: it did not hear.
#[must_use]
pub fn done() -> bool {
    // SAFETY: plain values.
    unsafe { proxy_done() == OK }
}

/// Random bytes, fetched from the host 1 KiB at a time: a hostcall for 16 bytes costs as much as for 1,024.
pub struct Pool {
    bytes: [u8; 1024],
    used: usize,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            bytes: [0; 1024],
            used: 1024,
        }
    }
}

impl Random for Pool {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(self.bytes.len()) {
            if self.bytes.len() - self.used < chunk.len() {
                // What cannot be had is asked for again the next time.
                self.used = if random(&mut self.bytes) {
                    0
                } else {
                    self.bytes.len()
                };
            }
            let end = self.used + chunk.len();
            if let Some(bytes) = self.bytes.get_mut(self.used..end) {
                chunk.copy_from_slice(bytes);
                // Handed out once.
                bytes.fill(0);
            }
            self.used = end;
        }
    }
}
