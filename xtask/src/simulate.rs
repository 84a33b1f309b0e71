//! `cargo xtask simulate`: builds the simulation optimised and hands over to `weir-simulate`.

use std::process::Command;

use anyhow::Result;
use weir_testbed::layout::Layout;

use crate::cargo;

/// Builds and runs it; the arguments are its own.
pub(crate) fn simulate(layout: &Layout, arguments: &[String]) -> Result<()> {
    cargo::build_programs(layout, "release", &["weir-simulate"])?;
    let program = layout.built_program("weir-simulate", "release")?;
    cargo::run(
        Command::new(program)
            .args(arguments)
            .current_dir(layout.root()),
    )
}
