//! The store and the simulator as programs of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::bootstrap::{Bootstrap, LISTENER};
use crate::process::Process;

/// How long a program may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running store, ended when this is dropped.
#[derive(Debug)]
pub struct Store {
    process: Process,
    address: SocketAddr,
}

impl Store {
    /// Starts the program on the SQLite file `store.db` in `dir`, which is kept from an earlier start; port 0 picks a
    /// free one.
    ///
    /// # Errors
    /// It cannot be started or does not listen; the message quotes its log.
    pub fn start(program: &Path, dir: &Path, listen: SocketAddr) -> Result<Self> {
        Self::start_with(program, dir, listen, &[])
    }

    /// The same, with these environment variables beside ours.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(
        program: &Path,
        dir: &Path,
        listen: SocketAddr,
        environment: &[(String, String)],
    ) -> Result<Self> {
        let database = format!("sqlite:{}", dir.join("store.db").display());
        let mut command = Command::new(program);
        command
            .args(["--listen", &listen.to_string(), "--database", &database])
            .envs(environment.iter().cloned())
            .current_dir(dir);
        let mut process = Process::start("store", command, dir)?;
        let address = process.wait_for_line("its address", START_LIMIT, address_in)?;
        Ok(Self { process, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process, for its pid and its files.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Kills it: nothing of it is ended in order.
    ///
    /// # Errors
    /// The system refused.
    pub fn kill(self) -> Result<()> {
        self.process.kill()
    }

    /// Ends it in order: what it was given is on disk.
    ///
    /// # Errors
    /// It did not end in order.
    pub fn stop(self) -> Result<()> {
        let status = self.process.stop()?;
        ensure!(status.success(), "the store ended with {status}");
        Ok(())
    }
}

/// A running `weir-sim api` over TLS, ended when this is dropped.
#[derive(Debug)]
pub struct Api {
    process: Process,
    address: SocketAddr,
    control: SocketAddr,
    ca: PathBuf,
}

impl Api {
    /// Starts the program for the accounts in `accounts`, on free ports, with a fresh authority whose certificate is
    /// written to `ca.pem` in `dir`.
    ///
    /// # Errors
    /// It cannot be started or does not listen; the message quotes its log.
    pub fn start(program: &Path, dir: &Path, accounts: &Path) -> Result<Self> {
        let ca = dir.join("ca.pem");
        let mut command = Command::new(program);
        command.args([
            "api",
            "--listen",
            "127.0.0.1:0",
            "--control",
            "127.0.0.1:0",
            "--tls",
        ]);
        command
            .arg("--ca-out")
            .arg(&ca)
            .arg("--account-file")
            .arg(accounts);
        let mut process = Process::start("api", command, dir)?;
        let ready = |line: &str| {
            let address = |name: &str| {
                line.split_whitespace()
                    .find_map(|word| word.strip_prefix(name)?.parse().ok())
            };
            Some((address("api=https://")?, address("control=http://")?))
        };
        let (address, control) = process.wait_for_line("its addresses", START_LIMIT, ready)?;
        Ok(Self {
            process,
            address,
            control,
            ca,
        })
    }

    /// Where the API listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its control API listens, plain HTTP.
    #[must_use]
    pub fn control(&self) -> SocketAddr {
        self.control
    }

    /// The certificate to trust, PEM.
    #[must_use]
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// The process, for its pid and its files.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// A running `weir-host`, the wasmtime host, ended when this is dropped.
#[derive(Debug)]
pub struct WasmHost {
    process: Process,
    push: SocketAddr,
}

impl WasmHost {
    /// Writes `bootstrap` to `host.json` in `dir` and starts the program on it.
    ///
    /// # Errors
    /// It cannot be started or does not listen; the message quotes its log.
    pub fn start(
        program: &Path,
        bootstrap: &Bootstrap,
        dir: &Path,
        environment: Vec<(String, String)>,
    ) -> Result<Self> {
        let config = dir.join("host.json");
        bootstrap.write(&config)?;
        let mut command = Command::new(program);
        command
            .arg("--config")
            .arg(&config)
            .envs(environment)
            .current_dir(dir);
        let mut process = Process::start("host", command, dir)?;
        process.wait_for_line("being ready", START_LIMIT, |line| {
            (line == "ready").then_some(())
        })?;
        // It names its listeners before that.
        let listener = format!("listener {LISTENER} ");
        let push = process.wait_for_line("its address", START_LIMIT, |line| {
            line.strip_prefix(&listener)?.parse().ok()
        })?;
        Ok(Self { process, push })
    }

    /// Where pushes go.
    #[must_use]
    pub fn push_address(&self) -> SocketAddr {
        self.push
    }

    /// The process, for its pid and its files.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// The address in a line such as `listening on http://127.0.0.1:8090`.
fn address_in(line: &str) -> Option<SocketAddr> {
    line.split("http://")
        .nth(1)?
        .split(['/', ' '])
        .next()?
        .parse()
        .ok()
}
