//! The frame of the host tests: one world per scenario, whichever gateway stands in the middle of it.
//!
//! ```text
//!   Sender (weir-sim) ──push──▶ Gateway: weir.wasm in Envoy │ in the wasmtime host   ──▶ weir-store, SQLite
//!                                        weir-component.wasm in weir-serve           ──▶ weir-sim api, TLS
//!                                                                                    ──▶ weir-sim app
//! ```
//!
//! A scenario is written once, against [`World`] and [`Gateway`], and says only what WeChat, the store and the API see,
//! and what is counted. It is run on each gateway by the tests in `tests/it`. Nothing here links the plugin: the artefact
//! under test is `target/weir.wasm`, loaded through the repository's `envoy.yaml`.
//!
//! # Bounds
//! Waiting is always for something to become so, with a limit far above what it takes; no test asserts on speed.

pub mod chaos;
pub mod flood;
mod gateway;
pub mod host_faults;
mod in_component;
mod in_envoy;
mod in_wasmtime;
mod world;

pub use gateway::{Gateway, Setup, Update, Vms, WORKERS};
pub use in_component::{InComponent, TAKEN_IN};
pub use in_envoy::InEnvoy;
pub use in_wasmtime::InWasmtime;
pub use world::{Plan, SEAL_KEY, SHOP_KEY, World, eventually, somebody};
