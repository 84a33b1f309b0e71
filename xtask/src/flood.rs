//! `cargo xtask flood`: wrong pushes in great number, through the wasmtime host and through Envoy.

use std::process::Command;

use anyhow::{Result, bail};
use weir_testbed::envoy;
use weir_testbed::layout::Layout;

use crate::{HELP, cargo, say, wasm};

/// Through the wasmtime host, unless said otherwise.
const PUSHES: u64 = 1_000_000;
/// Through Envoy, one for so many through the host.
const ENVOY_SHARE: u64 = 10;

/// How many pushes the arguments ask for.
pub(crate) fn pushes(arguments: &[String]) -> Result<u64> {
    match arguments {
        [] => Ok(PUSHES),
        [option, number] if option == "--pushes" => match number.parse() {
            Ok(number) if number >= ENVOY_SHARE => Ok(number),
            _ => bail!("--pushes takes a number from {ENVOY_SHARE}\n\n{HELP}"),
        },
        _ => bail!("flood takes no {:?}\n\n{HELP}", arguments.join(" ")),
    }
}

/// Builds the parts and floods both.
pub(crate) fn flood(layout: &Layout, pushes: u64) -> Result<()> {
    wasm::build(layout)?;
    say::timed("programs", || {
        // The store only sees the good pushes, and the tests have it built this way.
        cargo::build_programs(layout, "dev", &["weir-store"])?;
        cargo::build_programs(layout, "release", &["weir-host-tests"])
    })?;
    let envoy = envoy::find(layout, say::note)?;
    for (gateway, pushes) in [("wasmtime", pushes), ("envoy", pushes / ENVOY_SHARE)] {
        say::timed(&format!("{pushes} wrong pushes through {gateway}"), || {
            cargo::run(
                Command::new(layout.built_program("weir-flood", "release")?)
                    .args([gateway, &pushes.to_string()])
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

    fn asked(words: &[&str]) -> Result<u64> {
        let words: Vec<_> = words.iter().map(|&word| word.to_owned()).collect();
        pushes(&words)
    }

    #[test]
    fn the_whole_figures_are_what_is_meant_without_a_word() {
        assert_eq!(asked(&[]).unwrap(), PUSHES);
        assert_eq!(asked(&["--pushes", "200"]).unwrap(), 200);
        for words in [
            &["--pushes"][..],
            &["--pushes", "5"],
            &["--pushes", "x"],
            &["5"],
        ] {
            assert!(asked(words).is_err(), "{words:?}");
        }
    }
}
