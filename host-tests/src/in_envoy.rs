//! `weir.wasm` in real Envoy, its filter delivered by file so that it can be updated.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::task::block_in_place;
use weir_testbed::bootstrap::{DOOR_LISTENER, FilterFile, WEB_LISTENER};
use weir_testbed::envoy::{self, Envoy, Options};
use weir_testbed::process::wait_until;

use crate::gateway::{Gateway, Setup, Update, Vms, WORKERS};

/// How long Envoy may take to notice a file, compile and decide.
const UPDATE_LIMIT: Duration = Duration::from_secs(30);

/// Real Envoy.
#[derive(Debug)]
pub struct InEnvoy {
    envoy: Envoy,
    address: SocketAddr,
    filter: FilterFile,
    log: PathBuf,
}

impl InEnvoy {
    /// What the admin door says about everything.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub fn dump(&self) -> Result<String> {
        let pages = [
            "/config_dump",
            "/stats",
            "/clusters",
            "/server_info",
            "/runtime",
        ];
        block_in_place(|| pages.iter().map(|page| self.envoy.get(page)).collect())
    }

    /// What it wrote: its log, its access log.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn log(&self) -> Result<String> {
        let files = [self.log.clone(), self.log.with_extension("out")];
        let texts: std::io::Result<Vec<_>> = files.iter().map(std::fs::read_to_string).collect();
        Ok(texts?.concat())
    }
}

impl Gateway for InEnvoy {
    // With more, it takes answers that it makes by itself for a flood ("too many responses queued").
    const AHEAD: u64 = 1;

    async fn start(mut setup: Setup) -> Result<Option<Self>> {
        block_in_place(|| {
            let Some(binary) = envoy::for_tests(&setup.layout)? else {
                return Ok(None);
            };
            let bootstrap = &mut setup.bootstrap;
            bootstrap.bind_to_any_loopback_port()?;
            let filter = bootstrap.deliver_filter_by_file(&setup.dir.join("filter.json"))?;
            let options = Options {
                concurrency: WORKERS,
                environment: setup.environment,
                ..Options::default()
            };
            let mut envoy = Envoy::start(&binary, bootstrap, &setup.dir, &options)?;
            let address = envoy.push_address()?;
            let log = envoy.process().log().to_owned();
            Ok(Some(Self {
                log,
                envoy,
                address,
                filter,
            }))
        })
    }

    fn address(&self) -> SocketAddr {
        self.address
    }

    fn door_address(&self) -> Result<SocketAddr> {
        self.envoy.listener(DOOR_LISTENER)
    }

    fn web_address(&self) -> Result<SocketAddr> {
        self.envoy.listener(WEB_LISTENER)
    }

    fn metric(&self, prefix: &str) -> Result<u64> {
        Ok(block_in_place(|| self.envoy.stats())?.weir(prefix))
    }

    fn vms(&self) -> Result<Vms> {
        let stats = block_in_place(|| self.envoy.stats())?;
        let created = stats
            .matching("wasm.")
            .filter(|(name, _)| name.ends_with(".created"));
        let reloads = stats.matching("wasm.weir.vm_reload_");
        let log = std::fs::read_to_string(&self.log)?;
        // What Envoy says of a callback that trapped, and Rust of a panic.
        let crashes = log.lines().filter(|line| {
            ["Uncaught RuntimeError", "panicked at"]
                .iter()
                .any(|sign| line.contains(sign))
        });
        Ok(Vms {
            created: created.map(|(_, value)| value).sum(),
            reloads: reloads.map(|(_, value)| value).sum(),
            crashes: crashes.map(str::to_owned).collect(),
        })
    }

    fn towards_all_workers(&self, _: u64) -> Result<Option<SocketAddr>> {
        // Envoy alone decides which worker gets a connection; it tells how many each one had.
        let stats = block_in_place(|| self.envoy.stats())?;
        let used = stats
            .matching("listener.weir_push.worker_")
            .filter(|(name, connections)| {
                name.ends_with(".downstream_cx_total") && *connections > 0
            })
            .count();
        Ok((used < WORKERS as usize).then_some(self.address))
    }

    async fn update(&mut self, change: impl FnOnce(&mut Value) + Send) -> Result<Update> {
        block_in_place(|| {
            let verdicts = || -> Result<[u64; 2]> {
                let stats = self.envoy.stats()?;
                Ok(["update_success", "update_rejected"].map(|name| {
                    stats.get(&format!(
                        "extension_config_discovery.http_filter.weir.{name}"
                    ))
                }))
            };
            let before = verdicts()?;
            let in_force = self.filter.clone();
            self.filter.plugin(change)?.publish()?;
            let verdict = wait_until("Envoy's verdict on the update", UPDATE_LIMIT, || {
                let now = verdicts()?;
                Ok(match (now[0] > before[0], now[1] > before[1]) {
                    (true, _) => Some(Update::Applied),
                    (_, true) => Some(Update::Rejected),
                    _ => None,
                })
            })?;
            if verdict == Update::Rejected {
                self.filter.take_back(&in_force);
            }
            Ok(verdict)
        })
    }
}
