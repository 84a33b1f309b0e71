//! `cargo xtask bench`: builds everything optimised and hands over to `weir-bench`.

use std::process::Command;

use anyhow::Result;
use weir_testbed::layout::Layout;

use crate::{cargo, wasm};

/// Builds and runs the bench; the arguments are the bench's own.
pub(crate) fn bench(layout: &Layout, arguments: &[String]) -> Result<()> {
    wasm::build(layout)?;
    cargo::build_programs(
        layout,
        "release",
        &["weir-bench", "weir-store", "weir-sim", "weir-host"],
    )?;
    let program = layout.built_program("weir-bench", "release")?;
    cargo::run(
        Command::new(program)
            .args(arguments)
            .current_dir(layout.root()),
    )
}
