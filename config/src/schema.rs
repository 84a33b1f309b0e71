//! The tables as a JSON Schema.

use serde_json::{Map, Value, json};

use crate::shape::{Field, Presence, Shape};
use crate::shapes;

/// The JSON Schema (2020-12) of the plugin's configuration, from the very tables that documents are checked against.
///
/// What a table cannot say (names and paths that are taken twice, environment variables that are not set, templates with
/// a slip) is not in it.
#[must_use]
pub fn schema() -> Value {
    whole(&shapes::DOCUMENT, "Weir's configuration")
}

/// The same for the configuration of the API door.
#[must_use]
pub fn door_schema() -> Value {
    whole(
        &crate::door::DOCUMENT,
        "The configuration of Weir's API door",
    )
}

/// The same for the configuration of the login filter.
#[must_use]
pub fn login_schema() -> Value {
    whole(
        &crate::login::DOCUMENT,
        "The configuration of Weir's login filter",
    )
}

fn whole(document: &Shape, title: &str) -> Value {
    let mut schema = of(document);
    if let Value::Object(map) = &mut schema {
        map.insert(
            "$schema".to_owned(),
            "https://json-schema.org/draft/2020-12/schema".into(),
        );
        map.insert("title".to_owned(), title.into());
    }
    schema
}

fn of(shape: &Shape) -> Value {
    match shape {
        Shape::Text { what, pattern, .. } => {
            let mut schema = json!({"type": "string", "description": format!("Expected: {what}.")});
            if let (Some(pattern), Value::Object(map)) = (pattern, &mut schema) {
                map.insert("pattern".to_owned(), (*pattern).into());
            }
            schema
        }
        Shape::Whole { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
        Shape::Number { min, max } => json!({"type": "number", "minimum": min, "maximum": max}),
        Shape::Flag => json!({"type": "boolean"}),
        Shape::Choice(words) => json!({"type": "string", "enum": words}),
        Shape::List {
            of: item, min, max, ..
        } => {
            json!({"type": "array", "items": of(item), "minItems": min, "maxItems": max})
        }
        Shape::Object { fields, one_of } => object(fields, one_of),
        Shape::Names { of: value } => {
            json!({"type": "object", "additionalProperties": of(value)})
        }
        Shape::Either(shapes) => {
            let shapes: Vec<_> = shapes.iter().map(|shape| of(shape)).collect();
            json!({"anyOf": shapes})
        }
    }
}

fn object(fields: &[Field], one_of: &[Field]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .chain(one_of)
        .map(|field| (field.name.to_owned(), property(field)))
        .collect();
    let required: Vec<_> = fields
        .iter()
        .filter(|field| matches!(field.presence, Presence::Required))
        .map(|field| field.name)
        .collect();
    let mut schema = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if let Value::Object(map) = &mut schema {
        if !required.is_empty() {
            map.insert("required".to_owned(), required.into());
        }
        if !one_of.is_empty() {
            let alternatives: Vec<_> = one_of
                .iter()
                .map(|field| json!({"required": [field.name]}))
                .collect();
            map.insert("oneOf".to_owned(), alternatives.into());
        }
    }
    schema
}

fn property(field: &Field) -> Value {
    let mut schema = of(field.shape);
    if let Value::Object(map) = &mut schema {
        let expected = map.remove("description");
        let expected = expected.as_ref().and_then(Value::as_str);
        let description = match expected {
            Some(expected) => format!("{} {expected}", field.doc),
            None => field.doc.to_owned(),
        };
        map.insert("description".to_owned(), description.into());
        match &field.presence {
            Presence::Or(number) => {
                map.insert("default".to_owned(), (*number).into());
            }
            Presence::OrText(text) => {
                map.insert("default".to_owned(), (*text).into());
            }
            Presence::Required | Presence::Optional => {}
        }
    }
    schema
}
