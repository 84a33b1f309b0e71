//! The linker of the plugin, with the SDK's callbacks left out.
//!
//! The SDK exports every callback of the ABI, and with them comes its dispatcher: 31 kB, a third of the imports, and panics on
//! what it does not expect. The plugin has its own callbacks, so the linker is told to export those alone, and drops
//! the rest by itself. rustc has no option for that: it calls this program as its linker, which calls the real one.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::interface::CALLBACK_PREFIX;
use crate::cargo;

/// Set in the environment when this program is called as a linker.
const MARK: &str = "WEIR_XTASK_IS_LINKER";
/// The one function of the SDK with such a name that is no callback: memory for what hostcalls return.
const ALLOCATOR: &str = "proxy_on_memory_allocate";

/// Has the plugin linked by this program.
pub(super) fn configure(cargo: &mut Command) -> Result<&mut Command> {
    let this = std::env::current_exe().context("where is this program?")?;
    Ok(cargo
        .env("CARGO_TARGET_WASM32_WASIP1_LINKER", this)
        .env(MARK, "1"))
}

/// Whether this program was called as a linker.
pub(crate) fn is_called() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Links.
pub(crate) fn link(arguments: &[String]) -> Result<()> {
    let mut linker = Command::new(real_linker()?);
    if arguments.first().is_none_or(|first| first != "-flavor") {
        linker.args(["-flavor", "wasm"]);
    }
    cargo::run(linker.args(kept(arguments)))
}

/// The arguments without the exports that nobody calls. An export is one argument (`--export=name`) or two.
fn kept(arguments: &[String]) -> Vec<&String> {
    let mut kept: Vec<&String> = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let name = argument.strip_prefix("--export=").unwrap_or(argument);
        if name.starts_with(CALLBACK_PREFIX) && name != ALLOCATOR {
            if name == argument {
                kept.pop_if(|before| *before == "--export");
            }
        } else {
            kept.push(argument);
        }
    }
    kept
}

/// rustup's own.
fn real_linker() -> Result<PathBuf> {
    let ask = |what: &[&str]| -> Result<String> {
        let output = Command::new("rustc").args(what).output()?;
        Ok(String::from_utf8(output.stdout)?)
    };
    let sysroot = ask(&["--print", "sysroot"]).context("cannot run rustc")?;
    let version = ask(&["-vV"])?;
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc does not say what it runs on")?;
    let linker = ["lib/rustlib", host, "bin/rust-lld"]
        .iter()
        .fold(PathBuf::from(sysroot.trim()), |path, part| path.join(part));
    Ok(if linker.exists() {
        linker
    } else {
        "rust-lld".into()
    })
}

#[cfg(test)]
mod tests {
    use super::kept;

    #[test]
    fn the_sdks_callbacks_alone_are_left_out() {
        let given = [
            "-flavor",
            "wasm",
            "--export=proxy_on_log",
            "--export",
            "proxy_on_tick",
            "--export=proxy_on_memory_allocate",
            "--export",
            "weir_on_tick",
            "--export=proxy_abi_version_0_2_1",
            "a.o",
        ]
        .map(str::to_owned);
        assert_eq!(
            kept(&given),
            [
                "-flavor",
                "wasm",
                "--export=proxy_on_memory_allocate",
                "--export",
                "weir_on_tick",
                "--export=proxy_abi_version_0_2_1",
                "a.o",
            ]
        );
    }
}
