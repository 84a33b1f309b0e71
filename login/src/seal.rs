//! Values that only we can make or read, given to clients to keep: XChaCha20-Poly1305 with a random nonce, in base64url.
//!
//! The purpose is authenticated with the value, so that a `state` is no session. What is inside is as secret as the key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use weir_engine::Random;
use zeroize::Zeroizing;

const NONCE_BYTES: usize = 24;
/// Longest value that is opened, bytes of text.
const MAX_BYTES: usize = 4 * 1_024;

/// A key of 32 bytes. Shows nothing of itself.
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// From 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return None;
        };
        let mut key = Zeroizing::new([0; 32]);
        if pairs.len() != key.len() {
            return None;
        }
        for (byte, pair) in key.iter_mut().zip(pairs) {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            let [high, low] = pair.map(digit);
            *byte = u8::try_from(high? << 4 | low?).ok()?;
        }
        Some(Self(key))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.0.as_ref().into())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// Seals. `None`: it is too long for a cookie.
pub(crate) fn seal(
    key: &Key,
    purpose: &str,
    value: &[u8],
    random: &mut dyn Random,
) -> Option<String> {
    let mut nonce = [0; NONCE_BYTES];
    random.fill(&mut nonce);
    let payload = Payload {
        msg: value,
        aad: purpose.as_bytes(),
    };
    let sealed = key
        .cipher()
        .encrypt(XNonce::from_slice(&nonce), payload)
        .ok()?;
    let text = URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat());
    (text.len() <= MAX_BYTES).then_some(text)
}

/// Opens what [`seal`] made with one of these keys for the same purpose.
pub(crate) fn open<'k>(
    keys: impl IntoIterator<Item = &'k Key>,
    purpose: &str,
    text: &str,
) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() > MAX_BYTES {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
    keys.into_iter().find_map(|key| {
        let payload = Payload {
            msg: sealed,
            aad: purpose.as_bytes(),
        };
        let opened = key.cipher().decrypt(XNonce::from_slice(nonce), payload);
        opened.ok().map(Zeroizing::new)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(u8);

    impl Random for Counting {
        fn fill(&mut self, out: &mut [u8]) {
            for byte in out {
                self.0 = self.0.wrapping_add(1);
                *byte = self.0;
            }
        }
    }

    fn key(digit: char) -> Key {
        Key::from_hex(&String::from(digit).repeat(64)).unwrap()
    }

    #[test]
    fn it_is_opened_with_the_same_key_for_the_same_purpose_alone() {
        let text = seal(&key('a'), "session", b"value", &mut Counting(0)).unwrap();
        let opened = |keys: &[Key], purpose| open(keys, purpose, &text).map(|bytes| bytes.to_vec());
        assert_eq!(opened(&[key('a')], "session"), Some(b"value".to_vec()));
        assert_eq!(
            opened(&[key('b'), key('a')], "session"),
            Some(b"value".to_vec())
        );
        assert_eq!(opened(&[key('b')], "session"), None);
        assert_eq!(opened(&[key('a')], "state"), None);
        assert!(!text.contains("value"));
    }

    #[test]
    fn whatever_is_changed_in_it_it_is_not_opened() {
        let text = seal(&key('a'), "session", b"value", &mut Counting(9)).unwrap();
        for at in 0..text.len() {
            for with in ['A', 'Z', '-', '=', '!'] {
                let mut changed: Vec<char> = text.chars().collect();
                if changed[at] == with {
                    continue;
                }
                changed[at] = with;
                let changed: String = changed.into_iter().collect();
                assert!(
                    open(&[key('a')], "session", &changed).is_none(),
                    "{changed}"
                );
            }
            assert!(open(&[key('a')], "session", &text[..at]).is_none());
        }
    }

    #[test]
    fn a_key_has_sixty_four_digits() {
        for wrong in ["", "ab", &"a".repeat(63), &"a".repeat(65), &"g".repeat(64)] {
            assert!(Key::from_hex(wrong).is_none(), "{wrong}");
        }
    }
}
