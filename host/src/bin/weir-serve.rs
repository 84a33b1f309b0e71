//! `weir-serve`: Weir without Envoy, as a WASI component.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde_json::Value;
use weir_host::component::{Batch, Options, Server, Way};

/// Serves Weir's component without Envoy, until Ctrl-C.
///
/// Prints `listener weir_push ADDRESS`, `admin ADDRESS`, then `ready`. The log goes to standard error. The configuration is the one
/// of the Envoy filter, with origins (https://api.weixin.qq.com) in the place of clusters' names; settings that need more than such a
/// host has are refused.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The component.
    #[arg(long, value_name = "FILE", default_value = "weir-component.wasm")]
    component: PathBuf,
    /// The configuration, JSON.
    #[arg(long, value_name = "FILE", default_value = "weir.json")]
    config: PathBuf,
    /// Where pushes come.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10000")]
    listen: SocketAddr,
    /// Where metrics are shown, at /stats.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Where a name is, whatever DNS says.
    #[arg(long, value_name = "NAME=ADDRESS")]
    resolve: Vec<Way>,
    /// An authority to trust beside the usual ones, PEM.
    #[arg(long, value_name = "FILE")]
    trusted_ca: Vec<PathBuf>,
    /// Most requests at a time, what follows from them included.
    #[arg(long, value_name = "N", default_value_t = 200)]
    instances: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weir-serve: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let config = &arguments.config;
    let text = std::fs::read_to_string(config).map_err(|e| format!("{}: {e}", config.display()))?;
    // What is no JSON, or says what it may not, is the component's to refuse.
    let document: Value = serde_json::from_str(&text).unwrap_or_default();
    let server = Server::start(Options {
        component: arguments.component,
        batch: batch(&document),
        environment: environment(&document, text),
        listen: arguments.listen,
        admin: arguments.admin,
        ways: arguments.resolve,
        trusted_ca: arguments.trusted_ca,
        instances: arguments.instances,
    })
    .await?;
    println!("listener weir_push {}", server.address());
    if let Some(address) = server.admin() {
        println!("admin {address}");
    }
    println!("ready");
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// The most that goes to the store in one call.
fn batch(document: &Value) -> Batch {
    let usual = Batch::default();
    let limit = |name: &str| document["limits"][name].as_u64()?.try_into().ok();
    Batch {
        events: limit("batch_max_events").unwrap_or(usual.events),
        bytes: limit("batch_max_bytes").unwrap_or(usual.bytes),
    }
}

/// The configuration, and the variables that it names: an instance sees no others.
fn environment(document: &Value, text: String) -> Vec<(String, String)> {
    let mut environment = Vec::new();
    let accounts = document["accounts"].as_array().into_iter().flatten();
    for (field, name) in accounts.filter_map(Value::as_object).flatten() {
        if field.ends_with("_env")
            && let Some(name) = name.as_str()
            && let Ok(value) = std::env::var(name)
        {
            environment.push((name.to_owned(), value));
        }
    }
    environment.push(("WEIR_CONFIG".to_owned(), text));
    environment
}
