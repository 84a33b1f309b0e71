//! The processes that are killed, and how.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use weir_sim::Account;
use weir_testbed::bootstrap::Bootstrap;
use weir_testbed::envoy::{self, Envoy, Options};
use weir_testbed::process::Process;

use super::app::App;
use crate::gateway::WORKERS;

/// How long a program may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Something that can be killed and started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Part {
    Store,
    App,
    Envoy,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Harm {
    /// `kill -9`, and a new start a while later.
    Kill,
    /// `kill -STOP`, and `-CONT` a while later.
    Stall,
}

/// What they run.
pub(super) struct Programs {
    pub(super) envoy: envoy::Binary,
    pub(super) store: PathBuf,
    pub(super) app: PathBuf,
}

/// All of them, at addresses that stay.
pub(super) struct Parts {
    dir: PathBuf,
    programs: Programs,
    bootstrap: Bootstrap,
    environment: Vec<(String, String)>,
    database: String,
    store: Option<Process>,
    pub(super) store_address: SocketAddr,
    app: Option<App>,
    app_address: SocketAddr,
    envoy: Option<Envoy>,
    pub(super) push_address: SocketAddr,
}

impl Parts {
    /// Starts everything. `bootstrap` points at the API already.
    pub(super) fn start(
        programs: Programs,
        dir: PathBuf,
        mut bootstrap: Bootstrap,
        account: &Account,
        database: String,
    ) -> Result<Self> {
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let store = start_store(&programs.store, &dir, &database, any)?;
        let app = App::start(&programs.app, &dir, any)?;
        let push_address = free_port()?;
        bootstrap
            .endpoint(weir_testbed::bootstrap::STORE, store.1)?
            .endpoint("app", app.address)?
            .bind_to_any_loopback_port()?
            .listener(weir_testbed::bootstrap::LISTENER, push_address)?;
        let environment = [
            ("WEIR_DEMO_TOKEN", &account.token),
            ("WEIR_DEMO_AES_KEY", &account.encoding_aes_key),
            ("WEIR_DEMO_APP_SECRET", &account.secret),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .to_vec();
        let mut parts = Self {
            dir,
            programs,
            bootstrap,
            environment,
            database,
            store: Some(store.0),
            store_address: store.1,
            app_address: app.address,
            app: Some(app),
            envoy: None,
            push_address,
        };
        parts.up(Part::Envoy)?;
        Ok(parts)
    }

    /// Weir's metrics whose names start with `prefix`.
    pub(super) fn metric(&self, prefix: &str) -> Result<u64> {
        let envoy = self.envoy.as_ref().context("Envoy is down")?;
        Ok(envoy.stats()?.weir(prefix))
    }

    /// Kills a part, or makes it stand still.
    pub(super) fn harm(&mut self, part: Part, harm: Harm) -> Result<()> {
        match harm {
            Harm::Stall => signal(self.pid(part)?, "-STOP"),
            Harm::Kill => {
                signal(self.pid(part)?, "-KILL")?;
                // What is left is to be reaped.
                match part {
                    Part::Store => drop(self.store.take()),
                    Part::App => drop(self.app.take()),
                    Part::Envoy => drop(self.envoy.take()),
                }
                Ok(())
            }
        }
    }

    /// Makes it good again.
    pub(super) fn heal(&mut self, part: Part, harm: Harm) -> Result<()> {
        match harm {
            Harm::Stall => signal(self.pid(part)?, "-CONT"),
            Harm::Kill => self.up(part),
        }
    }

    fn up(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Store => {
                let (store, dir) = (&self.programs.store, &self.dir);
                let (process, _) = start_store(store, dir, &self.database, self.store_address)?;
                self.store = Some(process);
            }
            Part::App => {
                let program = &self.programs.app;
                self.app = Some(App::start(program, &self.dir, self.app_address)?);
            }
            Part::Envoy => {
                // An older one's must not be taken for the new one's.
                let _ = std::fs::remove_file(self.dir.join("admin.address"));
                let options = Options {
                    concurrency: WORKERS,
                    environment: self.environment.clone(),
                    ..Options::default()
                };
                let (binary, dir) = (&self.programs.envoy, &self.dir);
                self.envoy = Some(Envoy::start(binary, &self.bootstrap, dir, &options)?);
            }
        }
        Ok(())
    }

    fn pid(&mut self, part: Part) -> Result<u32> {
        let pid = match part {
            Part::Store => self.store.as_ref().map(Process::pid),
            Part::App => self.app.as_ref().map(|app| app.process.pid()),
            Part::Envoy => self.envoy.as_mut().map(|envoy| envoy.process().pid()),
        };
        pid.with_context(|| format!("{part:?} is down already"))
    }
}

fn start_store(
    program: &Path,
    dir: &Path,
    database: &str,
    listen: SocketAddr,
) -> Result<(Process, SocketAddr)> {
    let mut command = Command::new(program);
    command
        .args(["--listen", &listen.to_string(), "--database", database])
        .current_dir(dir);
    let mut process = Process::start("store", command, dir)?;
    let address = process.wait_for_line("its address", START_LIMIT, |line| {
        line.split_whitespace()
            .find_map(|word| word.trim_start_matches("http://").parse().ok())
    })?;
    Ok((process, address))
}

/// An address that nobody has right now. Envoy takes it again after each kill.
fn free_port() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?)
}

fn signal(pid: u32, signal: &str) -> Result<()> {
    let status = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()?;
    anyhow::ensure!(status.success(), "kill {signal} {pid}: {status}");
    Ok(())
}
