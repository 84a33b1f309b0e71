//! The signature rule: SHA-1 over the parts, sorted byte by byte and joined without a separator.

use ring::digest;

/// `signature` over (Token, timestamp, nonce), or `msg_signature` over those and `Encrypt`: 40 lower-case hex digits.
pub fn sign(parts: &[&str]) -> String {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    let digest = digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        sorted.concat().as_bytes(),
    );
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
