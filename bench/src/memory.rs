//! A million distinct pushes, and Envoy's memory along the way.
//!
//! The first tenth fills what is bounded (the dedup table, the outbox, the allocators' pools); after it, memory must stay
//! where it is.

use anyhow::{Context, Result};
use serde_json::json;
use weir_testbed::layout::Layout;

use crate::Options;
use crate::edge::Ground;
use crate::pushes::Maker;
use crate::report::{self, Figure};
use crate::scenarios::SCENARIOS;
use crate::sink::Sink;

const STEPS: usize = 10;
/// Most that memory may grow after the first step, bytes.
const GROWTH_BYTES: f64 = 2e6;

/// Sends `total` pushes and reports the memory.
///
/// # Errors
/// As the comparison's.
pub(crate) fn run(layout: &Layout, options: &Options, total: usize) -> Result<()> {
    let scenario = SCENARIOS
        .into_iter()
        .find(|scenario| match options.only.first() {
            Some(name) => name == scenario.name,
            None => scenario.name == "weir_encrypted",
        })
        .context("no such scenario")?;
    let ground = Ground::prepare(layout, options.quick)?;
    let sink = Sink::start()?;
    let mut maker = Maker::new()?;
    let edge = scenario.start(&ground, &layout.built_wasm()?, &sink)?;
    let step = total.div_ceil(STEPS);
    let mut resident = vec![(0, edge.envoy.resident_bytes()?)];
    println!("{:>10}  {:>12}", "pushes", "RSS, bytes");
    println!("{:>10}  {:>12}", 0, resident[0].1);
    for number in 1..=STEPS {
        scenario.slice(&edge, &sink, &mut maker, step, options.connections)?;
        let bytes = edge.envoy.resident_bytes()?;
        resident.push((number * step, bytes));
        println!("{:>10}  {bytes:>12}", number * step);
    }
    let after = resident.iter().skip(1).map(|&(_, bytes)| bytes);
    let first = resident.get(1).map_or(0, |&(_, bytes)| bytes);
    let growth = after.max().unwrap_or(first) - first;
    let figures = [Figure::at_most(
        "growth after the first tenth, bytes",
        growth as f64,
        GROWTH_BYTES,
    )];
    report::print_figures(&figures);
    report::write(
        &options.report(layout),
        "memory",
        &ground,
        json!({
            "scenario": scenario.name,
            "connections": options.connections,
            "resident_bytes": resident
                .iter()
                .map(|(pushes, bytes)| json!({ "pushes": pushes, "bytes": bytes }))
                .collect::<Vec<_>>(),
            "figures": figures,
        }),
    )
}
