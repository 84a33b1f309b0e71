//! Starting cargo and other tools, with their output where the reader sees it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use weir_testbed::layout::Layout;

/// The target of the plugin.
pub(crate) const WASM_TARGET: &str = "wasm32-wasip1";
/// The target of the components.
pub(crate) const COMPONENT_TARGET: &str = "wasm32-wasip2";

/// The cargo that runs this command, in the repository's root.
pub(crate) fn cargo(layout: &Layout) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(layout.root());
    command
}

/// Runs a command to its end, its output passed through.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let name = Path::new(command.get_program())
        .file_name()
        .unwrap_or(OsStr::new("it"))
        .to_owned();
    let words: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let line = format!("{} {}", name.to_string_lossy(), words.join(" "));
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// Builds programs of this workspace in a profile (`dev` or `release`).
pub(crate) fn build_programs(layout: &Layout, profile: &str, packages: &[&str]) -> Result<()> {
    let mut command = cargo(layout);
    command.args(["build", "--bins", "--profile", profile]);
    for package in packages {
        command.args(["--package", package]);
    }
    run(&mut command)
}

/// Adds the plugin's target to the toolchain when it is missing.
pub(crate) fn ensure_wasm_target(layout: &Layout) -> Result<()> {
    ensure_target(layout, WASM_TARGET)
}

/// The same for any target.
pub(crate) fn ensure_target(layout: &Layout, target: &str) -> Result<()> {
    let output = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", target])
        .current_dir(layout.root())
        .output()
        .context("cannot run rustc")?;
    let libdir = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() && Path::new(&libdir).is_dir() {
        return Ok(());
    }
    crate::say::note(&format!("adding the target {target}"));
    run(Command::new("rustup")
        .args(["target", "add", target])
        .current_dir(layout.root()))
    .with_context(|| {
        format!("the standard library for {target} is missing; add it to your toolchain")
    })
}
