//! The table and `bench.json`.
//!
//! The file has one section per command, each with the machine, the date and the command it came from, so that figures
//! never stand without their origin. A command replaces its own section and leaves the others.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};
use weir_engine::time::rfc3339;

use crate::edge::Ground;

/// A figure and what it is held against.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    what: String,
    value: f64,
    #[serde(flatten)]
    needed: Needed,
    reached: bool,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Needed {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    pub(crate) fn at_least(what: impl Into<String>, value: f64, needed: f64) -> Self {
        Self {
            what: what.into(),
            value,
            needed: Needed::AtLeast(needed),
            reached: value >= needed,
        }
    }

    pub(crate) fn at_most(what: impl Into<String>, value: f64, needed: f64) -> Self {
        Self {
            what: what.into(),
            value,
            needed: Needed::AtMost(needed),
            reached: value <= needed,
        }
    }
}

/// The middle one; 0 of nothing.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = values.len() / 2;
    match (values.get(upper), values.len() % 2) {
        (None, _) => 0.0,
        (Some(middle), 1) => *middle,
        (Some(middle), _) => (values[upper - 1] + middle) / 2.0,
    }
}

/// Tells a person what is going on.
pub(crate) fn progress(what: &str) {
    eprintln!("bench: {what}");
}

/// Prints one line per scenario.
pub(crate) fn print_scenarios(scenarios: &[Value]) {
    println!(
        "\n{:<22} {:>10} {:>8} {:>9} {:>8} {:>8} {:>8} {:>7} {:>9}",
        "", "push/CPU-s", "CPU µs", "push/s", "p50 ms", "p99 ms", "RSS MB", "ready s", "events"
    );
    for scenario in scenarios {
        let number = |key: &str| scenario[key].as_f64().unwrap_or(0.0);
        println!(
            "{:<22} {:>10.0} {:>8.1} {:>9.0} {:>8.2} {:>8.2} {:>8.1} {:>7.2} {:>9}",
            scenario["name"].as_str().unwrap_or_default(),
            number("per_cpu_second"),
            number("cpu_us"),
            number("per_second"),
            number("p50_ms"),
            number("p99_ms"),
            number("envoy_rss_bytes") / 1e6,
            number("ready_after_s"),
            number("events"),
        );
    }
}

/// Prints what was to be reached, and whether it was.
pub(crate) fn print_figures(figures: &[Figure]) {
    println!();
    for figure in figures {
        let (relation, needed) = match figure.needed {
            Needed::AtLeast(needed) => ("at least", needed),
            Needed::AtMost(needed) => ("at most", needed),
        };
        let places = if figure.value >= 100.0 { 0 } else { 3 };
        println!(
            "{:<42} {:>10.places$}  {relation} {needed:<8} {}",
            figure.what,
            figure.value,
            if figure.reached { "reached" } else { "MISSED" },
        );
    }
}

/// Writes a section of the report.
///
/// # Errors
/// The file is there and not JSON, or the file system refused.
pub(crate) fn write(
    file: &Path,
    section: &str,
    ground: &Ground<'_>,
    mut content: Value,
) -> Result<()> {
    content["origin"] = origin(ground);
    let mut report = match fs::read(file) {
        Ok(text) => serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a report", file.display()))?,
        Err(_) => json!({}),
    };
    report[section] = content;
    fs::write(file, serde_json::to_string_pretty(&report)? + "\n")
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("\n{}", file.display());
    Ok(())
}

fn origin(ground: &Ground<'_>) -> Value {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    json!({
        "date": rfc3339(now),
        "command": format!("weir-bench {}", arguments.join(" ")).trim_end(),
        "optimised": !cfg!(debug_assertions),
        "envoy": ground.envoy.version,
        "cpu": line_of("/proc/cpuinfo", "model name"),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memory": line_of("/proc/meminfo", "MemTotal"),
        "kernel": fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
    })
}

/// What stands after the colon in the first line that starts with `key`.
fn line_of(file: &str, key: &str) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let value = |line: &str| Some(line.strip_prefix(key)?.split_once(':')?.1.trim().to_owned());
    text.lines().find_map(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let check = |values: &[f64], expected| {
            assert_eq!(median(values.iter().copied()), expected, "{values:?}");
        };
        check(&[], 0.0);
        check(&[3.0], 3.0);
        check(&[9.0, 1.0, 2.0], 2.0);
        check(&[4.0, 1.0, 9.0, 2.0], 3.0);
    }

    #[test]
    fn a_figure_says_whether_it_is_reached() {
        assert!(Figure::at_least("", 0.55, 0.55).reached);
        assert!(!Figure::at_least("", 0.54, 0.55).reached);
        assert!(Figure::at_most("", 1.0, 1.0).reached);
        assert!(!Figure::at_most("", 1.1, 1.0).reached);
        let json = serde_json::to_value(Figure::at_most("x", 1.1, 1.0)).unwrap();
        assert_eq!(
            json,
            json!({ "what": "x", "value": 1.1, "at_most": 1.0, "reached": false })
        );
    }
}
