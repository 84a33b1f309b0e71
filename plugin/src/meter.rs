//! Metrics: each series is defined at its first use and known by number afterwards.

use proxy_wasm::types::MetricType;
use weir_engine::config::Config;
use weir_engine::metric::{Metric, Shape};

use weir_engine::fold::FoldMap;
use weir_hostcalls as host;

/// Most values of one histogram that wait for the root's turn; what comes beyond is recorded at once.
const MAX_PENDING: usize = 4_096;

/// The series of one configuration.
#[derive(Default)]
pub(crate) struct Meter {
    series: FoldMap<Metric, Series>,
}

struct Series {
    id: Id,
    /// Counted since the last [`Meter::flush`].
    pending: i64,
    /// Measured since then.
    values: Vec<u64>,
}

/// The host's number of a series.
enum Id {
    Known(u32),
    /// The host would not define it; it is asked again.
    Wanted(MetricType, String),
}

impl Id {
    fn get(&mut self) -> Option<u32> {
        if let Self::Wanted(kind, name) = self
            && let Some(id) = host::define_metric(*kind, name)
        {
            *self = Self::Known(id);
        }
        match self {
            Self::Known(id) => Some(*id),
            Self::Wanted(..) => None,
        }
    }
}

impl Meter {
    /// Counts. The host learns it with the next [`flush`](Self::flush): an addition here is free, and a hostcall in the
    /// middle of a push costs several times as much as one among its like.
    pub(crate) fn count(&mut self, metric: Metric, config: &Config) {
        let shape = metric.shape();
        let series = self
            .series
            .entry(metric.series())
            .or_insert_with(|| Series::define(metric, config));
        match shape {
            Shape::Counter(n) => {
                series.pending = series.pending.saturating_add_unsigned(n);
            }
            Shape::Gauge(change) => series.pending = series.pending.saturating_add(change),
            Shape::Histogram(value) if series.values.len() < MAX_PENDING => {
                series.values.push(value);
            }
            Shape::Histogram(value) => {
                if let Some(id) = series.id.get() {
                    host::record_metric(id, value);
                }
            }
        }
    }

    /// Tells the host what was counted since the last time. What it does not take is told again.
    pub(crate) fn flush(&mut self) {
        for series in self.series.values_mut() {
            let Some(id) = series.id.get() else { continue };
            if series.pending != 0 && host::increment_metric(id, series.pending) {
                series.pending = 0;
            }
            for value in series.values.drain(..) {
                host::record_metric(id, value);
            }
        }
    }

    /// Whether the host knows all that was counted.
    pub(crate) fn is_told(&self) -> bool {
        let mut all = self.series.values();
        all.all(|series| series.pending == 0 && series.values.is_empty())
    }
}

impl Series {
    fn define(metric: Metric, config: &Config) -> Self {
        let name = metric.name(|id| {
            config
                .account(id)
                .map_or_else(String::new, |account| account.name.clone())
        });
        let kind = match metric.shape() {
            Shape::Counter(_) => MetricType::Counter,
            Shape::Gauge(_) => MetricType::Gauge,
            Shape::Histogram(_) => MetricType::Histogram,
        };
        let mut id = Id::Wanted(kind, name);
        id.get();
        Self {
            id,
            pending: 0,
            values: Vec::new(),
        }
    }
}
