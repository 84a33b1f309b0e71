//! JSON Schemas (2020-12) of typed pushes, from the table of kinds.
//!
//! They describe what WeChat's pages promise. A push that keeps to less is passed on all the same, and may then lack a
//! field that is required here. Fields that are not in the table are allowed everywhere.

use serde_json::{Map, Value, json};

use super::shape::{Field, Shape};
use super::{Carrier, PushKind};

/// The schema of a typed push of a kind; without one, of any push of that sort. It refers to
/// [`definitions`] as `#/$defs/…`.
#[must_use]
pub fn push(carrier: Carrier, kind: Option<&PushKind>) -> Value {
    let own = kind.map_or(&[][..], |kind| kind.fields);
    let common = carrier
        .fields()
        .iter()
        .filter(|field| own.iter().all(|other| other.name != field.name));
    object(common.chain(own), |field| {
        match (field.name, carrier, kind) {
            ("CreateTime", _, _) => Some(("$ref", "#/$defs/checkedSeconds")),
            // The letter case of an event's name varies.
            ("MsgType", Carrier::Event, _) => Some(("const", "event")),
            ("MsgType", Carrier::Message, Some(kind)) => Some(("const", kind.name)),
            ("InfoType", Carrier::Component, Some(kind)) => Some(("const", kind.name)),
            _ => None,
        }
    })
}

/// What the schemas of pushes refer to, for `$defs` of the document they are put in.
#[must_use]
pub fn definitions() -> Value {
    const BOUND: i64 = 1 << 53;
    let or_text = |number: Value, description: &str| {
        json!({
            "description": format!("{description} A string where WeChat sent something else."),
            "anyOf": [number, {"type": "string"}],
        })
    };
    let integer = json!({"type": "integer", "minimum": -BOUND, "maximum": BOUND});
    json!({
        "id": {"type": "string", "description": "A name for something: a string even if it has digits only."},
        "checkedSeconds": {"type": "integer", "minimum": 0, "maximum": BOUND, "description": "Unix seconds."},
        "seconds": or_text(integer.clone(), "Unix seconds."),
        "integer": or_text(integer.clone(), "A whole number."),
        "flag": or_text(integer, "1: yes; 0: no."),
        "decimal": or_text(json!({"type": "number"}), "A number."),
    })
}

/// An object of these fields; `special` says what else holds of one.
fn object<'f>(
    fields: impl Iterator<Item = &'f Field>,
    special: impl Fn(&Field) -> Option<(&'static str, &'static str)>,
) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let mut schema = match shape(&field.shape) {
            Value::Object(schema) => schema,
            _ => Map::new(),
        };
        schema.insert("description".to_owned(), json!(field.doc));
        if let Some((keyword, value)) = special(field) {
            schema.insert(keyword.to_owned(), json!(value));
        }
        properties.insert(field.name.to_owned(), Value::Object(schema));
        if field.required {
            required.push(field.name);
        }
    }
    json!({"type": "object", "properties": properties, "required": required})
}

fn shape(shape: &Shape) -> Value {
    match shape {
        Shape::Text => json!({"type": "string"}),
        Shape::Id => json!({"$ref": "#/$defs/id"}),
        Shape::Integer => json!({"$ref": "#/$defs/integer"}),
        Shape::Decimal => json!({"$ref": "#/$defs/decimal"}),
        Shape::Flag => json!({"$ref": "#/$defs/flag"}),
        Shape::Seconds => json!({"$ref": "#/$defs/seconds"}),
        Shape::Object(fields) => object(fields.iter(), |_| None),
        Shape::List(_) | Shape::Items(_) | Shape::Lifted(_) => {
            json!({"type": "array", "items": shape.item().map(self::shape)})
        }
    }
}
