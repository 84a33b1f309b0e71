//! What a scenario may ask of the program that runs `weir.wasm`.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;
use weir_testbed::bootstrap::Bootstrap;
use weir_testbed::layout::Layout;

/// Worker threads, or VMs, of every gateway under test. Two is what it takes to find out what they do not share.
pub const WORKERS: u32 = 2;

/// What a gateway is started with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The checkout.
    pub layout: Layout,
    /// An empty directory for the gateway's files.
    pub dir: PathBuf,
    /// `envoy.yaml`, pointing at this world's store and API; the addresses it binds to are the gateway's to choose.
    pub bootstrap: Bootstrap,
    /// The secrets that the plugin's configuration names.
    pub environment: Vec<(String, String)>,
}

/// What became of an update of the plugin's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// New pushes see the new configuration.
    Applied,
    /// The old one goes on serving.
    Rejected,
}

/// What a gateway tells of its VMs since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vms {
    /// VMs made: for each worker, for the main thread, and again after a crash.
    pub created: u64,
    /// Times that one was to be replaced after a crash, whether that worked or not.
    pub reloads: u64,
    /// Lines of the log that speak of a crash.
    pub crashes: Vec<String>,
}

/// A program that runs `weir.wasm` with [`WORKERS`] workers. Dropping it ends it.
pub trait Gateway: Sized + Send + Sync + 'static {
    /// Requests that may be sent over one connection before the first is answered.
    const AHEAD: u64;

    /// Starts it and waits until it serves; `None` where this kind is left out of a run on purpose.
    fn start(setup: Setup) -> impl Future<Output = Result<Option<Self>>> + Send;

    /// Where pushes go.
    fn address(&self) -> SocketAddr;

    /// Where applications call WeChat's API.
    ///
    /// # Errors
    /// It runs without the door.
    fn door_address(&self) -> Result<SocketAddr>;

    /// Where browsers and mini programs come.
    ///
    /// # Errors
    /// It runs without the site.
    fn web_address(&self) -> Result<SocketAddr>;

    /// The sum of Weir's counters and gauges whose names start with `prefix`, say `weir.dedup_hits.`. What
    /// happened a moment ago may not be in it yet.
    ///
    /// # Errors
    /// The gateway does not answer.
    fn metric(&self, prefix: &str) -> Result<u64>;

    /// What became of the VMs so far.
    ///
    /// # Errors
    /// The gateway does not answer.
    fn vms(&self) -> Result<Vms>;

    /// Where to send the `n`th request (from 0), each over a connection of its own, so that every worker gets one;
    /// `None` once each has.
    ///
    /// # Errors
    /// The gateway does not answer.
    fn towards_all_workers(&self, n: u64) -> Result<Option<SocketAddr>>;

    /// Replaces the plugin's configuration while the gateway serves, and waits for the verdict. A change that was
    /// rejected is forgotten: the next one starts from what is in force.
    fn update(
        &mut self,
        change: impl FnOnce(&mut Value) + Send,
    ) -> impl Future<Output = Result<Update>> + Send;
}
