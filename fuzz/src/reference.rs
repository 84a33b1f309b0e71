//! Other ways to the same ends: JSON by serde_json, AES by the crates of others, and the encrypted buffer as the
//! format says, without a thought for speed.

use std::fmt;

use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use weir_protocol::error::CryptError;
use weir_protocol::limits::MAX_NAME_BYTES;

/// JSON as serde_json reads it, every member in its place.
#[derive(Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Whether a name is longer than is taken.
    pub(crate) fn has_long_name(&self) -> bool {
        match self {
            Self::List(items) => items.iter().any(Self::has_long_name),
            Self::Object(members) => members
                .iter()
                .any(|(name, json)| name.len() > MAX_NAME_BYTES || json.has_long_name()),
            _ => false,
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, bool: bool) -> Result<Json, E> {
        Ok(Json::Bool(bool))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Unsigned(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Signed(number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(member) = members.next_entry()? {
            object.push(member);
        }
        Ok(Json::Object(object))
    }
}

/// Encrypts whole blocks under AES-256-CBC with the first half of the key as IV.
pub(crate) fn encrypt_blocks(key: &[u8; 32], framed: &[u8]) -> Vec<u8> {
    let cipher = cbc::Encryptor::<aes::Aes256>::new_from_slices(key, &key[..16])
        .expect("a key of 32 bytes and an IV of 16");
    let mut sealed = framed.to_vec();
    cipher
        .encrypt_padded::<NoPadding>(&mut sealed, framed.len())
        .expect("whole blocks");
    sealed
}

/// The other direction.
pub(crate) fn decrypt_blocks(key: &[u8; 32], sealed: &[u8]) -> Vec<u8> {
    let cipher = cbc::Decryptor::<aes::Aes256>::new_from_slices(key, &key[..16])
        .expect("a key of 32 bytes and an IV of 16");
    let mut framed = sealed.to_vec();
    cipher
        .decrypt_padded::<NoPadding>(&mut framed)
        .expect("whole blocks");
    framed
}

/// Encrypts whole blocks under AES-128-CBC, for open data.
pub(crate) fn encrypt_blocks_128(key: &[u8; 16], iv: &[u8; 16], framed: &[u8]) -> Vec<u8> {
    let cipher = cbc::Encryptor::<aes::Aes128>::new(key.into(), iv.into());
    let mut sealed = framed.to_vec();
    cipher
        .encrypt_padded::<NoPadding>(&mut sealed, framed.len())
        .expect("whole blocks");
    sealed
}

/// What a decrypted buffer holds: random(16) ‖ be32(len) ‖ message ‖ receive id ‖ 1 to 32 bytes of padding.
pub(crate) fn unframe<'b>(buffer: &'b [u8], receive_id: &str) -> Result<&'b [u8], CryptError> {
    let padding = usize::from(*buffer.last().ok_or(CryptError::CiphertextLength)?);
    let right = (1..=32).contains(&padding)
        && padding <= buffer.len()
        && buffer
            .iter()
            .rev()
            .take(padding)
            .all(|&byte| usize::from(byte) == padding);
    if !right {
        return Err(CryptError::Padding);
    }
    let content = &buffer[..buffer.len() - padding];
    if content.len() < 20 {
        return Err(CryptError::Buffer);
    }
    let len = u64::from(u32::from_be_bytes([
        content[16],
        content[17],
        content[18],
        content[19],
    ]));
    let rest = &content[20..];
    if len > rest.len() as u64 {
        return Err(CryptError::Buffer);
    }
    let (message, id) = rest.split_at(len as usize);
    if id == receive_id.as_bytes() {
        Ok(message)
    } else {
        Err(CryptError::ReceiveId)
    }
}
