//! Shared data and metrics of a host that has `weir:state`.

use weir_engine::config::Config;
use weir_engine::metric::{Metric, Shape};
use weir_engine::shared::{Cas, SetError, SharedData};

use crate::bindings::weir::state::meter::{self, Kind, Measurement};
use crate::bindings::weir::state::table::{self, Refusal};

/// The host's table.
pub(crate) struct Shared;

impl SharedData for Shared {
    fn get(&self, key: &str) -> Option<(Vec<u8>, Cas)> {
        let entry = table::get(key)?;
        Some((entry.value, Cas(entry.version)))
    }

    fn set(&self, key: &str, value: &[u8], cas: Option<Cas>) -> Result<(), SetError> {
        table::set(key, value, cas.map(|cas| cas.0)).map_err(|refusal| match refusal {
            Refusal::Conflict => SetError::Conflict,
            Refusal::Refused => SetError::Refused,
        })
    }

    fn guards_creation(&self) -> bool {
        true
    }
}

/// What a request has counted, told once.
#[derive(Default)]
pub(crate) struct Meter(Vec<Measurement>);

impl Meter {
    pub(crate) fn count(&mut self, metric: Metric, config: &Config) {
        let account = |id| config.account(id).map(|account| account.name.clone());
        let (kind, value) = match metric.shape() {
            Shape::Counter(n) => (Kind::Counter, n.cast_signed()),
            Shape::Gauge(change) => (Kind::Gauge, change),
            Shape::Histogram(value) => (Kind::Histogram, value.cast_signed()),
        };
        let name = metric.name(|id| account(id).unwrap_or_default());
        self.0.push(Measurement { name, kind, value });
    }

    pub(crate) fn tell(&mut self) {
        if !self.0.is_empty() {
            meter::add(&std::mem::take(&mut self.0));
        }
    }
}

/// Beside the environment there is nowhere to look.
pub(crate) fn document() -> Option<String> {
    None
}

/// Likewise.
pub(crate) fn setting(_: &str) -> Option<String> {
    None
}
