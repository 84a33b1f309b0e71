//! EncodingAESKey: 43 characters that hold the 32 bytes of an AES key.
//!
//! 43 base64 characters hold 258 bits. The last two are nothing, but WeChat's random keys do not clear them, so a
//! strict decoder refuses three keys out of four. Here they are ignored, as by WeChat.
//!
//! Source: official page on message encryption; the WeCom sample key ends in such bits.

use std::fmt;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::{Zeroize, Zeroizing};

use crate::aes::{Aes256, BLOCK};
use crate::error::ConfigError;

/// Characters of an EncodingAESKey.
pub const ENCODING_AES_KEY_LEN: usize = 43;

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The key of an account's messages, expanded once for both directions. Shows nothing in `Debug`; wiped when dropped.
#[derive(Clone)]
pub struct EncodingAesKey {
    pub(crate) aes: Aes256,
    /// Constant, by WeChat's design: the first half of the key.
    pub(crate) iv: [u8; BLOCK],
}

impl EncodingAesKey {
    /// Takes a key as it stands in WeChat's console.
    ///
    /// # Errors
    /// When it has not 43 characters, or others than `A-Z a-z 0-9 + /`.
    pub fn parse(key: &str) -> Result<Self, ConfigError> {
        let bytes = decode(key)?;
        let iv = *bytes.first_chunk().ok_or(ConfigError::AesKeyAlphabet)?;
        Ok(Self {
            aes: Aes256::new(&bytes),
            iv,
        })
    }
}

/// The 32 bytes of the AES key.
pub(crate) fn decode(key: &str) -> Result<Zeroizing<[u8; 32]>, ConfigError> {
    if key.len() != ENCODING_AES_KEY_LEN {
        return Err(ConfigError::AesKeyLength { found: key.len() });
    }
    // The decoder wants room for its estimate, which is one byte more than the key has.
    let mut decoded = Zeroizing::new([0; 33]);
    let len = ENGINE
        .decode_slice(key, decoded.as_mut_slice())
        .map_err(|_| ConfigError::AesKeyAlphabet)?;
    let bytes = decoded
        .first_chunk()
        .filter(|_| len == 32)
        .ok_or(ConfigError::AesKeyAlphabet)?;
    Ok(Zeroizing::new(*bytes))
}

impl Drop for EncodingAesKey {
    fn drop(&mut self) {
        self.iv.zeroize();
    }
}

impl fmt::Debug for EncodingAesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncodingAesKey(…)")
    }
}
