//! The normalised tree of a push: every field WeChat sent, known or not, under WeChat's names.
//!
//! XML leaves are texts; JSON values keep their type, numbers their literal. Elements that repeat in XML are a list,
//! and one element and a list of one are the same to a caller of [`Fields::list`]. Of a JSON name that occurs twice
//! the last value counts (routing fields excepted, which are refused).

use std::borrow::Cow;
use std::fmt;
use std::slice;

use serde::ser::{Serialize, Serializer};

use crate::document::Sink;
use crate::error::ParseError;
use crate::json::{self, Json};
use crate::limits::MAX_NAMES;
use crate::push::{Format, routing_field};

/// One value. Shows only its shape in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Value<'a> {
    /// A leaf of XML, or a string of JSON.
    Text(Cow<'a, str>),
    /// A number of JSON.
    Number(Number<'a>),
    /// A boolean of JSON.
    Bool(bool),
    /// An element with children, or an object.
    Object(Fields<'a>),
    /// Repeated elements, or a list.
    List(Vec<Value<'a>>),
}

/// A JSON number as it was written, since 64-bit ids do not survive a `f64`.
#[derive(Clone, PartialEq, Eq)]
pub struct Number<'a>(Cow<'a, str>);

/// Names and values in the order of the document; every name once.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Number<'a> {
    /// `literal` has been checked against the grammar.
    pub(crate) fn literal(literal: &'a str) -> Self {
        Self(Cow::Borrowed(literal))
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its value, when it is an integer of that size.
    pub fn as_u64(&self) -> Option<u64> {
        self.0.parse().ok()
    }

    pub(crate) fn into_text(self) -> Cow<'a, str> {
        self.0
    }

    fn into_owned(self) -> Number<'static> {
        Number(Cow::Owned(self.0.into_owned()))
    }
}

impl Value<'_> {
    /// The text, or a number's literal.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(number) => Some(number.as_str()),
            Self::Bool(_) | Self::Object(_) | Self::List(_) => None,
        }
    }

    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// The field of this name, when this is an object.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.get(name),
            _ => None,
        }
    }

    /// A copy that borrows nothing. As deep as the value, so at most [`MAX_DEPTH`](crate::limits::MAX_DEPTH).
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Number(number) => Value::Number(number.into_owned()),
            Self::Bool(bool) => Value::Bool(bool),
            Self::Object(fields) => Value::Object(fields.into_owned()),
            Self::List(items) => Value::List(items.into_iter().map(Value::into_owned).collect()),
        }
    }
}

impl<'a> Fields<'a> {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value<'a>> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// The text of a name, or its number's literal.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.text()
    }

    /// The values of a name, be it one or many.
    pub fn list(&self, name: &str) -> slice::Iter<'_, Value<'a>> {
        match self.get(name) {
            Some(Value::List(items)) => items.iter(),
            Some(one) => slice::from_ref(one).iter(),
            None => [].iter(),
        }
    }

    /// Names and values in the order of the document.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A copy that borrows nothing.
    pub fn into_owned(self) -> Fields<'static> {
        let owned = |(name, value): (Cow<'_, str>, Value<'_>)| {
            (Cow::Owned(name.into_owned()), value.into_owned())
        };
        Fields(self.0.into_iter().map(owned).collect())
    }

    /// Leaves whose names are all different.
    pub(crate) fn flat(leaves: Vec<(&'a str, &'a str)>) -> Self {
        let text = |(name, value)| (Cow::Borrowed(name), Value::Text(Cow::Borrowed(value)));
        Self(leaves.into_iter().map(text).collect())
    }

    /// A text that is borrowed from the body, as all texts of [`flat`](Self::flat) are.
    pub(crate) fn leaf(&self, name: &str) -> Option<Cow<'a, str>> {
        match self.get(name)? {
            Value::Text(Cow::Borrowed(text)) => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    /// The value of a name, if there is no other.
    pub(crate) fn only(&self, name: &str) -> Option<&Value<'a>> {
        self.get(name).filter(|_| self.len() == 1)
    }

    pub(crate) fn at(&self, index: usize) -> Option<&Value<'a>> {
        self.0.get(index).map(|(_, value)| value)
    }

    /// Adds a value under a name that is new, or gives it back with the value that is already there.
    fn add(&mut self, name: Cow<'a, str>, value: Value<'a>) -> Result<Added<'_, 'a>, ParseError> {
        // What repeats mostly repeats at once, so the search starts at the end.
        if let Some(index) = self.0.iter().rposition(|(known, _)| *known == name) {
            return Ok(match self.0.get_mut(index) {
                Some((name, known)) => Added::Known(name, known, value),
                None => Added::New,
            });
        }
        if self.0.len() >= MAX_NAMES {
            return Err(ParseError::TooMany);
        }
        if self.0.is_empty() {
            self.0.reserve(8);
        }
        self.0.push((name, value));
        Ok(Added::New)
    }
}

/// What became of a value.
enum Added<'f, 'a> {
    New,
    /// The name occurs again: itself, its value so far, and the new one.
    Known(&'f str, &'f mut Value<'a>, Value<'a>),
}

/// Builds the tree of a document.
pub(crate) struct Tree<'a> {
    merge: bool,
    fields: Fields<'a>,
    open: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            merge: format == Format::Xml,
            fields: Fields::default(),
            open: Vec::new(),
        }
    }

    pub(crate) fn finish(self) -> Fields<'a> {
        self.fields
    }

    fn add(&mut self, name: Cow<'a, str>, value: Value<'a>) -> Result<(), ParseError> {
        let (fields, top) = match self.open.last_mut() {
            Some((_, Value::List(items))) => {
                items.push(value);
                return Ok(());
            }
            Some((_, Value::Object(fields))) => (fields, false),
            _ => (&mut self.fields, true),
        };
        let Added::Known(name, known, value) = fields.add(name, value)? else {
            return Ok(());
        };
        match routing_field(name) {
            Some(routing) if top => return Err(ParseError::Duplicate(routing)),
            _ if !self.merge => *known = value,
            _ => match known {
                Value::List(items) => items.push(value),
                one => {
                    let first = std::mem::replace(one, Value::Bool(false));
                    *one = Value::List(vec![first, value]);
                }
            },
        }
        Ok(())
    }
}

impl<'a> Sink<'a> for Tree<'a> {
    fn enter(&mut self, name: Cow<'a, str>, list: bool) -> Result<(), ParseError> {
        if self.open.is_empty()
            && let Some(routing) = routing_field(&name)
        {
            return Err(ParseError::NotPlain(routing));
        }
        let empty = if list {
            Value::List(Vec::new())
        } else {
            Value::Object(Fields::default())
        };
        self.open.push((name, empty));
        Ok(())
    }

    fn leaf(&mut self, name: Cow<'a, str>, value: Value<'a>) -> Result<(), ParseError> {
        self.add(name, value)
    }

    fn leave(&mut self) -> Result<(), ParseError> {
        match self.open.pop() {
            Some((name, value)) => self.add(name, value),
            None => Ok(()),
        }
    }
}

impl Fields<'_> {
    /// Writes them as they came.
    pub fn write(&self, json: &mut Json) {
        json.begin_object();
        for (name, value) in self.iter() {
            value.write(json.name(name));
        }
        json.end_object();
    }
}

impl Value<'_> {
    /// Writes it as it came. As deep as the value, so at most [`MAX_DEPTH`](crate::limits::MAX_DEPTH).
    pub fn write(&self, json: &mut Json) {
        match self {
            Self::Text(text) => {
                json.text(text);
            }
            Self::Number(number) => {
                json.raw(number.as_str());
            }
            Self::Bool(bool) => {
                json.boolean(*bool);
            }
            Self::Object(fields) => fields.write(json),
            Self::List(items) => {
                json.begin_list();
                for item in items {
                    item.write(json);
                }
                json.end_list();
            }
        }
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json::serialize(serializer, |json| self.write(json))
    }
}

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fields({})", self.len())
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "Text({} bytes)", text.len()),
            Self::Number(number) => number.fmt(f),
            Self::Bool(_) => f.write_str("Bool"),
            Self::Object(fields) => write!(f, "Object({})", fields.len()),
            Self::List(items) => write!(f, "List({})", items.len()),
        }
    }
}

impl fmt::Debug for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Number({} bytes)", self.0.len())
    }
}
