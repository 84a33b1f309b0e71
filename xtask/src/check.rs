//! `cargo xtask check`: what a reviewer should not have to look for.

use std::process::Command;

use anyhow::Result;
use weir_testbed::layout::Layout;

use crate::cargo::{self, WASM_TARGET};
use crate::{packages, say};

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
        let mut clippy = cargo::cargo(layout);
        packages::programs(clippy.arg("clippy")).args(["--all-targets", "--", "-D", "warnings"]);
        cargo::run(&mut clippy)
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
        let mut clippy = cargo::cargo(layout);
        packages::modules(clippy.arg("clippy"));
        cargo::run(clippy.args(["--target", WASM_TARGET, "--", "-D", "warnings"]))
    })?;
    say::timed("documentation", || {
        let mut doc = cargo::cargo(layout);
        packages::documented(doc.arg("doc")).args(["--no-deps", "--document-private-items"]);
        // Private items are documented too, so public text may point at them.
        let flags = "-D warnings -A rustdoc::private_intra_doc_links";
        cargo::run(doc.env("RUSTDOCFLAGS", flags))
    })
}
