//! A faithful proxy-wasm host (ABI 0.2.1) on wasmtime.
pub mod config;
