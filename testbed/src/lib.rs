//! The programs of a run, found, configured for loopback, started and surely stopped.
//!
//! A run of Weir is several programs: Envoy (or the wasmtime host), the store, WeChat's simulator. `cargo xtask run`, the host tests and the bench all need them, and need the same of them: the
//! repository's own `envoy.yaml` with nothing changed but addresses, files and the plugin's own configuration;
//! ports chosen by the kernel; an end to every child, also when a test panics. That is all this crate does.
//!
//! | module | gives |
//! |--------|-------|
//! | [`layout`]    | where the repository, its build results and its scratch space are |
//! | [`process`]   | a child that is ended when its guard is dropped, and whose output lands in a file |
//! | [`envoy`]     | Envoy: found or fetched, started, asked through its admin door |
//! | [`bootstrap`] | `envoy.yaml`, rendered for loopback |
//! | [`component`] | the same for a host without clusters, and `weir-serve` |
//! | [`stats`]     | a snapshot of Envoy's numbers |
//! | [`programs`]  | the store, the simulator, the wasmtime host |
//!
//! # Bounds
//! Every wait has a deadline and says, when it passes, what was waited for and where the log is.
//!
//! # Out of scope
//! Windows; anything but loopback; being fast. Calls block: the callers are tests and a command line.

pub mod bootstrap;
pub mod component;
pub mod envoy;
pub mod layout;
pub mod process;
pub mod programs;
pub mod stats;
