//! Host calls as they are, where the SDK would panic on the status that is to be seen.

use proxy_wasm::types::MapType;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_done() -> u32;
    fn proxy_get_header_map_value(
        map: u32,
        key: *const u8,
        key_size: usize,
        value: *mut *mut u8,
        value_size: *mut usize,
    ) -> u32;
    fn proxy_set_buffer_bytes(
        buffer: u32,
        start: usize,
        size: usize,
        data: *const u8,
        data_size: usize,
    ) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_get_metric(id: u32, value: *mut u64) -> u32;
}

pub(crate) fn done() -> u32 {
    unsafe { proxy_done() }
}

pub(crate) fn header_status(map: MapType, key: &str) -> u32 {
    let (mut value, mut size) = (std::ptr::null_mut(), 0);
    unsafe {
        proxy_get_header_map_value(map as u32, key.as_ptr(), key.len(), &mut value, &mut size)
    }
}

pub(crate) fn set_body(start: usize, size: usize, data: &[u8]) -> u32 {
    unsafe { proxy_set_buffer_bytes(0, start, size, data.as_ptr(), data.len()) }
}

fn define(kind: u32, name: &str) -> u32 {
    let mut id = 0;
    let status = unsafe { proxy_define_metric(kind, name.as_ptr(), name.len(), &mut id) };
    assert_eq!(status, 0);
    id
}

fn value(id: u32) -> (u32, u64) {
    let mut value = 0;
    let status = unsafe { proxy_get_metric(id, &mut value) };
    (status, value)
}

/// Does with each kind of metric what it allows and what it does not, and tells the statuses.
pub(crate) fn exercise_metrics() -> String {
    let counter = define(0, "guest.exercise.counter");
    let gauge = define(1, "guest.exercise.gauge");
    let histogram = define(2, "guest.exercise.histogram");
    let again = define(0, "guest.exercise.counter");
    unsafe {
        let counter_statuses = [
            proxy_increment_metric(counter, 2),
            proxy_increment_metric(again, 3),
            proxy_increment_metric(counter, 0),
            proxy_increment_metric(counter, -1),
        ];
        let gauge_statuses = [
            proxy_record_metric(gauge, 10),
            proxy_increment_metric(gauge, -3),
        ];
        let histogram_statuses = [
            proxy_record_metric(histogram, 7),
            proxy_increment_metric(histogram, 1),
        ];
        format!(
            "{counter_statuses:?} {:?} {gauge_statuses:?} {:?} {histogram_statuses:?} {:?} {}",
            value(counter),
            value(gauge),
            value(histogram).0,
            value(4000).0
        )
    }
}
