//! `weir-chaos sqlite|postgres ROUNDS [SEED]`: kills and stalls, and what came of them. `weir-chaos late RUNS FASTER`: an
//! application that takes its time. `weir-chaos app …` is a part of both.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use weir_host_tests::chaos::{Database, chaos, late, serve};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let (database, rounds, seed) = match words[..] {
        ["app", listen, file] => {
            return runtime.block_on(serve(listen.parse()?, file.into()));
        }
        ["late", runs, faster] => {
            let (runs, faster) = (runs.parse()?, faster.parse()?);
            let verdict = runtime
                .block_on(async move { tokio::spawn(late(runs, faster, "release")).await })??;
            print!("{}", verdict.context("Envoy is left out")?);
            return Ok(());
        }
        [database, rounds] => (database, rounds, "1"),
        [database, rounds, seed] => (database, rounds, seed),
        _ => bail!("usage: weir-chaos sqlite|postgres ROUNDS [SEED] | late RUNS FASTER"),
    };
    let database = match database {
        "sqlite" => Database::Sqlite,
        "postgres" => Database::Postgres,
        other => bail!("there is no database {other:?}"),
    };
    let rounds = rounds.parse().context("how many rounds?")?;
    let seed = seed.parse().context("which seed?")?;
    // A task, for parts of it block their thread.
    let verdict = runtime
        .block_on(async move { tokio::spawn(chaos(database, rounds, seed, "release")).await })??;
    let verdict = verdict.context("Envoy or PostgreSQL is left out")?;
    print!("{verdict}");
    verdict.check()
}
