//! A faithful proxy-wasm host (ABI 0.2.1) on wasmtime: the shipped `weir.wasm`, under the shipped `envoy.yaml`,
//! without Envoy.
//!
//! It exists so that the plugin can be run and tested where no Envoy is at hand, and so that what Envoy does rarely
//! can be made to happen: a crashed worker, a copy of a push on another worker, an update under load. To be worth
//! anything it must behave as Envoy does where that bites, so its rules are taken from Envoy's sources and checked
//! against a real one.
//!
//! ```text
//!  front ── connections ──▶ worker 0 … n ──┐ each a thread (a Lane) with VMs, streams, timers, connections
//!                           main ──────────┤ the main thread's VM: ticks, queues, callouts, no requests
//!                                          └─▶ Shared: data and queues of all VMs under one vm_id
//! ```
//!
//! | module | holds |
//! |--------|-------|
//! | [`config`] | the subset of Envoy's configuration, and what of a file is not understood |
//! | `host`, `front`, `lane` | the process: start and updates, the listeners, one thread |
//! | `base`, `vm`, `context`, `plugin` | module, instance, contexts, a plugin's life on one thread |
//! | `abi`, `imports` | the ABI on the wire, the host calls |
//! | `shared`, `metrics`, `log` | what the VMs share and say |
//! | `faults` | what goes wrong on request |
//! | `http` | connections, streams, filters, routing |
//! | `upstream` | clusters, connections, callouts |
//! | `component` | Weir as a WASI component (feature `component`); shares nothing with the rest but metrics |
//!
//! # Invariants
//! - A VM is entered by one thread, from one place ([`vm`](self)), and never while it runs.
//! - What a host call asks of a stream happens after the callback returned.
//! - A trap ends its VM; the thread, the other VMs and the shared data live.
//!
//! # Out of scope
//! TLS and HTTP/3 from clients, gRPC callouts, foreign functions, network filters, access logs, xDS; a bound on the
//! running time of a callback, which Envoy does not have either.

mod abi;
mod base;
#[cfg(feature = "component")]
pub mod component;
pub mod config;
mod context;
mod faults;
mod front;
mod host;
mod http;
mod imports;
mod lane;
mod log;
mod metrics;
mod plugin;
mod shared;
mod upstream;
mod vm;

pub use self::faults::{Fault, Faults, Oddity, Scope};
pub use self::host::{Error, Host, Listen, Options, Rejected, Source};
pub use self::log::{Level, LogLine, Sink};
pub use self::metrics::Summary;
