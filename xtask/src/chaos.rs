//! `cargo xtask chaos`: kills and stalls of real processes, on each database of the store.

use std::process::Command;

use anyhow::{Context, Result, bail};
use weir_testbed::envoy;
use weir_testbed::layout::Layout;

use crate::{HELP, cargo, say, wasm};

/// Rounds on each database, unless said otherwise.
const ROUNDS: u64 = 200;

/// How many rounds the arguments ask for.
pub(crate) fn rounds(arguments: &[String]) -> Result<u64> {
    match arguments {
        [] => Ok(ROUNDS),
        [option, number] if option == "--rounds" => number
            .parse()
            .with_context(|| format!("--rounds takes a number\n\n{HELP}")),
        _ => bail!("chaos takes no {:?}\n\n{HELP}", arguments.join(" ")),
    }
}

/// Builds the parts and lets it loose.
pub(crate) fn chaos(layout: &Layout, rounds: u64) -> Result<()> {
    wasm::build_for_tests(layout)?;
    say::timed("programs", || {
        cargo::build_programs(layout, "release", &["weir-store", "weir-host-tests"])
    })?;
    let envoy = envoy::find(layout, say::note)?;
    for database in ["sqlite", "postgres"] {
        say::timed(&format!("{rounds} rounds of chaos on {database}"), || {
            cargo::run(
                Command::new(layout.built_program("weir-chaos", "release")?)
                    .args([database, &rounds.to_string()])
                    .env("ENVOY", &envoy.path)
                    .current_dir(layout.root()),
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hundred_rounds_are_meant_without_a_word() {
        let asked = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
            rounds(&words)
        };
        assert_eq!(asked(&[]).unwrap(), ROUNDS);
        assert_eq!(asked(&["--rounds", "7"]).unwrap(), 7);
        for words in [&["--rounds"][..], &["--rounds", "x"], &["7"]] {
            assert!(asked(words).is_err(), "{words:?}");
        }
    }
}
