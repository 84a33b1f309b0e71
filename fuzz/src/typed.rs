//! What holds for a push written by the table of kinds: it is JSON without a name twice, has every value that was sent,
//! can be read as a push again and then is written the same, and a value is found by its path in it.

use weir_protocol::error::ParseError;
use weir_protocol::fields::{Fields, Value};
use weir_protocol::push::{Format, Push};

use crate::reference::Json;

/// Checks it; `all` of it only for what is small.
pub(crate) fn check(push: &Push<'_>, all: bool) {
    let typed = serde_json::to_string(&push.typed()).expect("a push can be written");
    if !all {
        return;
    }
    match serde_json::from_str(&typed) {
        Ok(json) => assert!(no_name_twice(&json), "a name twice"),
        Err(error) => {
            let message = error.to_string();
            assert!(message.starts_with("number out of range"), "{message}");
        }
    }
    match Push::parse(typed.as_bytes()) {
        Ok(again) => {
            let twice = serde_json::to_string(&again.typed()).expect("a push can be written");
            assert_eq!(twice, typed, "it is typed otherwise the second time");
            assert!(again.kind() == push.kind(), "another kind");
            assert_eq!(again.openid(), push.openid());
            assert_eq!(values(again.fields()), values(push.fields()));
            check_paths(push, again.fields());
        }
        // Lists, which XML has not, may make it deeper than is allowed.
        Err(ParseError::TooDeep | ParseError::TooMany) if push.format() == Format::Xml => {}
        Err(error) => panic!("a typed push is refused: {error}"),
    }
}

fn no_name_twice(json: &Json) -> bool {
    match json {
        Json::List(items) => items.iter().all(no_name_twice),
        Json::Object(members) => {
            let mut names: Vec<_> = members.iter().map(|(name, _)| name).collect();
            names.sort();
            names.windows(2).all(|pair| pair[0] != pair[1])
                && members.iter().all(|(_, json)| no_name_twice(json))
        }
        _ => true,
    }
}

/// All plain values, in no order and in one way of writing. Empty ones may be objects or lists instead, and the time, which
/// was checked, is written as a number.
fn values(fields: &Fields<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let checked = fields.iter().filter(|(name, _)| *name != "CreateTime");
    let mut open: Vec<&Value<'_>> = checked.map(|(_, value)| value).collect();
    while let Some(value) = open.pop() {
        let text = match value {
            Value::Object(fields) => {
                open.extend(fields.iter().map(|(_, value)| value));
                continue;
            }
            Value::List(items) => {
                open.extend(items);
                continue;
            }
            Value::Bool(bool) => bool.to_string(),
            plain => plain.text().unwrap_or_default().to_owned(),
        };
        match text.trim_matches([' ', '\t', '\r', '\n']) {
            "" => {}
            "true" => found.push("1".to_owned()),
            "false" => found.push("0".to_owned()),
            other => found.push(other.to_owned()),
        }
    }
    found.sort();
    found
}

/// Every plain value is found by its path.
fn check_paths(push: &Push<'_>, typed: &Fields<'_>) {
    let mut open: Vec<(String, &Value<'_>)> = Vec::new();
    let plain_name = |name: &str| !name.contains('.') && name.parse::<usize>().is_err();
    for (name, value) in typed.iter().filter(|(name, _)| plain_name(name)) {
        open.push((name.to_owned(), value));
    }
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields.iter().filter(|(name, _)| plain_name(name)) {
                    open.push((format!("{path}.{name}"), value));
                }
            }
            Value::List(items) => {
                for (index, value) in items.iter().enumerate() {
                    open.push((format!("{path}.{index}"), value));
                }
            }
            plain => {
                let found = push
                    .field(&path)
                    .map(|text| text.trim_matches([' ', '\t', '\r', '\n']));
                let text = match plain {
                    Value::Bool(true) => "true",
                    Value::Bool(false) => "false",
                    plain => plain.text().unwrap_or_default(),
                };
                let text = text.trim_matches([' ', '\t', '\r', '\n']);
                let same = match (found, text) {
                    (Some("true"), "1") | (Some("false"), "0") => true,
                    // `CreateTime` may have been written with needless zeros.
                    (Some(found), text) if path == "CreateTime" => {
                        found.trim_start_matches('0') == text.trim_start_matches('0')
                    }
                    (found, text) => found == Some(text),
                };
                assert!(same, "{path}: {found:?} for {text:?}");
            }
        }
    }
}
