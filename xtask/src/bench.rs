//! `cargo xtask bench`: builds everything optimised and hands over to `weir-bench`. `cargo xtask bench hosts` builds the
//! component and `weir-serve`, too.
//!
//! `cargo xtask bench store` measures the store alone, on SQLite and on PostgreSQL: how fast it takes events in beside raw
//! inserts of the same rows (`store/examples/ingest.rs`), and how long one person of a million takes to read
//! (`store/examples/reads.rs`). It fails where a figure is missed.

use std::process::Command;

use anyhow::{Result, bail};
use weir_testbed::layout::Layout;

use crate::{cargo, component, say, wasm};

/// Builds and runs the bench; the arguments are the bench's own.
pub(crate) fn bench(layout: &Layout, arguments: &[String]) -> Result<()> {
    if let Some((first, rest)) = arguments.split_first()
        && first == "store"
    {
        return store(layout, rest);
    }
    wasm::build(layout)?;
    let mut packages = vec!["weir-bench", "weir-store", "weir-sim", "weir-host"];
    if arguments.iter().any(|argument| argument == "hosts") {
        // The one command that needs the component and what serves it.
        component::build(layout)?;
        component::build_hosts(layout, "release", &["weir-serve", "weir-host"])?;
        // Built above, with the feature that this selection would take away.
        packages.retain(|package| *package != "weir-host");
    }
    cargo::build_programs(layout, "release", &packages)?;
    let program = layout.built_program("weir-bench", "release")?;
    cargo::run(
        Command::new(program)
            .args(arguments)
            .current_dir(layout.root()),
    )
}

/// The scenarios of the store: a program, what it is asked, and that on few things, to see that it works.
const STORE: [(&str, &[&str], &[&str]); 2] = [
    (
        "ingest",
        &["--batches", "100", "--at-least", "0.5"],
        &["--batches", "100", "--events", "2000"],
    ),
    (
        "reads",
        &["--p99-at-most", "5"],
        &["--people", "2000", "--reads", "200"],
    ),
];

fn store(layout: &Layout, arguments: &[String]) -> Result<()> {
    let is_quick = match arguments {
        [] => false,
        [word] if word == "--quick" => true,
        _ => bail!("bench store takes --quick alone"),
    };
    for (program, whole, quick) in STORE {
        for (database, flags) in [("SQLite", &[][..]), ("PostgreSQL", &["--postgres"])] {
            say::step(&format!("{program} on {database}"));
            let mut command = cargo::cargo(layout);
            command.args(["run", "--quiet", "--release", "--package", "weir-store"]);
            command.args(["--features", "testing", "--example", program, "--"]);
            let asked = if is_quick { quick } else { whole };
            cargo::run(command.args(asked).args(flags))?;
        }
    }
    Ok(())
}
