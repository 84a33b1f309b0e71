//! What a mini program's client holds about its user and a server has to check: `encryptedData` (AES-128-CBC under the
//! session key, padded to 16 bytes) and `rawData` with its signature.
//!
//! Only the side of WeChat: nothing is opened here. Source: WeChat's page on 开放数据校验与解密.

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

/// The 16 bytes behind a `session_key`, and of an `iv`.
pub const KEY_LEN: usize = 16;

/// Not a `session_key`: it has to be the base64 of 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a session_key is the base64 of 16 bytes")]
pub struct BadSessionKey;

/// A `session_key` nobody has: base64 of 16 random bytes.
pub fn session_key() -> String {
    STANDARD.encode(iv())
}

/// An IV nobody has.
pub fn iv() -> [u8; KEY_LEN] {
    std::array::from_fn(|_| fastrand::u8(..))
}

/// `encryptedData`: base64 of `plain` under the session key. `iv` should be random; it travels as base64, beside.
///
/// # Errors
/// [`BadSessionKey`].
pub fn seal(session_key: &str, iv: &[u8; KEY_LEN], plain: &[u8]) -> Result<String, BadSessionKey> {
    let key = STANDARD.decode(session_key).map_err(|_| BadSessionKey)?;
    let cipher = cbc::Encryptor::<Aes128>::new_from_slices(&key, iv).map_err(|_| BadSessionKey)?;
    let mut sealed = plain.to_vec();
    sealed.resize(plain.len() + KEY_LEN, 0);
    let sealed = cipher
        .encrypt_padded::<Pkcs7>(&mut sealed, plain.len())
        .expect("there is room for a whole block of padding");
    Ok(STANDARD.encode(sealed))
}

/// `signature` of `rawData`: SHA-1 over it and the base64 text of the session key, 40 lower-case hex digits.
pub fn signature(raw_data: &str, session_key: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(raw_data.as_bytes());
    context.update(session_key.as_bytes());
    let digest = context.finish();
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
