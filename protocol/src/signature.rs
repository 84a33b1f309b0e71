//! `signature` and `msg_signature`: proof that a request comes from someone who knows the Token.
//!
//! Both are the SHA-1, in lower-case hex, of their parts sorted bytewise and put together without a separator:
//! `token, timestamp, nonce`, and the same with `Encrypt`. Values are taken as received, after URL decoding.
//!
//! # What it does not prove
//! The three-part signature covers neither body nor `echostr` nor `openid`. And since nothing separates the parts, a
//! digit may wander from one to its neighbour without changing the signature: check the shape of timestamp and nonce
//! as well, with [`CallbackQuery::stamp`](crate::query::CallbackQuery::stamp).
//!
//! Source: official page on message push, whose samples recompute.

use std::fmt;
use std::hint::black_box;

use sha1::{Digest, Sha1};
use zeroize::Zeroize;

use crate::error::ConfigError;

/// Characters of a signature: a SHA-1 in hex.
pub const SIGNATURE_LEN: usize = 40;

/// WeChat's shared secret: 3 to 32 ASCII letters and digits. Shows nothing in `Debug`; wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a Token as it stands in WeChat's console.
    ///
    /// # Errors
    /// When it has not 3 to 32 characters, or others than ASCII letters and digits.
    pub fn parse(token: &str) -> Result<Self, ConfigError> {
        let found = token.chars().count();
        if !(3..=32).contains(&found) {
            return Err(ConfigError::TokenLength { found });
        }
        if !token.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(ConfigError::TokenAlphabet);
        }
        Ok(Self(token.to_owned()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Signs the parts, in any order. No heap.
pub fn sign<const N: usize>(parts: &[&[u8]; N]) -> [u8; SIGNATURE_LEN] {
    let mut parts = *parts;
    parts.sort_unstable();
    sha1_hex(parts)
}

/// SHA-1 of the parts as they stand, in lower-case hex.
pub(crate) fn sha1_hex<const N: usize>(parts: [&[u8]; N]) -> [u8; SIGNATURE_LEN] {
    let mut sha1 = Sha1::new();
    for part in parts {
        sha1.update(part);
    }
    hex(&sha1.finalize().into())
}

/// A SHA-1 in lower-case hex.
#[must_use]
pub fn hex(digest: &[u8; 20]) -> [u8; SIGNATURE_LEN] {
    let mut hex = [0; SIGNATURE_LEN];
    for (pair, byte) in hex.as_chunks_mut::<2>().0.iter_mut().zip(digest) {
        *pair = [hex_digit(byte >> 4), hex_digit(byte & 15)];
    }
    hex
}

/// Whether `given` is the signature of a GET verification or of a push in plain mode. Constant time.
pub fn verify(token: &Token, timestamp: &str, nonce: &str, given: &str) -> bool {
    matches(
        given,
        &sign(&[token.as_bytes(), timestamp.as_bytes(), nonce.as_bytes()]),
    )
}

/// Whether `given` is the `msg_signature` over `encrypt`, taken exactly as in the body. Constant time.
pub fn verify_encrypted(
    token: &Token,
    timestamp: &str,
    nonce: &str,
    encrypt: &str,
    given: &str,
) -> bool {
    matches(given, &sign_encrypted(token, timestamp, nonce, encrypt))
}

/// The `msg_signature` over `encrypt`, for an envelope of our own.
pub(crate) fn sign_encrypted(
    token: &Token,
    timestamp: &str,
    nonce: &str,
    encrypt: &str,
) -> [u8; SIGNATURE_LEN] {
    sign(&[
        token.as_bytes(),
        timestamp.as_bytes(),
        nonce.as_bytes(),
        encrypt.as_bytes(),
    ])
}

/// Compares in constant time: every byte is looked at, whichever differ.
///
/// By hand, since the crate `subtle` hides each byte from the compiler on its own and takes 330 ns for it in wasm, of
/// 570 for the whole verification. Here only the sum of all differences is hidden.
pub(crate) fn matches(given: &str, expected: &[u8; SIGNATURE_LEN]) -> bool {
    // The length of a signature is no secret.
    let Ok(given) = <&[u8; SIGNATURE_LEN]>::try_from(given.as_bytes()) else {
        return false;
    };
    let difference = given
        .iter()
        .zip(expected)
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    black_box(difference) == 0
}

/// A digit of 0 to 15, in lower case.
pub(crate) fn hex_digit(nibble: u8) -> u8 {
    if nibble < 10 {
        b'0' + nibble
    } else {
        b'a' + nibble - 10
    }
}
