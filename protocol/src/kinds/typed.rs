//! Writes a push by the table of kinds.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::shape::{Field, Items, Shape};
use super::view::{Seen, View, is_empty};
use crate::document::trim;
use crate::fields::{Fields, Number, Value};
use crate::json;
use crate::push::Push;

/// A push, written as the table of [kinds](super) says. Made by [`Push::typed`].
#[derive(Clone, Copy)]
pub struct Typed<'p, 'a>(&'p Push<'a>);

impl<'p, 'a> Typed<'p, 'a> {
    pub(super) fn new(push: &'p Push<'a>) -> Self {
        Self(push)
    }
}

impl Serialize for Typed<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(push) = *self;
        let [own, common] = push.tables();
        let known = Known::new(own, common);
        let fields = push.fields();
        let mut map = serializer.serialize_map(Some(fields.len()))?;
        write_fields(&mut map, fields, known, Some(push.create_time()))?;
        map.end()
    }
}

/// The known fields of an object, and where the next one is expected: they mostly come in the same order.
struct Known {
    tables: [(&'static [Field], usize); 2],
}

impl Known {
    fn new(own: &'static [Field], common: &'static [Field]) -> Self {
        Self {
            tables: [(own, 0), (common, 0)],
        }
    }

    /// The field of a name; of a lifted list also by what is around it.
    fn find(&mut self, name: &str) -> Option<&'static Field> {
        for (fields, next) in &mut self.tables {
            if let Some(field) = fields.get(*next).filter(|field| is(field, name)) {
                *next += 1;
                return Some(field);
            }
        }
        for (fields, next) in &mut self.tables {
            if let Some(at) = fields.iter().position(|field| is(field, name)) {
                *next = at + 1;
                return fields.get(at);
            }
        }
        None
    }
}

fn is(field: &Field, name: &str) -> bool {
    field.name == name || matches!(field.shape, Shape::Lifted(items) if items.wrapper == name)
}

/// The entries of an object. `create_time` is written as `CreateTime`, since that has been checked.
fn write_fields<M: SerializeMap>(
    map: &mut M,
    fields: &Fields<'_>,
    mut known: Known,
    create_time: Option<u64>,
) -> Result<(), M::Error> {
    for (name, value) in fields.iter() {
        match (known.find(name), create_time) {
            (_, Some(seconds)) if name == "CreateTime" => map.serialize_entry(name, &seconds)?,
            (None, _) => map.serialize_entry(name, value)?,
            (Some(field), _) => match &field.shape {
                // What most of most pushes is.
                Shape::Text if value.is_text() => map.serialize_entry(name, value)?,
                Shape::Lifted(items) if field.name != name => {
                    lift(map, fields, field, items, value)?
                }
                shape => map.serialize_entry(name, &View::new(value, Some(shape)))?,
            },
        }
    }
    Ok(())
}

/// A list that is inside something else: the list under its own name, and what else is there under the other's.
fn lift<M: SerializeMap>(
    map: &mut M,
    fields: &Fields<'_>,
    field: &'static Field,
    items: &Items,
    value: &Value<'_>,
) -> Result<(), M::Error> {
    let list = |value| View::new(value, Some(&field.shape));
    match value {
        _ if fields.get(field.name).is_some() => map.serialize_entry(items.wrapper, value),
        value if is_empty(value) => map.serialize_entry(field.name, &list(value)),
        Value::Object(inner) => {
            let found = inner.get(field.name);
            if let Some(found) = found {
                map.serialize_entry(field.name, &list(found))?;
            }
            if inner.len() > usize::from(found.is_some()) {
                map.serialize_entry(items.wrapper, &Without(inner, field.name))?;
            }
            Ok(())
        }
        value => map.serialize_entry(items.wrapper, value),
    }
}

/// Fields but one, as they came.
struct Without<'f, 'a>(&'f Fields<'a>, &'static str);

impl Serialize for Without<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().filter(|(name, _)| *name != self.1))
    }
}

impl Serialize for View<'_, '_> {
    /// As deep as the value, so at most [`MAX_DEPTH`](crate::limits::MAX_DEPTH).
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.seen() {
            Seen::Plain(text, shape) => plain(text, shape, serializer),
            Seen::List(items, shape) => {
                serializer.collect_seq(items.iter().map(|item| View::new(item, Some(shape))))
            }
            Seen::Object(fields, known) => {
                let mut map = serializer.serialize_map(Some(fields.len()))?;
                write_fields(&mut map, fields, Known::new(known, &[]), None)?;
                map.end()
            }
            Seen::Empty => serializer.serialize_map(Some(0))?.end(),
            Seen::Other(value) => value.serialize(serializer),
        }
    }
}

/// A plain value: as a number if it should and can be one, else as it is.
fn plain<S: Serializer>(text: &str, shape: &Shape, serializer: S) -> Result<S::Ok, S::Error> {
    match shape {
        Shape::Text => {}
        Shape::Integer | Shape::Seconds => {
            if let Some(number) = integer(text) {
                return serializer.serialize_i64(number);
            }
        }
        Shape::Flag => {
            let number = match trim(text) {
                "true" => Some(1),
                "false" => Some(0),
                text => integer(text),
            };
            if let Some(number) = number {
                return serializer.serialize_i64(number);
            }
        }
        Shape::Decimal => {
            if let Some(number) = decimal(text) {
                return number.serialize(serializer);
            }
        }
        Shape::Id => return serializer.serialize_str(trim(text)),
        // What is plain and should not be.
        Shape::Object(_) | Shape::List(_) | Shape::Items(_) | Shape::Lifted(_) => {}
    }
    serializer.serialize_str(text)
}

/// Beyond this not every reader of JSON sees the same integer.
const MAX_INTEGER: i64 = 1 << 53;
/// Longest decimal that is written as a number, in bytes.
const MAX_DECIMAL_BYTES: usize = 32;

/// An integer that would be written the same way again.
fn integer(text: &str) -> Option<i64> {
    let text = trim(text);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let mut number = 0;
    for byte in digits.bytes() {
        let digit = i64::from(byte.wrapping_sub(b'0'));
        // Below 2^53 there is room for another digit.
        if digit > 9 || number > MAX_INTEGER {
            return None;
        }
        number = number * 10 + digit;
    }
    let needless = digits.starts_with('0') && (negative || digits.len() > 1);
    if needless || digits.is_empty() || number > MAX_INTEGER {
        return None;
    }
    Some(if negative { -number } else { number })
}

/// A JSON number without an exponent.
fn decimal(text: &str) -> Option<Number<'_>> {
    let plain = |byte: u8| byte.is_ascii_digit() || byte == b'.' || byte == b'-';
    Some(trim(text))
        .filter(|text| text.len() <= MAX_DECIMAL_BYTES && text.bytes().all(plain))
        .and_then(json::number)
}

impl fmt::Debug for Typed<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
