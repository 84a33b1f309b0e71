//! `weir`: the command line of Weir.

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    weir_cli::run(weir_cli::Cli::parse()).await
}
