//! Counters: each is defined at its first use and known by number afterwards.

use proxy_wasm::types::MetricType;
use weir_engine::fold::FoldMap;
use weir_hostcalls as host;

use crate::Filter;

/// The counters of one configuration.
pub(crate) struct Meter<F: Filter> {
    series: FoldMap<F::Metric, Series>,
}

impl<F: Filter> Default for Meter<F> {
    fn default() -> Self {
        Self {
            series: FoldMap::default(),
        }
    }
}

#[derive(Default)]
struct Series {
    number: Option<u32>,
    /// Counted since the last [`Meter::flush`].
    pending: u64,
}

impl<F: Filter> Meter<F> {
    /// Counts. The host learns it with the next [`flush`](Self::flush).
    pub(crate) fn count(&mut self, metric: F::Metric, by: u64) {
        self.series.entry(metric).or_default().pending += by;
    }

    /// Tells the host what was counted since the last time. What it does not take is told again.
    pub(crate) fn flush(&mut self, config: &F::Config) {
        for (metric, series) in self
            .series
            .iter_mut()
            .filter(|(_, series)| series.pending > 0)
        {
            if series.number.is_none() {
                let name = F::metric_name(*metric, config);
                series.number = host::define_metric(MetricType::Counter, &name);
            }
            let by = i64::try_from(series.pending).unwrap_or(i64::MAX);
            if series
                .number
                .is_some_and(|number| host::increment_metric(number, by))
            {
                series.pending = 0;
            }
        }
    }

    /// Whether the host knows all that was counted.
    pub(crate) fn is_told(&self) -> bool {
        self.series.values().all(|series| series.pending == 0)
    }
}
