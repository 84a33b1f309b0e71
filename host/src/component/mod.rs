//! Weir as a WASI component, served (feature `component`).
//!
//! ```text
//!  connections ─▶ server ─▶ instances, one request each at a time ─▶ outgoing (connections are kept)
//!                               └─▶ Table, Metrics: what they share
//! ```
//!
//! | module | holds |
//! |--------|-------|
//! | `server` | the listener, and which instance gets a request |
//! | `instance` | what an instance is made of and may do |
//! | `outgoing` | where calls go |
//! | `joined` | what goes to the store, of several instances in one call |
//! | `table` | `weir:state/table` |
//!
//! # Bounds
//! At most [`Options::instances`] requests at a time, what follows from them included; whoever comes then is told to come
//! again. An instance is used for [`REUSE`](server) requests, then made anew.

mod instance;
mod joined;
mod outgoing;
mod server;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;

pub use self::outgoing::Way;
pub use self::server::Server;

/// What is served, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// The component.
    pub component: PathBuf,
    /// What an instance finds in its environment: `WEIR_CONFIG`, and the secrets that it names.
    pub environment: Vec<(String, String)>,
    /// Where pushes come.
    pub listen: SocketAddr,
    /// Where metrics are shown.
    pub admin: Option<SocketAddr>,
    /// Names that are found elsewhere than DNS says.
    pub ways: Vec<Way>,
    /// Authorities beside the usual ones, PEM files.
    pub trusted_ca: Vec<PathBuf>,
    /// Most requests at a time.
    pub instances: usize,
    /// The most that goes to the store in one call.
    pub batch: Batch,
}

/// The most that goes to the store in one call: the configuration's `batch_max_events` and `batch_max_bytes`.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    /// Events.
    pub events: usize,
    /// Bytes; one larger event goes alone.
    pub bytes: usize,
}

impl Default for Batch {
    /// What the configuration means where it does not say.
    fn default() -> Self {
        Self {
            events: 500,
            bytes: 1 << 20,
        }
    }
}

/// Why it is not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The component cannot be used.
    #[error("the component: {0:#}")]
    Component(wasmtime::Error),
    /// It refuses its configuration, for each of these reasons.
    #[error("the configuration is refused:\n  {}", .0.join("\n  "))]
    Refused(Vec<String>),
    /// A certificate cannot be used.
    #[error("{path}: {why}", path = .0.display(), why = .1)]
    Certificate(PathBuf, String),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
