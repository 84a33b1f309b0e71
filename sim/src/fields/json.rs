//! Fields as JSON, in order, names repeated where they are.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Fields, Value};

/// Not the JSON it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadJson {
    /// The parser's word for it, with the place.
    #[error("{0}")]
    Malformed(String),
    /// Not an object.
    #[error("not a JSON object")]
    NotAnObject,
}

impl Fields {
    /// An object in the fields' order, without blanks.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        write_object(&mut out, self);
        out
    }

    /// Reads an object. `null` counts as absent.
    ///
    /// # Errors
    /// [`BadJson`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, BadJson> {
        let malformed = |error: serde_json::Error| BadJson::Malformed(error.to_string());
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let value = Read.deserialize(&mut json).map_err(malformed)?;
        json.end().map_err(malformed)?;
        match value {
            Some(Value::Fields(fields)) => Ok(fields),
            _ => Err(BadJson::NotAnObject),
        }
    }
}

fn write_object(out: &mut String, fields: &Fields) {
    out.push('{');
    for (i, (name, value)) in fields.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_string(out, name);
        out.push(':');
        write_value(out, value);
    }
    out.push('}');
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Text(text) => write_string(out, text),
        Value::Number(number) => out.push_str(number),
        Value::Fields(fields) => write_object(out, fields),
        Value::List(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_value(out, item);
            }
            out.push(']');
        }
    }
}

fn write_string(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

/// Reads in the order of the text and keeps names that repeat, which a map would not.
struct Read;

impl<'de> DeserializeSeed<'de> for Read {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Read {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Some(Value::Number(flag.to_string())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Some(Value::Number(number.to_string())))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(Read)? {
            items.extend(item);
        }
        Ok(Some(Value::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Fields::new();
        while let Some(name) = map.next_key::<String>()? {
            if let Some(value) = map.next_value_seed(Read)? {
                fields.push(&name, value);
            }
        }
        Ok(Some(fields.into()))
    }
}
