//! `weir-host`: runs an `envoy.yaml` with its wasm filters, without Envoy, until Ctrl-C.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use weir_host::{Host, Level, Listen, LogLine, Options, Source};

/// Runs an envoy.yaml with its wasm filters on wasmtime, without Envoy, until Ctrl-C.
///
/// Prints a line `listener NAME ADDRESS` for each listener and `admin ADDRESS`, then `ready`. The log goes to
/// standard error; what of the file is not understood is named there.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "envoy.yaml")]
    config: PathBuf,
    /// Worker threads.
    #[arg(long, value_name = "N", default_value_t = 2)]
    workers: usize,
    /// Where the admin listener goes, instead of where the configuration says.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Put every listener on 127.0.0.1 and a port that the kernel chooses.
    #[arg(long)]
    loopback: bool,
    /// The least level that is logged.
    #[arg(long, value_enum, default_value_t = LogLevel::Info)]
    log_level: LogLevel,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Critical,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Trace => Self::Trace,
            LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Error => Self::Error,
            LogLevel::Critical => Self::Critical,
        }
    }
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-host: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut options = Options::new(Source::File(arguments.config));
    options.workers = arguments.workers;
    options.admin = arguments.admin;
    options.log_level = arguments.log_level.into();
    options.log_sink = Some(Arc::new(|line: &LogLine| {
        // A module's words may hold anything a client sent.
        let text = line.to_string();
        let clean: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        eprintln!("{clean}");
    }));
    if arguments.loopback {
        options.listen = Listen::Loopback;
    }
    let host = Host::start(options)?;
    for (name, address) in host.addrs() {
        println!("listener {name} {address}");
    }
    if let Some(address) = host.admin_addr() {
        println!("admin {address}");
    }
    println!("ready");
    runtime.block_on(until_told())?;
    host.shutdown();
    Ok(())
}

async fn until_told() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
