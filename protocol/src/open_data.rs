//! Open data of mini programs: `encryptedData` that only the server can read, and the signature of `rawData`.
//!
//! AES-128-CBC under the user's session_key, PKCS#7 with a block of 16 (not 32, as in [`crate::cipher`]), then JSON
//! with a watermark that says for which mini program it was made. The session_key is as secret as a password: it must
//! never reach a client, a log or a store.
//!
//! Source: official page on open data verification and decryption, whose samples recompute.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::aes::{Aes128, BLOCK};
use crate::error::OpenDataError;
use crate::signature::{matches, sha1_hex};

/// Decrypted open data. Shows nothing of it in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenData {
    /// A JSON object: `openId`, `nickName` … of a user, `phoneNumber` … of a phone.
    pub json: String,
    /// When it was made, in Unix seconds; for the caller to judge.
    pub timestamp: Option<u64>,
}

#[derive(Deserialize)]
struct Watermarked<'a> {
    #[serde(borrow)]
    watermark: Option<Watermark<'a>>,
}

#[derive(Deserialize)]
struct Watermark<'a> {
    #[serde(borrow)]
    appid: Cow<'a, str>,
    timestamp: Option<u64>,
}

/// Decrypts `encryptedData` as the mini program `appid` got it. All three are base64 as the client sent them.
///
/// # Errors
/// Whatever is wrong with them; see [`OpenDataError`].
pub fn decrypt(
    session_key: &str,
    iv: &str,
    encrypted_data: &str,
    appid: &str,
) -> Result<OpenData, OpenDataError> {
    let key = Zeroizing::new(sixteen(session_key).ok_or(OpenDataError::SessionKey)?);
    let iv = sixteen(iv).ok_or(OpenDataError::Iv)?;
    let mut data = STANDARD
        .decode(encrypted_data)
        .map_err(|_| OpenDataError::Base64)?;
    if data.is_empty() || data.len() % BLOCK != 0 {
        return Err(OpenDataError::CiphertextLength);
    }
    Aes128::new(&key).cbc_decrypt(&iv, &mut data);

    let padding = usize::from(*data.last().ok_or(OpenDataError::CiphertextLength)?);
    let end = data
        .len()
        .checked_sub(padding)
        .filter(|_| (1..=BLOCK).contains(&padding))
        .ok_or(OpenDataError::Padding)?;
    if data
        .iter()
        .skip(end)
        .any(|byte| usize::from(*byte) != padding)
    {
        return Err(OpenDataError::Padding);
    }
    data.truncate(end);

    let json = String::from_utf8(data).map_err(|_| OpenDataError::Json)?;
    let marked: Watermarked<'_> = serde_json::from_str(&json).map_err(|_| OpenDataError::Json)?;
    let watermark = marked
        .watermark
        .filter(|mark| mark.appid == appid)
        .ok_or(OpenDataError::Watermark)?;
    let timestamp = watermark.timestamp;
    Ok(OpenData { json, timestamp })
}

/// Whether `signature` is that of `raw_data`, both exactly as the client sent them: written anew, the JSON would have
/// another signature. Constant time.
pub fn verify_raw_data(raw_data: &str, session_key: &str, signature: &str) -> bool {
    matches(
        signature,
        &sha1_hex([raw_data.as_bytes(), session_key.as_bytes()]),
    )
}

fn sixteen(base64: &str) -> Option<[u8; 16]> {
    // The decoder wants room for its estimate of 24 characters: two bytes more than there are.
    let mut decoded = Zeroizing::new([0; 18]);
    let len = STANDARD.decode_slice(base64, decoded.as_mut_slice()).ok()?;
    decoded.first_chunk().copied().filter(|_| len == 16)
}

impl fmt::Debug for OpenData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenData")
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}
