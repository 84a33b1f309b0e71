//! Weir with `ack: after_store` and the real store on SQLite: group commit, and latency at a steady rate.
//!
//! Every push waits until its event is on disk, so what counts is how many share one commit, and how long they wait when
//! the store is not the limit. Events are counted by the store itself.

use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use weir_testbed::process::wait_until;
use weir_testbed::programs::Store;

use crate::Options;
use crate::cores::cpu_time;
use crate::edge::{Ack, Edge, Ground, Load};
use crate::load::{self, Outcome, Pace};
use crate::pushes::{Expected, Maker, Mode};
use crate::report::{self, Figure, median};

/// The name to choose it by.
pub(crate) const NAME: &str = "after_store";
/// Senders that do not wait for one another: enough to fill commits.
const CONNECTIONS: usize = 256;
/// The steady rate, pushes per second, and for how many seconds of it a round lasts.
const RATE: u32 = 2_000;
const STEADY_S: usize = 10;
const ROUNDS: usize = 3;
/// What is to be reached.
const PUSHES_PER_COMMIT: f64 = 20.0;
const P99_MS: f64 = 50.0;
const AGAINST_AT_ONCE: f64 = 0.5;
/// How long the store may take for what `at_once` left to it.
const SETTLE: Duration = Duration::from_secs(60);

/// The store's own counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    created: u64,
    commits: u64,
}

/// One round at one pace.
struct Slice {
    outcome: Outcome,
    per_commit: f64,
    /// CPU time of Envoy, and of the store.
    cpu: Duration,
    store_cpu: Duration,
}

impl Slice {
    fn per_second(&self) -> f64 {
        self.outcome.latencies.len() as f64 / self.outcome.took.as_secs_f64()
    }

    fn per_cpu_second(&self) -> f64 {
        self.outcome.latencies.len() as f64 / self.cpu.as_secs_f64()
    }

    fn store_us(&self) -> f64 {
        self.store_cpu.as_secs_f64() * 1e6 / self.outcome.latencies.len() as f64
    }

    fn ms(&self, percent: usize) -> f64 {
        self.outcome.percentile(percent).as_secs_f64() * 1e3
    }
}

/// Runs it; gives the section of the report and what is held against the figures.
///
/// # Errors
/// As the comparison's.
pub(crate) fn run(
    ground: &Ground<'_>,
    options: &Options,
    maker: &mut Maker,
) -> Result<(Value, Vec<Figure>)> {
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let program = ground.layout.built_program("weir-store", profile)?;
    let dir = ground.layout.scratch("bench", "store")?;
    let mut store = Store::start(&program, &dir, ([127, 0, 0, 1], 0).into())?;
    let module = ground.layout.built_wasm()?;
    let edge = ground.weir(
        &module,
        Mode::Plain,
        Ack::AfterStore,
        Load::AsIs,
        store.address(),
    )?;
    let store_pid = store.process().pid();
    let at_once_edge = ground.weir(
        &module,
        Mode::Plain,
        Ack::AtOnce,
        Load::AsIs,
        store.address(),
    )?;
    let slice = |maker: &mut Maker, count: usize, pace| {
        slice(&edge, (&store, store_pid), maker, count, pace)
    };

    let steady = if options.quick {
        options.pushes
    } else {
        RATE as usize * STEADY_S
    };
    report::progress("after_store: warming up");
    slice(maker, options.pushes.div_ceil(4), Pace::Saturating)?;
    let (mut saturated, mut at_rate, mut unwaiting) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS.min(options.rounds) {
        report::progress(&format!("after_store: round {round}"));
        saturated.push(slice(maker, options.pushes, Pace::Saturating)?);
        at_rate.push(slice(maker, steady, Pace::PerSecond(RATE))?);
        unwaiting.push(at_once(&at_once_edge, &store, maker, options.pushes)?);
    }
    store.stop().context("the store did not end in order")?;

    let section = json!({
        "what": "Weir, plain mode, distinct pushes, ack after_store, weir-store on SQLite (synchronous=FULL)",
        "saturated": summary(&saturated),
        "steady": summary(&at_rate),
        "at_once_per_second": median(unwaiting.iter().copied()),
    });
    let against_at_once =
        median(saturated.iter().map(Slice::per_second)) / median(unwaiting.iter().copied());
    let figures = vec![
        Figure::at_least(
            "after_store / at_once, the same store, saturated: pushes/s",
            against_at_once,
            AGAINST_AT_ONCE,
        ),
        Figure::at_least(
            "after_store, saturated: pushes per commit",
            median(saturated.iter().map(|slice| slice.per_commit)),
            PUSHES_PER_COMMIT,
        ),
        Figure::at_most(
            format!("after_store, {RATE} pushes/s: p99, ms"),
            median(at_rate.iter().map(|slice| slice.ms(99))),
            P99_MS,
        ),
    ];
    Ok((section, figures))
}

fn slice(
    edge: &Edge,
    (store, store_pid): (&Store, u32),
    maker: &mut Maker,
    count: usize,
    pace: Pace,
) -> Result<Slice> {
    let expected = Expected::Reply(Mode::Plain);
    let requests = Rc::new(maker.distinct(Mode::Plain, count, expected));
    let before = Counts::of(store)?;
    let cpu = (edge.cpu_time()?, cpu_time(store_pid)?);
    let outcome = load::send(edge.address, &requests, CONNECTIONS, pace).context(NAME)?;
    let cpu = (edge.cpu_time()? - cpu.0, cpu_time(store_pid)? - cpu.1);
    // Answered means stored, so there is nothing to wait for.
    let after = Counts::of(store)?;
    let (created, commits) = (
        after.created - before.created,
        after.commits - before.commits,
    );
    ensure!(
        created == count as u64,
        "{NAME}: the store has {created} events of {count} pushes that were answered"
    );
    for (number, body) in &outcome.samples {
        maker
            .judge(expected, *number, body)
            .with_context(|| format!("{NAME}: the answer to push {number}"))?;
    }
    Ok(Slice {
        outcome,
        per_commit: created as f64 / commits.max(1) as f64,
        cpu: cpu.0,
        store_cpu: cpu.1,
    })
}

/// The same pushes, answered before they are stored: pushes per second, until the store has all of them.
fn at_once(edge: &Edge, store: &Store, maker: &mut Maker, count: usize) -> Result<f64> {
    let requests = Rc::new(maker.distinct(Mode::Plain, count, Expected::Reply(Mode::Plain)));
    let wanted = Counts::of(store)?.created + count as u64;
    let started = Instant::now();
    load::send(edge.address, &requests, CONNECTIONS, Pace::Saturating).context("at_once")?;
    wait_until("the store has all events", SETTLE, || {
        Ok((Counts::of(store)?.created >= wanted).then_some(()))
    })?;
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

fn summary(slices: &[Slice]) -> Value {
    let median = |of: &dyn Fn(&Slice) -> f64| median(slices.iter().map(of));
    json!({
        "per_second": median(&Slice::per_second),
        "per_cpu_second": median(&Slice::per_cpu_second),
        "store_cpu_us": median(&Slice::store_us),
        "pushes_per_commit": median(&|slice| slice.per_commit),
        "p50_ms": median(&|slice| slice.ms(50)),
        "p99_ms": median(&|slice| slice.ms(99)),
        "p99_ms_by_round": slices.iter().map(|slice| slice.ms(99)).collect::<Vec<_>>(),
    })
}

/// Prints what [`run`] gave.
pub(crate) fn print(section: &Value) {
    println!(
        "\n{:<22} {:>10} {:>10} {:>9} {:>8} {:>8} {:>12}",
        NAME, "per commit", "push/CPU-s", "push/s", "p50 ms", "p99 ms", "store CPU µs"
    );
    for pace in ["saturated", "steady"] {
        let number = |key: &str| section[pace][key].as_f64().unwrap_or(0.0);
        println!(
            "{pace:<22} {:>10.1} {:>10.0} {:>9.0} {:>8.2} {:>8.2} {:>12.1}",
            number("pushes_per_commit"),
            number("per_cpu_second"),
            number("per_second"),
            number("p50_ms"),
            number("p99_ms"),
            number("store_cpu_us"),
        );
    }
}

impl Counts {
    fn of(store: &Store) -> Result<Self> {
        let url = format!("http://{}/metrics", store.address());
        let text = ureq::get(url).call()?.body_mut().read_to_string()?;
        Ok(Self::read(&text))
    }

    /// Reads the store's metrics. One that is not there yet counts nothing.
    fn read(text: &str) -> Self {
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
                .unwrap_or(0)
        };
        Self {
            created: value(r#"weir_store_events_total{result="created"}"#),
            commits: value(r#"weir_store_commits_total{result="done"}"#),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Counts;

    #[test]
    fn the_stores_counts_are_read_by_their_labels() {
        let text = "# TYPE weir_store_events counter\n\
                    weir_store_events_total{result=\"rejected\"} 3\n\
                    weir_store_events_total{result=\"created\"} 41\n\
                    weir_store_commits_total{result=\"done\"} 7\n";
        let counts = |created, commits| Counts { created, commits };
        assert_eq!(Counts::read(text), counts(41, 7));
        assert_eq!(Counts::read("# EOF\n"), counts(0, 0));
    }
}
