//! Reads the files of `tests/vectors`.

use std::path::PathBuf;

use serde_json::Value;

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

pub(crate) fn read(file: &str) -> Vec<u8> {
    std::fs::read(folder().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

pub(crate) fn load(file: &str) -> Value {
    serde_json::from_slice(&read(file)).unwrap()
}

/// The list under `name`, which must have something in it.
pub(crate) fn list(document: &Value, name: &str) -> Vec<Value> {
    let list = document[name]
        .as_array()
        .unwrap_or_else(|| panic!("no list {name}"))
        .clone();
    assert!(!list.is_empty(), "{name} is empty");
    list
}

pub(crate) fn str<'v>(vector: &'v Value, name: &str) -> &'v str {
    vector[name]
        .as_str()
        .unwrap_or_else(|| panic!("no text {name} in {}", vector["id"]))
}
