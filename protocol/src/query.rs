//! The query string of a callback.
//!
//! Decoded as `application/x-www-form-urlencoded`: `%XX` is a byte, `+` is a blank. Seven parameters are known; an
//! operator's URL may carry others, which are skipped. A known parameter given twice is an error, for two readers
//! could see two different values.
//!
//! Source: official page on message push.

use std::borrow::Cow;
use std::fmt;

use crate::error::QueryError;
use crate::limits::{MAX_NONCE_BYTES, MAX_PARAMETER_BYTES, MAX_QUERY_BYTES};

/// What WeChat says beside the body. Absent parameters are `None`; present and empty ones are empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CallbackQuery<'a> {
    /// Over Token, timestamp and nonce: 40 hex digits.
    pub signature: Option<Cow<'a, str>>,
    /// Over Token, timestamp, nonce and `Encrypt`: 40 hex digits. Compatible and encrypted mode only.
    pub msg_signature: Option<Cow<'a, str>>,
    /// Unix seconds, 10 digits.
    pub timestamp: Option<Cow<'a, str>>,
    /// A random number.
    pub nonce: Option<Cow<'a, str>>,
    /// What a GET verification wants back. Not covered by the signature.
    pub echostr: Option<Cow<'a, str>>,
    /// `aes`; `raw` or absent in plain mode.
    pub encrypt_type: Option<Cow<'a, str>>,
    /// The sender. Not covered by the signature.
    pub openid: Option<Cow<'a, str>>,
}

/// Time and nonce of a request, of the right shape.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Stamp<'q> {
    /// As received: 10 ASCII digits.
    pub timestamp: &'q str,
    /// The same, as Unix seconds.
    pub seconds: u64,
    /// As received: 1 to 64 bytes.
    pub nonce: &'q str,
}

impl<'a> CallbackQuery<'a> {
    /// Reads what follows the `?` of a request's path.
    ///
    /// # Errors
    /// When it or one of the known parameters is too long, given twice, or badly encoded.
    pub fn parse(query: &'a str) -> Result<Self, QueryError> {
        if query.len() > MAX_QUERY_BYTES {
            return Err(QueryError::TooLong);
        }
        let mut parsed = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some((name, slot)) = parsed.slot(name) else {
                continue;
            };
            if slot.is_some() {
                return Err(QueryError::Duplicate(name));
            }
            let value = decode(value).ok_or(QueryError::BadEncoding(name))?;
            if value.len() > MAX_PARAMETER_BYTES {
                return Err(QueryError::ParameterTooLong(name));
            }
            *slot = Some(value);
        }
        Ok(parsed)
    }

    /// Whether the request says that its body is encrypted (`encrypt_type=aes`). WeCom does not say so, and always is.
    pub fn is_encrypted(&self) -> bool {
        self.encrypt_type.as_deref() == Some("aes")
    }

    /// Timestamp and nonce, checked for their shape: without it the signature's missing separators could be used to
    /// move digits from one to the other. Whether the time is fresh is for the caller to judge.
    ///
    /// # Errors
    /// When one is missing, the timestamp is not 10 ASCII digits, or the nonce is longer than 64 bytes.
    pub fn stamp(&self) -> Result<Stamp<'_>, QueryError> {
        let timestamp = present(&self.timestamp, "timestamp")?;
        let nonce = present(&self.nonce, "nonce")?;
        let seconds = timestamp_seconds(timestamp).ok_or(QueryError::BadTimestamp)?;
        if nonce.len() > MAX_NONCE_BYTES {
            return Err(QueryError::BadNonce);
        }
        Ok(Stamp {
            timestamp,
            seconds,
            nonce,
        })
    }

    /// The place of a known parameter; names may be percent-encoded too.
    fn slot(&mut self, name: &str) -> Option<(&'static str, &mut Option<Cow<'a, str>>)> {
        Some(match decode(name)?.as_ref() {
            "signature" => ("signature", &mut self.signature),
            "msg_signature" => ("msg_signature", &mut self.msg_signature),
            "timestamp" => ("timestamp", &mut self.timestamp),
            "nonce" => ("nonce", &mut self.nonce),
            "echostr" => ("echostr", &mut self.echostr),
            "encrypt_type" => ("encrypt_type", &mut self.encrypt_type),
            "openid" => ("openid", &mut self.openid),
            _ => return None,
        })
    }
}

/// Unix seconds of a timestamp that is exactly 10 ASCII digits.
pub fn timestamp_seconds(timestamp: &str) -> Option<u64> {
    if timestamp.len() == 10 && timestamp.bytes().all(|b| b.is_ascii_digit()) {
        timestamp.parse().ok()
    } else {
        None
    }
}

fn present<'q>(value: &'q Option<Cow<'_, str>>, name: &'static str) -> Result<&'q str, QueryError> {
    value
        .as_deref()
        .filter(|v| !v.is_empty())
        .ok_or(QueryError::Missing(name))
}

/// Form decoding; `None` for a broken escape or bytes that are not UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|b| b == b'%' || b == b'+') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => (hex_value(bytes.next()?)? << 4) | hex_value(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

impl fmt::Debug for CallbackQuery<'_> {
    /// Says what is there, not what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackQuery")
            .field("signature", &self.signature.is_some())
            .field("msg_signature", &self.msg_signature.is_some())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Stamp<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stamp")
            .field("seconds", &self.seconds)
            .finish_non_exhaustive()
    }
}
