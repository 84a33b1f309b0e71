//! Encryption of bodies (WXBizMsgCrypt).
//!
//! ```text
//! Encrypt = base64( AES-256-CBC( random(16) ‖ be32(len) ‖ message ‖ receive id ‖ padding ) )
//! ```
//! The padding is PKCS#7 with a block of 32, not 16: 1 to 32 equal bytes. `len` counts bytes. The receive id is the
//! appid of the account (of the platform, for third-party platforms; the CorpID for WeCom, or the SuiteID).
//!
//! CBC protects nothing against change: only a matching `msg_signature` does, so verify it first. And never let a peer
//! tell the errors apart.
//!
//! Source: official page on message encryption, whose samples recompute.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::aes::BLOCK;
use crate::aes_key::EncodingAesKey;
use crate::error::CryptError;

/// Bytes before the message: 16 random ones and the length.
const HEADER: usize = 20;
/// The padding's block.
const PADDING: usize = 32;

/// Decrypts the text of `Encrypt` and returns the message.
///
/// # Errors
/// Whatever is wrong with it; see [`CryptError`]. Whether the message is UTF-8 or parses is not looked at.
pub fn decrypt(
    key: &EncodingAesKey,
    encrypt: &str,
    receive_id: &str,
) -> Result<Vec<u8>, CryptError> {
    let mut data = STANDARD.decode(encrypt).map_err(|_| CryptError::Base64)?;
    if data.is_empty() || data.len() % BLOCK != 0 {
        return Err(CryptError::CiphertextLength);
    }
    key.aes.cbc_decrypt(&key.iv, &mut data);

    let padding = usize::from(*data.last().ok_or(CryptError::CiphertextLength)?);
    if !(1..=PADDING).contains(&padding) {
        return Err(CryptError::Padding);
    }
    let (content, filling) = data
        .len()
        .checked_sub(padding)
        .and_then(|end| data.split_at_checked(end))
        .ok_or(CryptError::Padding)?;
    if filling.iter().any(|&byte| usize::from(byte) != padding) {
        return Err(CryptError::Padding);
    }

    let (header, rest) = content.split_at_checked(HEADER).ok_or(CryptError::Buffer)?;
    let len = header
        .last_chunk()
        .map(|len| u32::from_be_bytes(*len))
        .ok_or(CryptError::Buffer)?;
    // Compared as it came: on wasm32 `HEADER + len` could wrap.
    let len = usize::try_from(len).map_err(|_| CryptError::Buffer)?;
    let (_, id) = rest.split_at_checked(len).ok_or(CryptError::Buffer)?;
    if id != receive_id.as_bytes() {
        return Err(CryptError::ReceiveId);
    }
    data.copy_within(HEADER..HEADER + len, 0);
    data.truncate(len);
    Ok(data)
}

/// Decrypts with the first of `keys` that fits, and says which it was: the current key and, during a rotation, the
/// one before it. A reply must be encrypted with the key that fitted.
///
/// # Errors
/// The error of the first key when none fits, or [`CryptError::Base64`] when there is no key.
pub fn decrypt_any<'k>(
    keys: impl IntoIterator<Item = &'k EncodingAesKey>,
    encrypt: &str,
    receive_id: &str,
) -> Result<(Vec<u8>, &'k EncodingAesKey), CryptError> {
    let mut first = None;
    for key in keys {
        match decrypt(key, encrypt, receive_id) {
            Ok(message) => return Ok((message, key)),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or(CryptError::Base64))
}

/// Encrypts a message. `random` must be fresh for every message.
pub fn encrypt(key: &EncodingAesKey, msg: &[u8], receive_id: &str, random: &[u8; 16]) -> String {
    STANDARD.encode(encrypt_bytes(key, msg, receive_id, random))
}

fn encrypt_bytes(key: &EncodingAesKey, msg: &[u8], receive_id: &str, random: &[u8; 16]) -> Vec<u8> {
    let len = HEADER + msg.len() + receive_id.len();
    let padding = PADDING - len % PADDING;
    let mut data = Vec::with_capacity(len + padding);
    data.extend_from_slice(random);
    // Four bytes is all the format has; a message this long could not be held on wasm32, and no reply is.
    data.extend_from_slice(&u32::try_from(msg.len()).unwrap_or(u32::MAX).to_be_bytes());
    data.extend_from_slice(msg);
    data.extend_from_slice(receive_id.as_bytes());
    data.resize(len + padding, padding as u8);
    key.aes.cbc_encrypt(&key.iv, &mut data);
    data
}
