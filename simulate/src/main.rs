//! `weir-simulate`: many seeds, one seed, or the planted mistakes.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Parser;
use weir_simulate::teeth::{self, Bug};
use weir_simulate::{Fault, Tally, Without, run, shrink};

/// A planted mistake must be noticed within so many seeds.
const TEETH: u64 = 1_000;

/// Runs the engine in a simulated world, many times, each from a seed.
#[derive(Parser)]
#[command(name = "weir-simulate")]
struct Cli {
    /// How many seeds.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This seed alone, with its timeline.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Kinds of trouble to leave out.
    #[arg(long, value_delimiter = ',')]
    without: Vec<Fault>,
    /// Pushes of the seed to leave out, by number.
    #[arg(long, value_delimiter = ',')]
    skip: Vec<usize>,
    /// Plants a mistake, or all of them one after another: each must be noticed within 1,000 seeds.
    #[arg(long, value_name = "NAME|all")]
    planted: Option<String>,
    /// Within so many seeds a planted mistake must be noticed.
    #[arg(long, default_value_t = TEETH)]
    within: u64,
    /// How many threads.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
}

fn main() -> ExitCode {
    match command(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Whether everything held.
fn command(cli: &Cli) -> Result<bool> {
    let without = Without {
        faults: cli.without.iter().copied().collect(),
        pushes: cli.skip.clone(),
    };
    let bugs = match cli.planted.as_deref() {
        None => Vec::new(),
        Some("all") => Bug::ALL.to_vec(),
        Some(name) => match Bug::ALL.iter().find(|bug| bug.name() == name) {
            Some(bug) => vec![*bug],
            None => {
                let names: Vec<_> = Bug::ALL.iter().map(|bug| bug.name()).collect();
                bail!("no mistake {name:?}; there are {}", names.join(", "));
            }
        },
    };
    match (cli.seed, bugs.as_slice()) {
        (Some(seed), []) => Ok(show(seed, &without)),
        (Some(seed), [bug]) => Ok(teeth::with(*bug, || show(seed, &without))),
        (Some(_), _) => bail!("one seed goes with one mistake"),
        (None, []) => Ok(many(cli, &without)),
        (None, bugs) => Ok(bite(cli, bugs)),
    }
}

/// One seed, with its timeline.
fn show(seed: u64, without: &Without) -> bool {
    let outcome = run(seed, without);
    for line in outcome.timeline() {
        println!("{line}");
    }
    println!("seed {seed}: timeline {:016x}", outcome.hash);
    if let Some(violation) = &outcome.violation {
        println!("VIOLATED {}: {}", violation.invariant, violation.detail);
    }
    outcome.violation.is_none()
}

/// Many seeds; the first that fails is shown, with as little as it needs.
fn many(cli: &Cli, without: &Without) -> bool {
    let began = Instant::now();
    let next = AtomicU64::new(cli.from);
    let end = cli.from.saturating_add(cli.seeds);
    let stop = AtomicBool::new(false);
    let failed = Mutex::new(None::<u64>);
    let total = Mutex::new((Tally::default(), 0_u64, 0_u64));
    std::thread::scope(|scope| {
        for _ in 0..cli.jobs.max(1) {
            scope.spawn(|| {
                let (mut tally, mut virtual_ms, mut runs) = (Tally::default(), 0, 0);
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let outcome = run(seed, without);
                    tally.and(&outcome.tally);
                    virtual_ms += outcome.virtual_ms;
                    runs += 1;
                    if outcome.violation.is_some() {
                        stop.store(true, Ordering::Relaxed);
                        let mut failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
                        *failed = Some(failed.map_or(seed, |other| other.min(seed)));
                    }
                }
                let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
                total.0.and(&tally);
                total.1 += virtual_ms;
                total.2 += runs;
            });
        }
    });
    let (tally, virtual_ms, runs) = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((seed, (less, outcome))) =
        failed.and_then(|seed| Some((seed, shrink(seed, without)?)))
    {
        for line in outcome.timeline() {
            println!("{line}");
        }
        if let Some(violation) = &outcome.violation {
            println!("VIOLATED {}: {}", violation.invariant, violation.detail);
        }
        let arguments = less.arguments();
        println!("replay: cargo xtask simulate --seed {seed}{arguments}");
        return false;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{runs} schedules, {} pushes in {} requests, {:.0} hours of virtual time: every invariant held",
        tally.pushes,
        tally.requests,
        virtual_ms as f64 / 3_600_000.0,
    );
    println!(
        "  {} heard, {} stored, {} engines died, {} handed over, {} documented losses, {} replies handed out in vain; {:.0} schedules/s",
        tally.heard,
        tally.stored,
        tally.deaths,
        tally.handovers,
        tally.lost_with_worker,
        tally.handed_in_vain,
        runs as f64 / seconds,
    );
    true
}

/// The planted mistakes, each until it is noticed.
fn bite(cli: &Cli, bugs: &[Bug]) -> bool {
    let mut all = true;
    println!("{:<30} {:>6}  noticed by", "planted mistake", "seed");
    for bug in bugs {
        match teeth::catch(*bug, cli.from..cli.from + cli.within) {
            Some(caught) => {
                let (name, seed) = (bug.name(), caught.seed);
                println!("{name:<30} {seed:>6}  {}", caught.invariant);
            }
            None => {
                all = false;
                println!("{:<30} {:>6}  NOTHING", bug.name(), "-");
            }
        }
    }
    all
}
