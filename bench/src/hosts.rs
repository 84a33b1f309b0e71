//! The two hosts without Envoy: the module in the proxy-wasm host, and the component in `weir-serve`.
//!
//! Follows in plain mode, answered after the store has them, with one account that makes no API calls: what is measured is
//! the host around the same engine. Both run on the edge's core, and each slice is judged as in the comparison.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use weir_testbed::bootstrap::{Bootstrap, LISTENER, STORE, WECHAT_API};
use weir_testbed::component::{ComponentHost, Settings};
use weir_testbed::layout::Layout;
use weir_testbed::programs::WasmHost;

use crate::Options;
use crate::cores::cpu_time;
use crate::edge::Ground;
use crate::load::{self, Pace};
use crate::pushes::{self, Expected, Maker};
use crate::report::{self, Figure};
use crate::sink::Sink;

/// The least that the component's rate may be, of the module's.
const LEAST: f64 = 0.5;

/// What a slice gave.
struct Slice {
    /// Pushes per second of the host's CPU time.
    per_cpu_second: f64,
    /// Pushes per second.
    per_second: f64,
    p99: Duration,
}

/// Measures both and reports it.
///
/// # Errors
/// A program is not built or does not start, an answer is wrong, or an event is missing.
pub(crate) fn run(layout: &Layout, options: &Options) -> Result<()> {
    let ground = Ground::prepare(layout, options.quick)?;
    let sink = Sink::start()?;
    let mut maker = Maker::new()?;
    let dir = layout.scratch("bench", "hosts")?;
    let bootstrap = bootstrap(layout, sink.address())?;
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let mut module = ground.cores.on_edge(|| {
        let program = layout.built_program("weir-host", profile)?;
        WasmHost::start(&program, &bootstrap, &dir, pushes::environment())
    })?;
    let mut component = ground.cores.on_edge(|| {
        let program = layout.built_program("weir-serve", profile)?;
        let settings = Settings::of(&bootstrap)?;
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let file = layout.component();
        ComponentHost::start(
            &program,
            &file,
            &settings,
            &dir,
            listen,
            pushes::environment(),
        )
    })?;
    let hosts = [
        (
            "module in weir-host",
            module.push_address(),
            module.process().pid(),
        ),
        (
            "component in weir-serve",
            component.push_address(),
            component.process().pid(),
        ),
    ];
    let mut rounds: Vec<[Slice; 2]> = Vec::new();
    for round in 0..=options.rounds {
        let mut slice = |(name, address, pid): (&str, SocketAddr, u32)| {
            report::progress(&format!("round {round}: {name}"));
            one(address, pid, &sink, &mut maker, options).with_context(|| name.to_owned())
        };
        let both = [slice(hosts[0])?, slice(hosts[1])?];
        // The first one warms up.
        if round > 0 {
            rounds.push(both);
        }
    }
    let median = |of: &dyn Fn(&[Slice; 2]) -> f64| report::median(rounds.iter().map(of));
    let rows: Vec<_> = hosts
        .iter()
        .enumerate()
        .map(|(n, (name, ..))| {
            let per_second = median(&|round| round[n].per_second);
            let per_cpu_second = median(&|round| round[n].per_cpu_second);
            let p99_ms = median(&|round| round[n].p99.as_secs_f64() * 1_000.0);
            println!(
                "{name:<24} {per_second:>8.0} pushes/s {per_cpu_second:>8.0} per CPU second, p99 {p99_ms:.1} ms"
            );
            json!({ "name": name, "per_second": per_second, "per_cpu_second": per_cpu_second, "p99_ms": p99_ms })
        })
        .collect();
    let ratio = median(&|round| round[1].per_second / round[0].per_second);
    let figures = [Figure::at_least(
        "follows through the component, of the module's rate in the wasmtime host",
        ratio,
        LEAST,
    )];
    report::print_figures(&figures);
    report::write(
        &options.report(layout),
        "hosts",
        &ground,
        json!({ "rounds": options.rounds, "hosts": rows, "figures": figures }),
    )
}

fn bootstrap(layout: &Layout, store: SocketAddr) -> Result<Bootstrap> {
    let mut bootstrap = Bootstrap::read(&layout.envoy_yaml())?;
    bootstrap.only_listeners(&[LISTENER])?;
    bootstrap
        .bind_to_any_loopback_port()?
        .without_access_log()?
        .endpoint(STORE, store)?
        .endpoint(WECHAT_API, store)?
        .wasm_file(&layout.built_wasm()?)?;
    bootstrap.plugin(|plugin| {
        plugin["accounts"][0]["mode"] = "plain".into();
        for (place, field) in [("/accounts/0", "app_secret_env"), ("", "wechat_api")] {
            let holder = plugin
                .pointer_mut(place)
                .and_then(|held| held.as_object_mut());
            holder.map(|holder| holder.remove(field));
        }
    })?;
    Ok(bootstrap)
}

fn one(
    address: SocketAddr,
    pid: u32,
    sink: &Sink,
    maker: &mut Maker,
    options: &Options,
) -> Result<Slice> {
    let requests = Rc::new(maker.follows(options.pushes));
    sink.expect(requests.numbers);
    let before = cpu_time(pid)?;
    let outcome = load::send(address, &requests, options.connections, Pace::Saturating)?;
    let arrived = sink.settle()?;
    let cpu = cpu_time(pid)? - before;
    for (number, body) in &outcome.samples {
        maker
            .judge(Expected::Welcome, *number, body)
            .with_context(|| format!("the answer to push {number}"))?;
    }
    let count = requests.len();
    ensure!(
        arrived.events == count,
        "{} events for {count} pushes",
        arrived.events
    );
    Ok(Slice {
        per_cpu_second: count as f64 / cpu.as_secs_f64(),
        per_second: count as f64 / outcome.took.as_secs_f64(),
        p99: outcome.percentile(99),
    })
}
