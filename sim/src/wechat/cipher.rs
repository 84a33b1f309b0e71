//! Message encryption: AES-256-CBC with the first half of the key as IV and padding to 32 bytes.
//!
//! Inside: 16 random bytes, the message's length (32 bits, big endian), the message, the appid, the padding.
//! [`decrypt`] is strict: it is what the simulated WeChat judges replies with.

use std::fmt;

use aes::Aes256;
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Padding goes to a multiple of this, twice the cipher's own block.
const PAD_BLOCK: usize = 32;
/// The random bytes in front.
pub const PREFIX_LEN: usize = 16;

// 43 characters hold two bits more than 32 bytes need, and WeChat's keys leave them set.
const KEY_BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// The 32 bytes behind an EncodingAESKey. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct AesKey([u8; 32]);

impl fmt::Debug for AesKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AesKey(…)")
    }
}

/// Not an EncodingAESKey: it has to be 43 characters of base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an EncodingAESKey is 43 characters of base64")]
pub struct BadKey;

impl AesKey {
    /// Decodes the 43 characters of an EncodingAESKey.
    ///
    /// # Errors
    /// [`BadKey`] for anything else.
    pub fn parse(encoding_aes_key: &str) -> Result<Self, BadKey> {
        let bytes = KEY_BASE64.decode(encoding_aes_key).map_err(|_| BadKey)?;
        bytes.try_into().map(Self).map_err(|_| BadKey)
    }

    /// The raw key.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn iv(&self) -> &[u8] {
        &self.0[..16]
    }
}

/// Why an `Encrypt` cannot be read. The codes are those of WeChat's own library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undecryptable {
    /// -40010
    #[error("not base64 (-40010)")]
    Base64,
    /// -40007
    #[error("its length is no multiple of 32, or zero (-40007)")]
    Length,
    /// -40007
    #[error("bad padding, as from a wrong key (-40007)")]
    Padding,
    /// -40008
    #[error("the message's length does not fit (-40008)")]
    Buffer,
    /// -40005
    #[error("it ends in another appid (-40005)")]
    AppId,
}

/// `Encrypt` for `message`: base64 of the ciphertext. `prefix` should be random.
pub fn encrypt(key: &AesKey, prefix: [u8; PREFIX_LEN], message: &[u8], appid: &str) -> String {
    let mut plain = prefix.to_vec();
    plain.extend_from_slice(&(message.len() as u32).to_be_bytes());
    plain.extend_from_slice(message);
    plain.extend_from_slice(appid.as_bytes());
    let pad = PAD_BLOCK - plain.len() % PAD_BLOCK;
    plain.resize(plain.len() + pad, pad as u8);
    seal(key, &plain)
}

/// Encrypts bytes that are already framed and padded: for tests that bend the inside.
///
/// # Panics
/// When `framed` is no multiple of 16 bytes long.
pub fn seal(key: &AesKey, framed: &[u8]) -> String {
    let cipher = cbc::Encryptor::<Aes256>::new_from_slices(key.as_bytes(), key.iv())
        .expect("the key is 32 bytes and the IV 16");
    let mut sealed = framed.to_vec();
    cipher
        .encrypt_padded::<NoPadding>(&mut sealed, framed.len())
        .expect("the caller frames to whole blocks");
    STANDARD.encode(sealed)
}

/// The message inside `encrypt`, if it is what WeChat's rules demand in every byte.
///
/// # Errors
/// The first rule broken, in the order of WeChat's library. The signature is the caller's business and comes before.
pub fn decrypt(key: &AesKey, encrypt: &str, appid: &str) -> Result<Vec<u8>, Undecryptable> {
    let mut buffer = STANDARD
        .decode(encrypt)
        .map_err(|_| Undecryptable::Base64)?;
    if buffer.is_empty() || buffer.len() % PAD_BLOCK != 0 {
        return Err(Undecryptable::Length);
    }
    let cipher = cbc::Decryptor::<Aes256>::new_from_slices(key.as_bytes(), key.iv())
        .expect("the key is 32 bytes and the IV 16");
    let plain = cipher
        .decrypt_padded::<NoPadding>(&mut buffer)
        .map_err(|_| Undecryptable::Length)?;

    let pad = plain.last().map_or(0, |&byte| usize::from(byte));
    if !(1..=PAD_BLOCK).contains(&pad)
        || plain[plain.len() - pad..]
            .iter()
            .any(|&byte| usize::from(byte) != pad)
    {
        return Err(Undecryptable::Padding);
    }
    let content = &plain[..plain.len() - pad];
    let (head, tail) = content
        .split_at_checked(PREFIX_LEN + 4)
        .ok_or(Undecryptable::Buffer)?;
    let length = u32::from_be_bytes([head[16], head[17], head[18], head[19]]) as usize;
    let (message, rest) = tail.split_at_checked(length).ok_or(Undecryptable::Buffer)?;
    if rest != appid.as_bytes() {
        return Err(Undecryptable::AppId);
    }
    Ok(message.to_vec())
}
