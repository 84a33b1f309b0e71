//! Metrics.

use proxy_wasm::types::MetricType;

use crate::abi::{OK, proxy_define_metric, proxy_increment_metric, proxy_record_metric};

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
