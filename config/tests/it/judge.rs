//! As much of JSON Schema as the schema uses, written down plainly.

use regex_lite::Regex;
use serde_json::Value;

/// Whether `value` is as `schema` says.
pub(crate) fn is_valid(schema: &Value, value: &Value) -> bool {
    let known = [
        "$schema",
        "title",
        "description",
        "default",
        "type",
        "pattern",
        "minimum",
        "maximum",
        "enum",
        "items",
        "minItems",
        "maxItems",
        "properties",
        "additionalProperties",
        "required",
        "oneOf",
        "anyOf",
    ];
    let object = schema.as_object().expect("a schema is an object");
    for word in object.keys() {
        assert!(known.contains(&word.as_str()), "{word} is not judged here");
    }
    let all = |word: &str, holds: &dyn Fn(&Value) -> bool| object.get(word).is_none_or(holds);
    let number = |value: &Value| value.as_f64();
    all("type", &|name| match name.as_str().expect("one type") {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }) && all("enum", &|words| {
        words.as_array().expect("a list").contains(value)
    }) && all("pattern", &|pattern| {
        let pattern = Regex::new(pattern.as_str().expect("text")).expect("a pattern");
        value.as_str().is_none_or(|text| pattern.is_match(text))
    }) && all("minimum", &|least| {
        number(value).is_none_or(|n| n >= number(least).expect("a number"))
    }) && all("maximum", &|most| {
        number(value).is_none_or(|n| n <= number(most).expect("a number"))
    }) && all("minItems", &|n| {
        value
            .as_array()
            .is_none_or(|v| v.len() as u64 >= n.as_u64().expect("a number"))
    }) && all("maxItems", &|n| {
        value
            .as_array()
            .is_none_or(|v| v.len() as u64 <= n.as_u64().expect("a number"))
    }) && all("items", &|item| {
        value
            .as_array()
            .is_none_or(|v| v.iter().all(|v| is_valid(item, v)))
    }) && all("required", &|names| {
        let names = names.as_array().expect("a list");
        names
            .iter()
            .all(|name| value.get(name.as_str().expect("text")).is_some())
    }) && all("oneOf", &|these| {
        these
            .as_array()
            .expect("a list")
            .iter()
            .filter(|one| is_valid(one, value))
            .count()
            == 1
    }) && all("anyOf", &|these| {
        these
            .as_array()
            .expect("a list")
            .iter()
            .any(|one| is_valid(one, value))
    }) && value.as_object().is_none_or(|fields| {
        fields.iter().all(|(name, value)| {
            let named = object
                .get("properties")
                .and_then(|properties| properties.get(name));
            match (named, object.get("additionalProperties")) {
                (Some(schema), _) => is_valid(schema, value),
                (None, Some(Value::Bool(allowed))) => *allowed,
                (None, Some(schema)) => is_valid(schema, value),
                (None, None) => true,
            }
        })
    })
}
