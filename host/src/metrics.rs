//! Counters, gauges and histograms of one host, by name, as Envoy's `/stats` shows them.
//!
//! A module's own metrics are named `wasmcustom.<name>`; the host adds counters of its own. Metrics are never
//! freed, in Envoy and here: names must come from a bounded set.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What a histogram has seen. Envoy keeps buckets; a summary is enough here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many values.
    pub count: u64,
    /// Their sum.
    pub sum: u64,
    /// The largest.
    pub max: u64,
}

/// A counter or a gauge.
pub(crate) type Number = Arc<AtomicU64>;

/// A histogram.
pub(crate) type Histogram = Arc<Mutex<Summary>>;

/// All metrics of one host.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    numbers: Mutex<BTreeMap<String, Number>>,
    histograms: Mutex<BTreeMap<String, Histogram>>,
}

impl Metrics {
    /// The counter or gauge of this name, made at first use.
    pub(crate) fn number(&self, name: &str) -> Number {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(number) = numbers.get(name) {
            return Arc::clone(number);
        }
        let number = Number::default();
        numbers.insert(name.to_owned(), Arc::clone(&number));
        number
    }

    /// The histogram of this name, made at first use.
    pub(crate) fn histogram(&self, name: &str) -> Histogram {
        let mut histograms = self
            .histograms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(histograms.entry(name.to_owned()).or_default())
    }

    pub(crate) fn increment(&self, name: &str) {
        self.number(name).fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn numbers(&self) -> BTreeMap<String, u64> {
        let numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers
            .iter()
            .map(|(name, number)| (name.clone(), number.load(Ordering::Relaxed)))
            .collect()
    }

    pub(crate) fn histograms(&self) -> BTreeMap<String, Summary> {
        let histograms = self
            .histograms
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        histograms
            .iter()
            .map(|(name, histogram)| {
                let summary = *histogram.lock().unwrap_or_else(PoisonError::into_inner);
                (name.clone(), summary)
            })
            .collect()
    }

    /// The text of `/stats`: `name: value` a line, histograms summarised.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.numbers() {
            let _ = writeln!(text, "{name}: {value}");
        }
        for (name, summary) in self.histograms() {
            let Summary { count, sum, max } = summary;
            let _ = writeln!(text, "{name}: count={count} sum={sum} max={max}");
        }
        text
    }
}

pub(crate) fn record(histogram: &Histogram, value: u64) {
    let mut summary = histogram.lock().unwrap_or_else(PoisonError::into_inner);
    summary.count += 1;
    summary.sum = summary.sum.saturating_add(value);
    summary.max = summary.max.max(value);
}
