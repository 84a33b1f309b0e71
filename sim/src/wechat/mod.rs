//! What WeChat and a developer's server agree on: the account, its signature rule and its encryption.
//!
//! Written from the published rules alone, on `ring` (SHA-1) and the `cbc`/`aes` crates.

pub mod account;
pub mod cipher;
pub mod ids;
pub mod open_data;
pub mod signature;

pub use account::{Account, Format, Mode};
pub use cipher::AesKey;
