//! `weir.wasm` in the project's own host on wasmtime, in this process.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::Value;
use tokio::task::block_in_place;
use weir_host::{Host, Level, Listen, Options, Source};
use weir_testbed::bootstrap::{Bootstrap, LISTENER};

use crate::gateway::{Gateway, Setup, Update, WORKERS};

/// The wasmtime host.
pub struct InWasmtime {
    host: Host,
    address: SocketAddr,
    in_force: Bootstrap,
}

impl Gateway for InWasmtime {
    async fn start(setup: Setup) -> Result<Option<Self>> {
        block_in_place(|| {
            let mut options = Options::new(Source::Text(setup.bootstrap.json()?));
            options.workers = WORKERS as usize;
            options.env = setup.environment.into_iter().collect();
            options.base_dir = setup.dir;
            options.listen = Listen::Loopback;
            options.worker_ports = true;
            options.log_level = Level::Warn;
            let host = Host::start(options)?;
            let address = host.addr(LISTENER).context("the host has the listener")?;
            Ok(Some(Self {
                host,
                address,
                in_force: setup.bootstrap,
            }))
        })
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn metric(&self, prefix: &str) -> Result<u64> {
        let prefix = format!("wasmcustom.{prefix}");
        let stats = self.host.stats();
        let matching = stats.iter().filter(|(name, _)| name.starts_with(&prefix));
        Ok(matching.map(|(_, value)| value).sum())
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
