//! The component in `weir-serve`, a program of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde_json::Value;
use tokio::task::block_in_place;
use weir_testbed::component::{ComponentHost, Settings};

use crate::gateway::{Gateway, Setup, Update, Vms, WORKERS};

/// Set to `1` where the component is built (`cargo xtask component`). Elsewhere its scenarios are left out: the plain build is to
/// stay quick.
pub const TAKEN_IN: &str = "WEIR_COMPONENT";

/// The component's host.
#[derive(Debug)]
pub struct InComponent {
    host: ComponentHost,
    log: PathBuf,
}

impl Gateway for InComponent {
    const AHEAD: u64 = 1;

    async fn start(setup: Setup) -> Result<Option<Self>> {
        if std::env::var(TAKEN_IN).is_ok_and(|value| value == "1") {
            block_in_place(|| Self::start_now(setup)).map(Some)
        } else {
            Ok(None)
        }
    }

    fn address(&self) -> SocketAddr {
        self.host.push_address()
    }

    fn door_address(&self) -> Result<SocketAddr> {
        bail!("the component has no door")
    }

    fn web_address(&self) -> Result<SocketAddr> {
        bail!("the component has no site")
    }

    fn metric(&self, prefix: &str) -> Result<u64> {
        Ok(block_in_place(|| self.host.stats())?.weir(prefix))
    }

    fn vms(&self) -> Result<Vms> {
        let log = std::fs::read_to_string(&self.log)?;
        let crashes = log.lines().filter(|line| line.contains("has crashed"));
        Ok(Vms {
            crashes: crashes.map(str::to_owned).collect(),
            ..Vms::default()
        })
    }

    fn towards_all_workers(&self, n: u64) -> Result<Option<SocketAddr>> {
        // Each request has an engine of its own.
        Ok((n < u64::from(WORKERS)).then(|| self.address()))
    }

    async fn update(&mut self, _: impl FnOnce(&mut Value) + Send) -> Result<Update> {
        bail!("a component's configuration is its host's environment: it is started anew")
    }
}

impl InComponent {
    fn start_now(setup: Setup) -> Result<Self> {
        let Setup {
            layout,
            dir,
            bootstrap,
            environment,
        } = setup;
        let mut host = ComponentHost::start(
            &layout.built_program("weir-serve", "debug")?,
            &layout.component(),
            &Settings::of(&bootstrap)?,
            &dir,
            SocketAddr::from(([127, 0, 0, 1], 0)),
            environment,
        )?;
        let log = host.process().log().to_owned();
        Ok(Self { host, log })
    }
}
