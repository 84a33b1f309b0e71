//! Metrics: each series is defined at its first use and known by number afterwards.

use std::collections::HashMap;

use weir_engine::config::Config;
use weir_engine::metric::{Metric, Shape};

use crate::host::{self, MetricKind};

/// The series of one configuration.
#[derive(Default)]
pub(crate) struct Meter {
    series: HashMap<Metric, Series>,
}

struct Series {
    /// The host's number; `None` if it would not define it.
    id: Option<u32>,
    /// Counted since the last [`Meter::flush`].
    pending: i64,
}

impl Meter {
    /// Counts. Counters and gauges reach the host with the next [`flush`](Self::flush): an addition here is free, a
    /// hostcall per push is not.
    pub(crate) fn count(&mut self, metric: Metric, config: &Config) {
        let shape = metric.shape();
        let series = self.series.entry(metric.series()).or_insert_with(|| {
            let name = metric.name(|id| {
                config
                    .account(id)
                    .map_or_else(String::new, |account| account.name.clone())
            });
            let kind = match shape {
                Shape::Counter(_) => MetricKind::Counter,
                Shape::Gauge(_) => MetricKind::Gauge,
                Shape::Histogram(_) => MetricKind::Histogram,
            };
            Series {
                id: host::define_metric(kind, &name),
                pending: 0,
            }
        });
        match shape {
            Shape::Counter(n) => {
                series.pending = series.pending.saturating_add_unsigned(n);
            }
            Shape::Gauge(change) => series.pending = series.pending.saturating_add(change),
            Shape::Histogram(value) => {
                if let Some(id) = series.id {
                    host::record_metric(id, value);
                }
            }
        }
    }

    /// Tells the host what was counted since the last time.
    pub(crate) fn flush(&mut self) {
        for series in self.series.values_mut() {
            let pending = std::mem::take(&mut series.pending);
            if let Some(id) = series.id.filter(|_| pending != 0) {
                host::increment_metric(id, pending);
            }
        }
    }
}
