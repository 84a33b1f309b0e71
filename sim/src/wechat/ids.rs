//! Ids in WeChat's shapes, random. Not for secrets of anything real.

use std::iter;

/// An openid: `o` and 27 more of `[A-Za-z0-9_-]`.
pub fn openid() -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    iter::once('o')
        .chain(
            iter::repeat_with(|| char::from(ALPHABET[fastrand::usize(..ALPHABET.len())])).take(27),
        )
        .collect()
}

/// A `MsgId`: a number above 2^53, as real ones are.
pub fn msg_id() -> u64 {
    fastrand::u64(23_000_000_000_000_000..25_000_000_000_000_000)
}

/// A nonce: nine or ten decimal digits.
pub fn nonce() -> String {
    fastrand::u64(100_000_000..2_000_000_000).to_string()
}

/// An `echostr`: 18 or 19 decimal digits.
pub fn echostr() -> String {
    fastrand::u64(100_000_000_000_000_000..9_000_000_000_000_000_000).to_string()
}

/// `len` letters and digits.
pub fn alphanumeric(len: usize) -> String {
    iter::repeat_with(fastrand::alphanumeric)
        .take(len)
        .collect()
}

/// `len` lower-case hex digits.
pub fn hex(len: usize) -> String {
    iter::repeat_with(|| fastrand::digit(16))
        .take(len)
        .collect()
}
