//! Writes a push by the table of kinds.

use std::fmt;

use serde::ser::{Serialize, Serializer};

use super::shape::{Field, Items, Shape};
use super::view::{Seen, View, is_empty};
use crate::document::trim;
use crate::fields::{Fields, Number, Value};
use crate::json::{self, Json};
use crate::push::Push;

/// A push, written as the table of [kinds](super) says. Made by [`Push::typed`].
#[derive(Clone, Copy)]
pub struct Typed<'p, 'a>(&'p Push<'a>);

impl<'p, 'a> Typed<'p, 'a> {
    pub(super) fn new(push: &'p Push<'a>) -> Self {
        Self(push)
    }
}

impl Typed<'_, '_> {
    /// Writes it.
    pub fn write(&self, json: &mut Json) {
        let Self(push) = *self;
        let [own, common] = push.tables();
        json.begin_object();
        let known = Known::new(own, common);
        write_fields(json, push.fields(), known, Some(push.create_time()));
        json.end_object();
    }
}

impl Serialize for Typed<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json::serialize(serializer, |json| self.write(json))
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
fn write_fields(json: &mut Json, fields: &Fields<'_>, mut known: Known, create_time: Option<u64>) {
    for (name, value) in fields.iter() {
        match (known.find(name), create_time) {
            (_, Some(seconds)) if name == "CreateTime" => {
                json.name(name).unsigned(seconds);
            }
            (None, _) => value.write(json.name(name)),
            (Some(field), _) => match &field.shape {
                // What most of most pushes is.
                Shape::Text if value.is_text() => value.write(json.name(name)),
                Shape::Lifted(items) if field.name != name => {
                    lift(json, fields, field, items, value);
                }
                shape => View::new(value, Some(shape)).write(json.name(name)),
            },
        }
    }
}

/// A list that is inside something else: the list under its own name, and what else is there under the other's.
fn lift(
    json: &mut Json,
    fields: &Fields<'_>,
    field: &'static Field,
    items: &Items,
    value: &Value<'_>,
) {
    let list = |value| View::new(value, Some(&field.shape));
    match value {
        _ if fields.get(field.name).is_some() => value.write(json.name(items.wrapper)),
        value if is_empty(value) => list(value).write(json.name(field.name)),
        Value::Object(inner) => {
            let found = inner.get(field.name);
            if let Some(found) = found {
                list(found).write(json.name(field.name));
            }
            if inner.len() > usize::from(found.is_some()) {
                json.name(items.wrapper).begin_object();
                for (name, value) in inner.iter().filter(|(name, _)| *name != field.name) {
                    value.write(json.name(name));
                }
                json.end_object();
            }
        }
        value => value.write(json.name(items.wrapper)),
    }
}

impl View<'_, '_> {
    /// As deep as the value, so at most [`MAX_DEPTH`](crate::limits::MAX_DEPTH).
    fn write(&self, json: &mut Json) {
        match self.seen() {
            Seen::Plain(text, shape) => plain(text, shape, json),
            Seen::List(items, shape) => {
                json.begin_list();
                for item in items {
                    View::new(item, Some(shape)).write(json);
                }
                json.end_list();
            }
            Seen::Object(fields, known) => {
                json.begin_object();
                write_fields(json, fields, Known::new(known, &[]), None);
                json.end_object();
            }
            Seen::Empty => {
                json.begin_object().end_object();
            }
            Seen::Other(value) => value.write(json),
        }
    }
}

/// A plain value: as a number if it should and can be one, else as it is.
fn plain(text: &str, shape: &Shape, json: &mut Json) {
    match shape {
        Shape::Text => json.text(text),
        Shape::Integer | Shape::Seconds => match integer(text) {
            Some(number) => json.integer(number),
            None => json.text(text),
        },
        Shape::Flag => {
            let number = match trim(text) {
                "true" => Some(1),
                "false" => Some(0),
                text => integer(text),
            };
            match number {
                Some(number) => json.integer(number),
                None => json.text(text),
            }
        }
        Shape::Decimal => match decimal(text) {
            Some(number) => json.raw(number.as_str()),
            None => json.text(text),
        },
        Shape::Id => json.text(trim(text)),
        // What is plain and should not be.
        Shape::Object(_) | Shape::List(_) | Shape::Items(_) | Shape::Lifted(_) => json.text(text),
    };
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
