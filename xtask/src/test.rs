//! `cargo xtask test`: every test there is, against real parts.
//!
//! The tests of the crates need nothing but cargo. The store's also run on a PostgreSQL server, which they start by
//! themselves where one is installed. The host tests need the built module, the programs and Envoy; those are made ready
//! here.

use anyhow::{Context, Result, bail, ensure};
use weir_testbed::envoy;
use weir_testbed::layout::Layout;

use crate::{HELP, cargo, packages, say, wasm};

/// Set to `1`, the store's tests on PostgreSQL are left out; its suite finds or starts a server by itself.
const WITHOUT_POSTGRES: &str = "WEIR_WITHOUT_POSTGRES";
/// Likewise the tests of the door with SDKs, which they install by themselves.
pub(crate) const WITHOUT_SDKS: &str = "WEIR_WITHOUT_SDKS";

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    without_envoy: bool,
    without_postgres: bool,
    without_sdks: bool,
    /// For the test programs: a name to filter by, `--nocapture` …
    passed_on: Vec<String>,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--without-envoy" => options.without_envoy = true,
                "--without-postgres" => options.without_postgres = true,
                "--without-sdks" => options.without_sdks = true,
                "--" => options.passed_on = arguments.by_ref().cloned().collect(),
                other => bail!("test takes no {other:?}\n\n{HELP}"),
            }
        }
        Ok(options)
    }

    /// In CI nothing may be missing: a run that skips is not a run.
    fn allowed(&self, in_ci: bool) -> Result<()> {
        ensure!(
            !(in_ci && (self.without_envoy || self.without_postgres || self.without_sdks)),
            "CI=true: tests may not be left out here"
        );
        Ok(())
    }
}

/// Builds what the tests need and runs all of them.
pub(crate) fn test(layout: &Layout, options: &Options) -> Result<()> {
    options.allowed(std::env::var("CI").is_ok_and(|value| value == "true"))?;
    wasm::build_for_tests(layout)?;
    let tests = || tests(layout);
    say::timed("tests and programs", || cargo::run(tests().arg("--no-run")))?;

    let mut command = tests();
    command.arg("--no-fail-fast");
    if options.without_envoy {
        say::loudly("Tests in real Envoy are left out (--without-envoy).");
        command.env(envoy::LEAVE_OUT, "1");
    } else {
        let envoy = say::timed("Envoy", || {
            let envoy =
                envoy::find(layout, say::note).context("tests need Envoy (or --without-envoy)")?;
            say::note(&format!("{} from {}", envoy.version, envoy.origin));
            Ok(envoy)
        })?;
        command.env("ENVOY", envoy.path);
    }

    if options.without_postgres {
        say::loudly("Tests on PostgreSQL are left out (--without-postgres).");
        command.env(WITHOUT_POSTGRES, "1");
    }
    if options.without_sdks {
        say::loudly("Tests with SDKs are left out (--without-sdks).");
        command.env(WITHOUT_SDKS, "1");
    }

    say::timed("tests", || {
        cargo::run(command.arg("--").args(&options.passed_on))
    })?;
    say::step("all tests passed");
    Ok(())
}

/// All tests, as a command to go on with.
///
/// One build for everything: with the programs built apart, shared dependencies would be compiled twice, because each set of
/// packages asks for its own set of their features.
pub(crate) fn tests(layout: &Layout) -> std::process::Command {
    let mut command = cargo::cargo(layout);
    packages::programs(command.arg("test"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Options {
        Options::parse(
            &words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>(),
        )
        .expect("understood")
    }

    #[test]
    fn nothing_may_be_left_out_in_ci() {
        for words in [
            &["--without-envoy"][..],
            &["--without-postgres"],
            &["--without-sdks"],
        ] {
            assert!(parse(words).allowed(true).is_err(), "{words:?}");
            assert!(parse(words).allowed(false).is_ok(), "{words:?}");
        }
        assert!(parse(&[]).allowed(true).is_ok());
    }

    #[test]
    fn what_follows_the_dashes_is_for_the_test_programs() {
        let options = parse(&["--without-envoy", "--", "trailers", "--without-postgres"]);
        assert!(options.without_envoy && !options.without_postgres);
        assert_eq!(options.passed_on, ["trailers", "--without-postgres"]);
    }
}
