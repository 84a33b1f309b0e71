//! The processes that are killed, and how.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use weir_sim::Account;
use weir_testbed::bootstrap::{Bootstrap, FilterFile};
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
    /// One of Envoy's VMs crashes.
    Trap,
    /// Envoy is given another configuration of the filter.
    Reconfigure,
    /// Envoy is given another module.
    NewCode,
}

/// What they run.
pub(super) struct Programs {
    pub(super) envoy: envoy::Binary,
    pub(super) store: PathBuf,
    pub(super) app: PathBuf,
    /// With the path that crashes a VM, and without.
    pub(super) modules: [PathBuf; 2],
}

/// All of them, at addresses that stay.
pub(super) struct Parts {
    dir: PathBuf,
    programs: Programs,
    bootstrap: Bootstrap,
    /// The filter, as Envoy reads it from a file.
    filter: FilterFile,
    updates: u64,
    /// A VM has crashed since Envoy was started.
    crashed: bool,
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
        let filter = bootstrap.deliver_filter_by_file(&dir.join("filter.json"))?;
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
            filter,
            updates: 0,
            crashed: false,
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

    /// Whether gauges may have stood still with what a crashed VM had counted.
    pub(super) fn has_crashed(&self) -> bool {
        self.crashed
    }

    /// Kills a part, makes it stand still, or what else there is.
    pub(super) fn harm(&mut self, part: Part, harm: Harm) -> Result<()> {
        match harm {
            Harm::Trap => {
                self.crashed = true;
                trap(self.push_address)
            }
            Harm::Reconfigure => {
                self.updates += 1;
                let name = format!("update {}", self.updates);
                self.filter
                    .plugin(|plugin| plugin["accounts"][0]["rules"][1]["name"] = name.into())?
                    .publish()
            }
            Harm::NewCode => {
                self.updates += 1;
                let [with_trap, shipped] = &self.programs.modules;
                let module = if self.updates.is_multiple_of(2) {
                    with_trap
                } else {
                    shipped
                };
                self.filter.wasm_file(module)?.publish()
            }
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
            Harm::Trap | Harm::Reconfigure | Harm::NewCode => Ok(()),
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
                self.crashed = false;
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

/// Crashes the VM of the worker that gets the connection, if its module is one that can.
fn trap(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(START_LIMIT))?;
    stream.write_all(b"GET /weir-test/trap HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n\r\n")?;
    // Whatever it says: 503 of the crash, 404 of the module that ships.
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(())
}

fn signal(pid: u32, signal: &str) -> Result<()> {
    let status = Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()?;
    anyhow::ensure!(status.success(), "kill {signal} {pid}: {status}");
    Ok(())
}
