//! `cargo xtask run`: all of Weir on this machine, and a walk through it.
//!
//! Everything binds to loopback: at the ports that `envoy.yaml` names where they are free, else at others, which is said.
//! The secrets are new at every run and stay in `target/run/account.json`, so that a person can go on as WeChat:
//! `weir-sim push` reads that file.

mod parts;

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use weir_testbed::layout::Layout;

use self::parts::Parts;
use crate::{HELP, cargo, component, say, wasm};

/// Which program runs the module.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Host {
    #[default]
    Envoy,
    Wasmtime,
    Component,
}

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    once: bool,
    host: Host,
}

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut arguments = arguments.iter().map(String::as_str);
        while let Some(argument) = arguments.next() {
            match argument {
                "--once" => options.once = true,
                "--host" => options.host = host(arguments.next())?,
                other => match other.strip_prefix("--host=") {
                    Some(name) => options.host = host(Some(name))?,
                    None => bail!("run takes no {other:?}\n\n{HELP}"),
                },
            }
        }
        Ok(options)
    }
}

fn host(name: Option<&str>) -> Result<Host> {
    match name {
        Some("envoy") => Ok(Host::Envoy),
        Some("wasmtime") => Ok(Host::Wasmtime),
        Some("component") => Ok(Host::Component),
        _ => bail!("--host is envoy, wasmtime or component\n\n{HELP}"),
    }
}

/// Builds everything, starts it, walks through it, and stays until Ctrl-C.
pub(crate) fn run(layout: &Layout, options: &Options) -> Result<()> {
    if options.host == Host::Component {
        component::build(layout)?;
    } else {
        wasm::build(layout)?;
    }
    say::timed("store and simulator", || {
        cargo::build_programs(layout, "dev", &["weir-store", "weir-sim"])
    })?;
    let gateway = parts::find_gateway(layout, options.host)?;

    static STOP: AtomicBool = AtomicBool::new(false);
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed))
        .context("cannot listen for Ctrl-C")?;

    let mut parts = say::timed("starting", || Parts::start(layout, gateway))?;
    parts.introduce();
    let right = walk(&parts)?;
    if !options.once && !STOP.load(Ordering::Relaxed) {
        if !right {
            say::loudly("Not every step was right; everything stays up so that you can look.");
        }
        parts.invite();
        while !STOP.load(Ordering::Relaxed) {
            parts.ensure_running()?;
            thread::sleep(Duration::from_millis(100));
        }
        println!();
    }
    say::timed("stopping", || parts.stop())?;
    if !right {
        bail!("not every step of the walk was right");
    }
    Ok(())
}

/// Lets the simulated WeChat do what the real one does; tells whether all of it was right.
fn walk(parts: &Parts) -> Result<bool> {
    println!();
    let status = Command::new(&parts.sim)
        .args(["walk", "--account-file"])
        .arg(&parts.account_file)
        .args(["--url", &parts.push_url()])
        .args([
            "--store",
            &parts.store_url(),
            "--api-control",
            &parts.control_url(),
        ])
        .args([
            "--scene",
            "123456",
            "--expect-follow",
            "You came by 123456.",
        ])
        .args(["--text", "hello", "--expect-text", "Hello from Weir"])
        .status()
        .context("cannot start the walk")?;
    println!();
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Options> {
        Options::parse(
            &words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn the_host_is_envoy_unless_said_otherwise() {
        let asked = |words: &[&str]| parse(words).expect("understood");
        assert_eq!(
            asked(&[]),
            Options {
                once: false,
                host: Host::Envoy
            }
        );
        assert_eq!(
            asked(&["--once", "--host", "wasmtime"]),
            Options {
                once: true,
                host: Host::Wasmtime
            }
        );
        assert_eq!(asked(&["--host=envoy"]).host, Host::Envoy);
        assert_eq!(asked(&["--host=component"]).host, Host::Component);
        assert!(parse(&["--host"]).is_err());
        assert!(parse(&["--host", "nginx"]).is_err());
    }
}
