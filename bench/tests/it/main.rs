//! The bench itself, in a run of seconds: that every scenario works and is judged, so that it cannot rot unseen. What it
//! measures here means nothing, and nothing here looks at it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_testbed::envoy;
use weir_testbed::layout::Layout;

/// Runs `weir-bench --quick` and gives its report; `None` where tests with Envoy are left out.
fn quick(arguments: &[&str]) -> Result<Option<Value>> {
    let layout = Layout::of_this_checkout();
    let Some(envoy) = envoy::for_tests(&layout)? else {
        return Ok(None);
    };
    let out = layout.scratch("bench", "quick")?.join("bench.json");
    let output = Command::new(env!("CARGO_BIN_EXE_weir-bench"))
        .arg("--quick")
        .args(arguments)
        .arg("--out")
        .arg(&out)
        .env("ENVOY", envoy.path)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    read(&out).map(Some)
}

fn read(file: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&fs::read(file)?)?)
}

fn items<'r>(report: &'r Value, pointer: &str) -> Result<&'r Vec<Value>> {
    report
        .pointer(pointer)
        .and_then(Value::as_array)
        .with_context(|| format!("no list at {pointer}"))
}

#[test]
fn every_scenario_runs_with_the_right_answers_and_no_event_missing() -> Result<()> {
    let Some(report) = quick(&[])? else {
        return Ok(());
    };
    let counts: Vec<_> = items(&report, "/compare/scenarios")?
        .iter()
        .map(|scenario| {
            let number = |key: &str| scenario[key].as_u64().unwrap_or(u64::MAX);
            (
                scenario["name"].as_str().unwrap_or_default(),
                number("requests"),
                number("events"),
            )
        })
        .collect();
    assert_eq!(
        counts,
        [
            ("direct_buf", 600, 0),
            ("direct_buf_encrypted", 600, 0),
            ("weir_plain", 600, 600),
            ("weir_encrypted", 600, 600),
            ("weir_half_copies", 600, 300),
            ("weir_1_rule", 600, 600),
            ("weir_10_rules", 600, 600),
            ("weir_1000_rules", 600, 600),
            ("weir_10000_rules", 600, 600),
            ("weir_1000_accounts", 600, 600),
            ("native_plain", 600, 600),
            ("native_encrypted", 600, 600),
            ("api_gets", 600, 0),
            ("door_gets", 600, 0),
            ("api_messages", 600, 0),
            ("door_messages", 600, 0),
        ]
    );
    let per_commit = report.pointer("/compare/after_store/saturated/pushes_per_commit");
    assert!(per_commit.and_then(Value::as_f64).is_some_and(|n| n >= 1.0));
    for figure in items(&report, "/compare/figures")? {
        assert!(
            figure["value"].as_f64().is_some_and(|value| value > 0.0),
            "{figure}"
        );
    }
    let origin = &report["compare"]["origin"];
    assert!(
        origin["date"].is_string() && origin["envoy"].is_string(),
        "{origin}"
    );
    Ok(())
}

#[test]
fn the_memory_is_looked_at_along_the_way() -> Result<()> {
    let Some(report) = quick(&["memory"])? else {
        return Ok(());
    };
    let looks = items(&report, "/memory/resident_bytes")?;
    assert_eq!(looks.len(), 11);
    assert!(
        looks
            .iter()
            .all(|look| look["bytes"].as_u64().is_some_and(|bytes| bytes > 0))
    );
    Ok(())
}
