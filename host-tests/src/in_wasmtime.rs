//! `weir.wasm` in the project's own host on wasmtime, in this process.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::task::block_in_place;
use weir_host::{Faults, Host, Level, Listen, Options, Source};
use weir_testbed::bootstrap::{Bootstrap, DOOR_LISTENER, LISTENER, WEB_LISTENER};

use crate::gateway::{Gateway, Setup, Update, Vms, WORKERS};

/// The wasmtime host.
pub struct InWasmtime {
    host: Host,
    faults: Faults,
    address: SocketAddr,
    in_force: Bootstrap,
}

impl InWasmtime {
    /// As [`Gateway::start`], with what goes wrong from the very beginning.
    ///
    /// # Errors
    /// It does not start; with the plugin's last words.
    pub fn start_with(setup: Setup, faults: Faults) -> Result<Self> {
        block_in_place(|| {
            let mut options = Options::new(Source::Text(setup.bootstrap.json()?));
            options.workers = WORKERS as usize;
            options.env = setup.environment.into_iter().collect();
            options.base_dir = setup.dir;
            options.listen = Listen::Loopback;
            options.worker_ports = true;
            options.log_level = Level::Warn;
            options.faults = Some(faults.clone());
            let host = Host::start(options)?;
            let address = host.addr(LISTENER).context("the host has the listener")?;
            Ok(Self {
                host,
                faults,
                address,
                in_force: setup.bootstrap,
            })
        })
    }

    /// What the host does wrong on request.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Makes every worker's VM crash, as a trap would.
    pub fn crash_all_workers(&self) {
        for worker in 0..WORKERS as usize {
            self.host.crash_worker(worker);
        }
    }
}

impl Gateway for InWasmtime {
    const AHEAD: u64 = 16;

    async fn start(setup: Setup) -> Result<Option<Self>> {
        Self::start_with(setup, Faults::default()).map(Some)
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn door_address(&self) -> Result<SocketAddr> {
        let address = self.host.addr(DOOR_LISTENER);
        address.context("the host runs without the door")
    }

    fn web_address(&self) -> Result<SocketAddr> {
        let address = self.host.addr(WEB_LISTENER);
        address.context("the host runs without the site")
    }

    fn metric(&self, prefix: &str) -> Result<u64> {
        let prefix = format!("wasmcustom.{prefix}");
        let stats = self.host.stats();
        let matching = stats.iter().filter(|(name, _)| name.starts_with(&prefix));
        Ok(matching.map(|(_, value)| value).sum())
    }

    fn vms(&self) -> Result<Vms> {
        let stats = self.host.stats();
        let sum = |prefix: &str, suffix: &str| {
            let matching = stats
                .iter()
                .filter(|(name, _)| name.starts_with(prefix) && name.ends_with(suffix));
            matching.map(|(_, value)| value).sum()
        };
        let crashes = self
            .host
            .logs()
            .into_iter()
            .filter(|line| line.level >= Level::Error);
        Ok(Vms {
            created: sum("wasm.", ".created"),
            reloads: sum("wasm.weir.vm_reload_", ""),
            crashes: crashes.map(|line| line.to_string()).collect(),
        })
    }

    fn towards_all_workers(&self, n: u64) -> Result<Option<SocketAddr>> {
        Ok(self.host.worker_addr(LISTENER, usize::try_from(n)?))
    }

    async fn update(&mut self, change: impl FnOnce(&mut Value) + Send) -> Result<Update> {
        let mut wanted = self.in_force.clone();
        wanted.plugin(change)?;
        let text = wanted.json()?;
        Ok(match block_in_place(|| self.host.update_config(&text)) {
            Ok(()) => {
                self.in_force = wanted;
                Update::Applied
            }
            Err(_) => Update::Rejected,
        })
    }
}
