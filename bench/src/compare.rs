//! The rounds, and what the figures are held against.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use weir_testbed::layout::Layout;

use crate::Options;
use crate::after_store;
use crate::edge::{Edge, Ground};
use crate::overload;
use crate::pushes::Maker;
use crate::report::{self, Figure, median};
use crate::scenarios::{SCENARIOS, Scenario, Slice};
use crate::sink::Sink;

/// Largest module, bytes.
const MODULE_BYTES: f64 = 500_000.0;
/// Longest reading of a configuration with 1,000 accounts, milliseconds.
const CONFIGURED_MS: f64 = 100.0;
/// Longest start, seconds.
const READY_S: f64 = 1.0;

/// Ratios of pushes per CPU second: a name, what is divided by what, and what the ratio must be at least.
const RATIOS: [(&str, &str, f64); 12] = [
    ("weir_plain", "direct_buf", 0.55),
    ("weir_encrypted", "direct_buf_encrypted", 0.45),
    ("weir_encrypted", "direct_buf", 0.45),
    ("weir_half_copies", "weir_plain", 1.0),
    // At most 1.1 times the cost, and 1.05.
    ("weir_10_rules", "weir_1_rule", 0.909),
    ("weir_1000_rules", "weir_1_rule", 0.909),
    ("weir_10000_rules", "weir_1_rule", 0.909),
    ("weir_1000_accounts", "weir_plain", 0.952),
    ("weir_plain", "native_plain", 1.6),
    ("weir_encrypted", "native_encrypted", 1.3),
    // At most 1.6 times the cost.
    ("door_gets", "api_gets", 0.625),
    ("door_messages", "api_messages", 0.625),
];

/// A scenario while it runs.
struct Contender {
    /// The scenario's, with the module's file if it is another one.
    name: String,
    scenario: Scenario,
    edge: Edge,
    slices: Vec<Slice>,
}

impl Contender {
    fn median(&self, of: impl Fn(&Slice) -> f64) -> f64 {
        median(self.slices.iter().map(of))
    }

    fn report(&self) -> Result<Value> {
        let sum = |of: fn(&Slice) -> usize| self.slices.iter().map(of).sum::<usize>();
        Ok(json!({
            "name": self.name,
            "what": self.scenario.what,
            "request_bytes": self.slices.first().map(|slice| slice.request_bytes),
            "requests": sum(|slice| slice.requests),
            "events": sum(|slice| slice.events),
            "batches": sum(|slice| slice.batches),
            "per_cpu_second": self.median(Slice::per_cpu_second),
            "cpu_us": self.median(|slice| 1e6 / slice.per_cpu_second()),
            "per_second": self.median(|slice| slice.requests as f64 / slice.took.as_secs_f64()),
            "p50_ms": self.median(|slice| slice.p50.as_secs_f64() * 1e3),
            "p99_ms": self.median(|slice| slice.p99.as_secs_f64() * 1e3),
            "envoy_rss_bytes": self.edge.envoy.resident_bytes()?,
            "ready_after_s": self.edge.ready_after.as_secs_f64(),
            "per_cpu_second_by_round": self.slices.iter().map(Slice::per_cpu_second).collect::<Vec<_>>(),
        }))
    }
}

/// Runs the comparison and reports it.
///
/// # Errors
/// Something does not start, an answer is wrong, an event is missing, or the report cannot be written. A figure that is
/// not reached is reported, and no error.
pub(crate) fn run(layout: &Layout, options: &Options) -> Result<()> {
    let names: Vec<&str> = SCENARIOS
        .iter()
        .map(|scenario| scenario.name)
        .chain([after_store::NAME, overload::NAME])
        .collect();
    for name in &options.only {
        ensure!(
            names.contains(&name.as_str()),
            "no scenario is called {name:?}; there are {}",
            names.join(", ")
        );
    }
    let chosen = |name| options.only.is_empty() || options.only.iter().any(|only| only == name);

    let ground = Ground::prepare(layout, options.quick)?;
    let sink = Sink::start()?;
    let mut maker = Maker::new()?;
    let mut contenders = Vec::new();
    let module = layout.built_wasm()?;
    for scenario in SCENARIOS
        .into_iter()
        .filter(|scenario| chosen(scenario.name))
    {
        let mut modules = vec![(scenario.name.to_owned(), module.clone())];
        if scenario.is_weir() {
            for other in &options.against {
                let file = other
                    .canonicalize()
                    .with_context(|| other.display().to_string())?;
                modules.push((format!("{} {}", scenario.name, other.display()), file));
            }
        }
        for (name, module) in modules {
            report::progress(&format!("starting {name}"));
            contenders.push(Contender {
                name,
                scenario,
                edge: scenario.start(&ground, &module, &sink)?,
                slices: Vec::with_capacity(options.rounds),
            });
        }
    }
    run_rounds(&mut contenders, &sink, &mut maker, options)?;

    let mut figures = figures(layout, &contenders)?;
    let scenarios: Vec<Value> = contenders
        .iter()
        .map(Contender::report)
        .collect::<Result<_>>()?;
    if !scenarios.is_empty() {
        report::print_scenarios(&scenarios);
    }
    let mut store = Value::Null;
    if chosen(after_store::NAME) {
        let (section, further) = after_store::run(&ground, options, &mut maker)?;
        after_store::print(&section);
        figures.extend(further);
        store = section;
    }
    let mut overloaded = Value::Null;
    if chosen(overload::NAME) {
        let (section, further) = overload::run(&ground, options, &mut maker)?;
        overload::print(&section);
        figures.extend(further);
        overloaded = section;
    }
    report::print_figures(&figures);
    report::write(
        &options.report(layout),
        "compare",
        &ground,
        json!({
            "rounds": options.rounds,
            "pushes_per_slice": options.pushes,
            "connections": options.connections,
            "scenarios": scenarios,
            "after_store": store,
            "overload": overloaded,
            "figures": figures,
        }),
    )
}

/// The slices, in turn.
fn run_rounds(
    contenders: &mut [Contender],
    sink: &Sink,
    maker: &mut Maker,
    options: &Options,
) -> Result<()> {
    let count = contenders.len();
    if count == 0 {
        return Ok(());
    }
    // Connections, caches, the allocators' pages: not what a push costs.
    report::progress("warming up");
    for Contender { scenario, edge, .. } in contenders.iter() {
        scenario.slice(
            edge,
            sink,
            maker,
            options.pushes.div_ceil(4),
            options.connections,
        )?;
    }
    for round in 0..options.rounds {
        report::progress(&format!("round {} of {}", round + 1, options.rounds));
        // Each round starts with another one, so that nobody always follows the same neighbour.
        for place in 0..count {
            let Contender {
                scenario,
                edge,
                slices,
                ..
            } = &mut contenders[(round + place) % count];
            slices.push(scenario.slice(edge, sink, maker, options.pushes, options.connections)?);
        }
    }
    Ok(())
}

fn figures(layout: &Layout, contenders: &[Contender]) -> Result<Vec<Figure>> {
    let find = |name| contenders.iter().find(|contender| contender.name == name);
    let mut figures = Vec::new();
    for (name, reference, needed) in RATIOS {
        let (Some(ours), Some(theirs)) = (find(name), find(reference)) else {
            continue;
        };
        let rounds = ours.slices.iter().zip(&theirs.slices);
        let ratios = rounds.map(|(ours, theirs)| ours.per_cpu_second() / theirs.per_cpu_second());
        figures.push(Figure::at_least(
            format!("{name} / {reference}"),
            median(ratios),
            needed,
        ));
    }
    let module = layout.built_wasm()?.metadata()?.len();
    figures.push(Figure::at_most(
        "module, bytes",
        module as f64,
        MODULE_BYTES,
    ));
    if let Some(ms) = find("weir_1000_accounts").and_then(|crowd| crowd.edge.configured_ms) {
        figures.push(Figure::at_most(
            "1,000 accounts: configured in, ms",
            ms as f64,
            CONFIGURED_MS,
        ));
    }
    if let Some(weir) = find("weir_encrypted").or_else(|| find("weir_plain")) {
        figures.push(Figure::at_most(
            "Envoy ready after, s (one core)",
            weir.edge.ready_after.as_secs_f64(),
            READY_S,
        ));
    }
    Ok(figures)
}
