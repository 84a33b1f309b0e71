//! `cargo xtask component`: Weir as a WASI component, built and tried. A step of its own, since it takes a wasmtime with the
//! component model, which nothing else needs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use weir_testbed::layout::Layout;

use crate::cargo::{self, COMPONENT_TARGET};
use crate::{HELP, say, test, wasm};

/// The largest component allowed, in bytes.
const MAX_BYTES: u64 = 1_000_000;
/// The cargo profile: a component has room, and what it does runs per push.
const PROFILE: &str = "door";
/// The scenarios of the component are taken in.
const TAKEN_IN: &str = "WEIR_COMPONENT";

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    only_build: bool,
    without_sdks: bool,
    /// For the test programs.
    passed_on: Vec<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--build" => options.only_build = true,
                "--without-sdks" => options.without_sdks = true,
                "--" => options.passed_on = arguments.by_ref().cloned().collect(),
                other => bail!("component takes no {other:?}\n\n{HELP}"),
            }
        }
        Ok(options)
    }
}

/// Builds the components, and tries them.
pub(crate) fn component(layout: &Layout, options: &Options) -> Result<()> {
    build(layout)?;
    if options.only_build {
        return Ok(());
    }
    say::timed("clippy for the components' target", || {
        cargo::run(
            cargo::cargo(layout)
                .args(["clippy", "--package", "weir-component"])
                .args(["--package", "weir-codec", "--target", COMPONENT_TARGET])
                .args(["--", "-D", "warnings"]),
        )
    })?;
    let selected = |command: &str| {
        let mut cargo = cargo::cargo(layout);
        cargo.arg(command).args(PACKAGES);
        cargo
    };
    say::timed("clippy for the components' host", || {
        cargo::run(selected("clippy").args(["--all-targets", "--", "-D", "warnings"]))
    })?;
    say::timed("tests of the components", || {
        let mut command = selected("test");
        command.args(["--no-fail-fast", "--", "component::"]);
        command.args(&options.passed_on);
        if options.without_sdks {
            say::loudly("The test in Python is left out (--without-sdks).");
            command.env(test::WITHOUT_SDKS, "1");
        }
        cargo::run(&mut command)
    })?;
    build_hosts(layout, "dev", &["weir-serve"])?;
    // In the build that `test` has made: the scenarios speak to weir-serve, they do not link it.
    say::timed("scenarios", || {
        let mut command = test::tests(layout);
        command.args(["--no-fail-fast", "--", "component::"]);
        cargo::run(command.args(&options.passed_on).env(TAKEN_IN, "1"))
    })
}

/// One selection for everything: another one would have another set of features, and wasmtime compiled anew.
const PACKAGES: [&str; 6] = [
    "--package",
    "weir-component-tests",
    "--package",
    "weir-host",
    "--features",
    "weir-host/component",
];

/// Builds the components.
pub(crate) fn build(layout: &Layout) -> Result<()> {
    cargo::ensure_target(layout, COMPONENT_TARGET)?;
    for (package, features, path) in [
        ("weir-codec", "", layout.codec()),
        ("weir-component", "keyvalue", layout.component_keyvalue()),
        ("weir-component", "", layout.component()),
    ] {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        say::timed(&name, || build_one(layout, package, features, &path))?;
    }
    Ok(())
}

/// Builds programs of the hosts in a profile (`dev` or `release`): what serves the component, or also `weir-host`.
pub(crate) fn build_hosts(layout: &Layout, profile: &str, programs: &[&str]) -> Result<()> {
    let mut build = cargo::cargo(layout);
    build.args(["build", "--profile", profile]).args(PACKAGES);
    for program in programs {
        build.args(["--bin", program]);
    }
    cargo::run(&mut build)
}

fn build_one(layout: &Layout, package: &str, features: &str, path: &Path) -> Result<()> {
    cargo::run(
        cargo::cargo(layout)
            .args(["build", "--profile", PROFILE, "--target", COMPONENT_TARGET])
            .args(["--package", package, "--features", features])
            .env_remove("RUSTFLAGS")
            .env("CARGO_ENCODED_RUSTFLAGS", wasm::remapped_paths(layout)?),
    )?;
    let compiled = layout
        .target()
        .join(COMPONENT_TARGET)
        .join(PROFILE)
        .join(format!("{}.wasm", package.replace('-', "_")));
    let bytes = fs::metadata(&compiled)
        .with_context(|| format!("cannot read {}", compiled.display()))?
        .len();
    ensure!(
        bytes <= MAX_BYTES,
        "the component has {bytes} bytes, {MAX_BYTES} are allowed"
    );
    // Renamed into place: a host that is running may be reading the old one.
    let beside = path.with_extension("new");
    fs::copy(&compiled, &beside)?;
    fs::rename(&beside, path)?;
    say::note(&format!(
        "{}: {bytes} bytes of at most {MAX_BYTES}",
        path.display()
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_dashes_is_for_the_test_programs() {
        let words = ["--without-sdks", "--", "copies", "--build"].map(str::to_owned);
        let options = Options::parse(&words).expect("understood");
        assert!(options.without_sdks && !options.only_build);
        assert_eq!(options.passed_on, ["copies", "--build"]);
        assert!(Options::parse(&["--fast".to_owned()]).is_err());
    }
}
