//! Metrics: each series is defined at its first use and known by number afterwards.

use proxy_wasm::types::MetricType;
use weir_engine::fold::FoldMap;
use weir_engine::metric::Shape;
use weir_hostcalls as host;

use crate::Filter;

/// Most values of one histogram that wait for the root's turn; what comes beyond is recorded at once.
const MAX_PENDING: usize = 4_096;

/// The series of one configuration.
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

impl<F: Filter> Meter<F> {
    /// Counts. The host learns it with the next [`flush`](Self::flush): an addition here is free, and a hostcall in the
    /// middle of a request costs several times as much as one among its like.
    pub(crate) fn count(&mut self, metric: F::Metric, shape: Shape, config: &F::Config) {
        let series = (self.series.entry(metric))
            .or_insert_with(|| Series::define(shape, F::metric_name(metric, config)));
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
    fn define(shape: Shape, name: String) -> Self {
        let kind = match shape {
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
