//! `cargo xtask check`: what a reviewer should not have to look for.

use anyhow::Result;
use weir_testbed::layout::Layout;

use crate::cargo::{self, WASM_TARGET};
use crate::say;

/// Formatting, lints and documentation; every warning is an error.
pub(crate) fn check(layout: &Layout) -> Result<()> {
    say::timed("formatting", || {
        cargo::run(cargo::cargo(layout).args(["fmt", "--all", "--check"]))
    })?;
    say::timed("clippy", || {
        cargo::run(
            cargo::cargo(layout)
                .args([
                    "clippy",
                    "--workspace",
                    "--exclude",
                    "weir-plugin",
                    "--all-targets",
                ])
                .args(["--", "-D", "warnings"]),
        )
    })?;
    say::timed("clippy for the plugin's target", || {
        cargo::ensure_wasm_target(layout)?;
        cargo::run(
            cargo::cargo(layout)
                .args([
                    "clippy",
                    "--package",
                    "weir-plugin",
                    "--target",
                    WASM_TARGET,
                ])
                .args(["--", "-D", "warnings"]),
        )
    })?;
    say::timed("documentation", || {
        cargo::run(
            cargo::cargo(layout)
                .args([
                    "doc",
                    "--workspace",
                    "--no-deps",
                    "--document-private-items",
                ])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    })
}
