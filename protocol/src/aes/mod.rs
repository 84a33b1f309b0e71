//! AES in CBC mode, without padding: what [`crate::cipher`] and [`crate::open_data`] stand on.

#[cfg(not(target_family = "wasm"))]
mod hardware;
#[cfg(any(test, target_family = "wasm"))]
mod table;
#[cfg(all(test, not(target_family = "wasm")))]
mod tests;

#[cfg(not(target_family = "wasm"))]
pub(crate) use hardware::{Aes128, Aes256};
#[cfg(target_family = "wasm")]
pub(crate) use table::{Aes128, Aes256};

/// Bytes of a block, of an IV, and of an AES-128 key.
pub(crate) const BLOCK: usize = 16;
