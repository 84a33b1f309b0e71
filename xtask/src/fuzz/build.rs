//! Builds the targets' programs with the coverage that libFuzzer steers by.
//!
//! A stable compiler has the pass that counts edges and tells comparisons; only the option that would name libFuzzer is
//! unstable. Build scripts are spared: with `--target`, flags are for the programs alone.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use weir_testbed::layout::Layout;

use crate::{cargo, say};

/// For the compiler.
const FLAGS: [&str; 8] = [
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cforce-frame-pointers=yes",
];
/// Cargo's profile: optimised, with assertions and overflow checks.
const PROFILE: &str = "fuzz";

/// Where the built programs are.
pub(super) struct Programs(PathBuf);

impl Programs {
    /// The program of a target.
    pub(super) fn of(&self, target: &str) -> PathBuf {
        self.0.join(format!("fuzz-{target}"))
    }
}

/// Builds them, or finds that they are built.
pub(super) fn programs(layout: &Layout) -> Result<Programs> {
    let compiler = std::env::var_os("CXX").unwrap_or_else(|| "c++".into());
    let found = Command::new(&compiler).arg("--version").output();
    ensure!(
        found.is_ok_and(|output| output.status.success()),
        "libFuzzer is C++ and {} does not run: install g++ (`cargo xtask fuzz --replay` does without)",
        compiler.display()
    );
    let host = host()?;
    let target = layout.target().join("fuzz/build");
    say::timed("fuzz targets", || {
        cargo::run(
            cargo::cargo(layout)
                .args(["build", "--package", "weir-fuzz", "--bins"])
                .args(["--features", "libfuzzer,libfuzzer-sys/link_libfuzzer"])
                .args(["--profile", PROFILE, "--target", &host])
                .env("CARGO_TARGET_DIR", &target)
                .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"))
                .env_remove("RUSTFLAGS"),
        )
    })?;
    Ok(Programs(target.join(host).join(PROFILE)))
}

/// The compiler's own target.
fn host() -> Result<String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .context("cannot run rustc")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say its host")?.to_owned())
}
