//! `weir-flood wasmtime|envoy PUSHES`: so many wrong pushes, and what came of them.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use weir_host_tests::flood::flood;
use weir_host_tests::{InEnvoy, InWasmtime};

/// Where the drawing starts: any number will do, and the same one gives the same requests.
const SEED: u64 = 20_240_426;

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
    let [gateway, pushes] = &arguments[..] else {
        bail!("usage: weir-flood wasmtime|envoy PUSHES");
    };
    let pushes: u64 = pushes.parse().context("how many?")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async {
        // A task, for parts of the world block their thread.
        let flood = match gateway.as_str() {
            "wasmtime" => tokio::spawn(flood::<InWasmtime>("flood", pushes, SEED)),
            "envoy" => tokio::spawn(flood::<InEnvoy>("flood", pushes, SEED)),
            other => bail!("there is no gateway {other:?}"),
        };
        flood.await?
    })?;
    let report = report.context("this gateway is left out")?;
    print!("{report}");
    report.check()
}
