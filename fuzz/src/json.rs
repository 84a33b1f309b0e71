//! `json`: a push in JSON.
//!
//! The input is the whole body if it starts with `{`, else the value of a field of a push that is right otherwise.

use std::borrow::Cow;

use weir_protocol::error::ParseError;
use weir_protocol::fields::{Fields, Value};
use weir_protocol::push::Format;

use crate::push::{self, REQUIRED};
use crate::reference::Json;

/// The target.
///
/// # Panics
/// What must hold does not.
pub fn check(data: &[u8]) {
    let body = if data.first() == Some(&b'{') {
        Cow::Borrowed(data)
    } else {
        Cow::Owned(around(data))
    };
    let theirs = serde_json::from_slice::<Json>(&body);
    match push::check(&body, Format::Json) {
        Ok(push) => match theirs {
            Ok(Json::Object(members)) => assert!(
                same_fields(push.fields(), &members),
                "another parser reads it otherwise"
            ),
            Ok(_) => panic!("it is no object"),
            // A number that no f64 holds: its literal is kept here, and nobody computes with it.
            Err(error) if error.to_string().starts_with("number out of range") => {}
            Err(error) => panic!("it is not JSON: {error}"),
        },
        Err(ParseError::Malformed { .. }) => assert!(
            theirs.is_err() || theirs.is_ok_and(|json| json.has_long_name()),
            "it is JSON"
        ),
        // Bounds, and what a push must have.
        Err(_) => {}
    }
}

/// A push in JSON with something in it.
fn around(data: &[u8]) -> Vec<u8> {
    let mut body = b"{".to_vec();
    for (name, text) in REQUIRED {
        body.extend_from_slice(format!("\"{name}\":\"{text}\",").as_bytes());
    }
    body.extend_from_slice(b"\"X\":");
    body.extend_from_slice(data);
    body.push(b'}');
    body
}

/// By the profile: `null` means absent, and of a name that occurs twice the last value counts.
fn same_fields(fields: &Fields<'_>, members: &[(String, Json)]) -> bool {
    let present = || members.iter().filter(|(_, json)| *json != Json::Null);
    let last = |name: &str| present().rev().find(|(known, _)| known == name);
    fields
        .iter()
        .all(|(name, value)| last(name).is_some_and(|(_, json)| same(value, json)))
        && present().all(|(name, _)| fields.get(name).is_some())
}

fn same(value: &Value<'_>, json: &Json) -> bool {
    match (value, json) {
        (Value::Text(text), Json::Text(theirs)) => text == theirs,
        (Value::Bool(bool), Json::Bool(theirs)) => bool == theirs,
        (Value::Number(number), Json::Unsigned(theirs)) => number.as_u64() == Some(*theirs),
        (Value::Number(number), Json::Signed(theirs)) => number.as_str().parse() == Ok(*theirs),
        // serde_json is a digit short of exact.
        (Value::Number(number), Json::Float(theirs)) => {
            number.as_str().parse().is_ok_and(|ours: f64| {
                (ours - theirs).abs() <= theirs.abs() * 1e-14 + f64::MIN_POSITIVE
            })
        }
        (Value::Object(fields), Json::Object(members)) => same_fields(fields, members),
        (Value::List(items), Json::List(theirs)) => {
            let theirs: Vec<_> = theirs.iter().filter(|json| **json != Json::Null).collect();
            items.len() == theirs.len()
                && items
                    .iter()
                    .zip(theirs)
                    .all(|(item, json)| same(item, json))
        }
        _ => false,
    }
}
