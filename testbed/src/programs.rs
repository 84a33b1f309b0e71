//! The store and the simulator as programs of their own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

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
        let database = format!("sqlite:{}", dir.join("store.db").display());
        let mut command = Command::new(program);
        command
            .args(["--listen", &listen.to_string(), "--database", &database])
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
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
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

/// The address in a line such as `listening on http://127.0.0.1:8090`.
fn address_in(line: &str) -> Option<SocketAddr> {
    line.split("http://")
        .nth(1)?
        .split(['/', ' '])
        .next()?
        .parse()
        .ok()
}
