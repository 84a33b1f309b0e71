//! The project's commands, `cargo xtask <command>`: one each for what a person or CI does with this repository.
//!
//! Every command builds what it needs first, so that a fresh clone works with any of them. Nothing is installed here
//! but two things that live under `target/` or in rustup: Envoy's binary and the wasm target.

mod bench;
mod cargo;
mod chaos;
mod check;
mod component;
mod flood;
mod fuzz;
mod packages;
mod run;
mod say;
mod simulate;
mod test;
mod wasm;

use std::process::ExitCode;

use anyhow::{Result, bail};
use weir_testbed::layout::Layout;

const HELP: &str = "\
cargo xtask <command>

  run [--once] [--host envoy|wasmtime|component]
        Weir end to end on this machine: the store, a simulated WeChat, Envoy with envoy.yaml, and a walk
        through it (verify the URL, follow, write, unfollow). Stays up until Ctrl-C.
        --once           end after the walk; success only if every step was right
        --host wasmtime  the local wasm host in place of Envoy
        --host component the WASI component, served by weir-serve
  test [--without-envoy] [--without-postgres] [--without-sdks] [-- <arguments for the test programs>]
        Every test, against the built module, real Envoy and PostgreSQL. The two can be told to be absent on a
        developer's machine, not where CI=true.
  check
        Formatting, clippy and documentation, warnings denied, for the host and for wasm32-wasip1.
  wasm
        Build target/weir.wasm, the module that Envoy loads.
  component [--build] [--without-sdks] [-- <arguments for the test programs>]
        Build target/weir-component.wasm, weir-component-keyvalue.wasm and weir-codec.wasm, and try them: what they import, the
        scenarios of the host tests, the codec from Rust and from Python.
        --build          only build
  bench [<arguments of weir-bench>]
        Measure; the arguments are passed on (try `cargo xtask bench --help`).
  bench store [--quick]
        Measure the store alone: what it takes in, and how long a read takes.
  fuzz TARGET|--all SECONDS [--jobs N] [--record]
        libFuzzer on a target of fuzz/ (xml, json, bounds, decrypt, query, rules, config), for so many seconds of
        processor time. Needs a C++ compiler.
        --record         write the result into fuzz/LEDGER.md
  fuzz --minimise TARGET|--all
        What was found becomes the committed corpus, as small as it goes.
  fuzz --replay
        The committed corpora, without libFuzzer; `test` does it too.
  chaos [--rounds N]
        Real Envoy, store, application and PostgreSQL: kill -9 and stalls while pushes come (200 rounds on SQLite and on
        PostgreSQL). Nothing acknowledged may be missing, nothing doubled, nobody told two things.
  flood [--pushes N]
        Wrong pushes, 1,000,000 through the wasmtime host and a tenth as many through Envoy: none may be acknowledged,
        no VM may crash. `test` sends a small share.
  simulate [--seeds N] [--from S] [--jobs J] | --seed S | --planted NAME|all
        The engine in a simulated world, 10,000 times or N: every trouble there is, drawn from a seed, on a virtual
        clock. The first seed in which something that must hold does not is printed as a timeline.
        --seed S         this seed alone
        --planted all    every planted mistake must be noticed within 1,000 seeds
  help
        This text.

Environment: ENVOY names an Envoy binary; without it one is looked for on the PATH, then fetched by pip.
";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let result = if wasm::link::is_called() {
        wasm::link::link(&arguments)
    } else {
        command(arguments)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn command(mut arguments: Vec<String>) -> Result<()> {
    if arguments.is_empty() {
        bail!("which command?\n\n{HELP}");
    }
    let layout = Layout::of_this_checkout();
    let name = arguments.remove(0);
    match name.as_str() {
        "run" => run::run(&layout, &run::Options::parse(&arguments)?),
        "test" => test::test(&layout, &test::Options::parse(&arguments)?),
        "check" => no_arguments(&name, &arguments).and_then(|()| check::check(&layout)),
        "wasm" => no_arguments(&name, &arguments).and_then(|()| wasm::build(&layout)),
        "component" => component::component(&layout, &component::Options::parse(&arguments)?),
        "bench" => bench::bench(&layout, &arguments),
        "fuzz" => fuzz::fuzz(&layout, &fuzz::Options::parse(&arguments)?),
        "chaos" => chaos::chaos(&layout, chaos::rounds(&arguments)?),
        "flood" => flood::flood(&layout, flood::pushes(&arguments)?),
        "simulate" => simulate::simulate(&layout, &arguments),
        "help" | "--help" | "-h" => {
            print!("{HELP}");
            Ok(())
        }
        other => bail!("there is no command {other:?}\n\n{HELP}"),
    }
}

fn no_arguments(command: &str, arguments: &[String]) -> Result<()> {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => bail!("{command} takes no {argument:?}\n\n{HELP}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_command_or_argument_is_refused_with_the_help_text() {
        for words in [
            &[][..],
            &["walk"],
            &["wasm", "--fast"],
            &["run", "--twice"],
            &["test", "--without-tests"],
        ] {
            let error =
                command(words.iter().map(|&word| word.to_owned()).collect()).expect_err("refused");
            assert!(
                error.to_string().contains("cargo xtask <command>"),
                "{words:?}: {error}"
            );
        }
    }
}
