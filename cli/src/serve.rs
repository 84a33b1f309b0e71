//! `weir serve`: Weir without Envoy, as a WASI component.
//!
//! The host is a program of its own, `weir-serve`: a component's runtime is larger than all of this command, and whoever checks a
//! configuration or sends a push has no use for it. It is looked for beside this program, then on the PATH, and takes its place.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::anyhow;
use clap::Args;

use crate::Outcome;

const PROGRAM: &str = "weir-serve";

/// Arguments of `weir serve`.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct ServeArgs {
    /// For weir-serve; `weir serve --help` says which
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGUMENTS"
    )]
    passed_on: Vec<OsString>,
}

/// Becomes `weir-serve`.
///
/// # Errors
/// There is none.
pub fn run(args: &ServeArgs) -> anyhow::Result<Outcome> {
    let program = beside().unwrap_or_else(|| PROGRAM.into());
    let error = Command::new(&program).args(&args.passed_on).exec();
    Err(anyhow!(
        "cannot start {} ({error}); build it with `cargo build -p weir-host --features component --bin weir-serve`",
        program.display()
    ))
}

fn beside() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?.with_file_name(PROGRAM);
    program.is_file().then_some(program)
}
