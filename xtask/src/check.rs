//! `cargo xtask check`: what a reviewer should not have to look for.

use std::process::Command;

use anyhow::Result;
use weir_testbed::layout::Layout;

use crate::cargo::{self, WASM_TARGET};
use crate::say;

/// Formatting, lints and documentation; every warning is an error. The shell script is looked at where shellcheck is
/// installed.
pub(crate) fn check(layout: &Layout) -> Result<()> {
    say::timed("formatting", || {
        cargo::run(cargo::cargo(layout).args(["fmt", "--all", "--check"]))
    })?;
    if Command::new("shellcheck").arg("--version").output().is_ok() {
        say::timed("shellcheck", || {
            cargo::run(
                Command::new("shellcheck")
                    .arg(".ci/run")
                    .current_dir(layout.root()),
            )
        })?;
    } else {
        say::note("no shellcheck on this machine: .ci/run is not looked at");
    }
    say::timed("clippy", || {
        cargo::run(
            cargo::cargo(layout)
                .args([
                    "clippy",
                    "--workspace",
                    "--exclude",
                    "weir-plugin",
                    "--exclude",
                    "weir-door-plugin",
                    "--exclude",
                    "weir-login-plugin",
                    "--exclude",
                    "weir-component",
                    "--exclude",
                    "weir-codec",
                    "--exclude",
                    "weir-component-tests",
                    "--all-targets",
                ])
                .args(["--", "-D", "warnings"]),
        )
    })?;
    say::timed("clippy for the fuzzer's programs", || {
        cargo::run(
            cargo::cargo(layout)
                .args(["clippy", "--package", "weir-fuzz", "--bins"])
                // libFuzzer itself is left out: it would need a C++ compiler.
                .args(["--features", "libfuzzer"])
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
                    "--package",
                    "weir-door-plugin",
                    "--package",
                    "weir-login-plugin",
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
                    "--exclude",
                    "weir-component",
                    "--exclude",
                    "weir-codec",
                    "--exclude",
                    "weir-component-tests",
                    "--no-deps",
                    "--document-private-items",
                ])
                // Private items are documented too, so public text may point at them.
                .env(
                    "RUSTDOCFLAGS",
                    "-D warnings -A rustdoc::private_intra_doc_links",
                ),
        )
    })
}
