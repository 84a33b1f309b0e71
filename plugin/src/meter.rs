//! Metrics: each series is defined at its first use and known by number afterwards.

use std::collections::HashMap;

use weir_engine::config::Config;
use weir_engine::metric::{Metric, Shape};

use crate::host::{self, MetricKind};

/// The host's numbers for the series of one configuration.
#[derive(Default)]
pub(crate) struct Meter {
    ids: HashMap<Metric, Option<u32>>,
}

impl Meter {
    pub(crate) fn count(&mut self, metric: Metric, config: &Config) {
        let shape = metric.shape();
        let id = *self.ids.entry(metric.series()).or_insert_with(|| {
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
            host::define_metric(kind, &name)
        });
        let Some(id) = id else { return };
        match shape {
            Shape::Counter(n) => host::increment_metric(id, i64::try_from(n).unwrap_or(i64::MAX)),
            Shape::Gauge(change) => host::increment_metric(id, change),
            Shape::Histogram(value) => host::record_metric(id, value),
        }
    }
}
