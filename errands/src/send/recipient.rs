//! Somebody who is to get a message.

use serde_json::{Map, Value};

/// A longer `openid` is none; WeChat's have 28 characters.
const MAX_OPENID_BYTES: usize = 64;

/// Somebody who is to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Whom.
    pub openid: String,
    /// One for each of [`Message::columns`](super::Message::columns).
    pub values: Vec<String>,
}

impl Recipient {
    /// Reads an object with an openid in the member `openid_column`, and `columns`: texts, numbers, `true` and `false`.
    ///
    /// # Errors
    /// What is missing or wrong, in words that hold nothing of the row.
    pub fn of(
        row: &Map<String, Value>,
        openid_column: &str,
        columns: &[String],
    ) -> Result<Self, String> {
        let value = |name: &String| match row.get(name) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(plain @ (Value::Number(_) | Value::Bool(_))) => Ok(plain.to_string()),
            Some(Value::Null) | None => Err(format!("it has no {name:?}")),
            Some(_) => Err(format!("its {name:?} is neither a text nor a number")),
        };
        let text = row.get(openid_column).and_then(Value::as_str);
        Ok(Self {
            openid: openid(text.unwrap_or_default())?,
            values: columns.iter().map(value).collect::<Result<_, _>>()?,
        })
    }
}

/// An openid, without what stands around it.
///
/// # Errors
/// It is none; why, without what is in it.
pub fn openid(text: &str) -> Result<String, String> {
    let text = text.trim();
    let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    match text {
        "" => Err("it has no openid".to_owned()),
        _ if text.len() <= MAX_OPENID_BYTES && text.bytes().all(fits) => Ok(text.to_owned()),
        _ => Err("its openid is none: letters, digits, - and _".to_owned()),
    }
}
