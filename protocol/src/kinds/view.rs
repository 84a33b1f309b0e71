//! A value seen by its shape: what is in it once wrappers are off and one is a list of one.

use std::slice;

use super::shape::{Field, Items, Shape};
use crate::document::{is_blank, trim};
use crate::fields::{Fields, Value};

/// A value, and the shape it should have; none when that is not known.
#[derive(Clone, Copy)]
pub(super) struct View<'v, 'a> {
    value: &'v Value<'a>,
    shape: Option<&'static Shape>,
}

/// What a view shows.
pub(super) enum Seen<'v, 'a> {
    /// A plain value, or what should have been one.
    Plain(&'v str, &'static Shape),
    /// An object, and its known fields.
    Object(&'v Fields<'a>, &'static [Field]),
    /// An element without anything in it, where an object is expected.
    Empty,
    /// A list, and what its items should be.
    List(&'v [Value<'a>], &'static Shape),
    /// A value of which nothing is known, or an object where none is expected.
    Other(&'v Value<'a>),
}

impl<'v, 'a> View<'v, 'a> {
    pub(super) fn new(value: &'v Value<'a>, shape: Option<&'static Shape>) -> Self {
        Self { value, shape }
    }

    pub(super) fn seen(self) -> Seen<'v, 'a> {
        let Some(shape) = self.shape else {
            return Seen::Other(self.value);
        };
        match (shape, self.value) {
            (Shape::List(item), value) => list(value, item),
            (Shape::Lifted(Items { item, .. }), value) => list(value, item),
            (Shape::Items(Items { wrapper, item }), value) => match value {
                Value::Object(fields) => list(fields.only(wrapper).unwrap_or(value), item),
                _ => list(value, item),
            },
            (shape, Value::List(items)) => Seen::List(items, shape),
            (Shape::Object(known), Value::Object(fields)) => Seen::Object(fields, known),
            (Shape::Object(_), value) if is_empty(value) => Seen::Empty,
            (_, value @ Value::Object(_)) => Seen::Other(value),
            (shape, value) => Seen::Plain(plain(value), shape),
        }
    }

    /// What a step of a path leads to: a field's name, or an item's index. One value and a list of one are the same, so
    /// an index of 0 may be there or not.
    pub(super) fn step(self, step: &str) -> Option<Self> {
        let mut view = self;
        loop {
            let (items, shape) = match view.seen() {
                Seen::List(items, shape) => (items, Some(shape)),
                Seen::Other(Value::List(items)) => (items.as_slice(), None),
                Seen::Object(fields, known) => {
                    return find(fields, known, step).or(view.only(step));
                }
                Seen::Other(Value::Object(fields)) => {
                    return find(fields, &[], step).or(view.only(step));
                }
                Seen::Plain(..) | Seen::Other(_) | Seen::Empty => return view.only(step),
            };
            match step.parse::<usize>() {
                Ok(index) => return items.get(index).map(|item| Self::new(item, shape)),
                Err(_) => view = Self::new(items.first()?, shape),
            }
        }
    }

    /// Itself, as the only item of a list.
    fn only(self, step: &str) -> Option<Self> {
        (step == "0").then_some(self)
    }

    /// Its text, if it is plain, or a list that starts with a plain value.
    pub(super) fn text(self) -> Option<&'v str> {
        let mut view = self;
        loop {
            let (items, shape) = match view.seen() {
                Seen::Plain(text, Shape::Text) => return Some(text),
                Seen::Plain(text, _) => return Some(trim(text)),
                Seen::List(items, shape) => (items, Some(shape)),
                Seen::Other(Value::List(items)) => (items.as_slice(), None),
                Seen::Object(..) | Seen::Empty | Seen::Other(Value::Object(_)) => return None,
                Seen::Other(value) => return Some(plain(value)),
            };
            view = Self::new(items.first()?, shape);
        }
    }
}

/// The field of a name; a list that is lifted, from where it is.
pub(super) fn find<'v, 'a>(
    fields: &'v Fields<'a>,
    known: &'static [Field],
    name: &str,
) -> Option<View<'v, 'a>> {
    let known = known.iter().find(|field| field.name == name);
    let shape = known.map(|field| &field.shape);
    let value = fields.get(name).or_else(|| match shape {
        Some(Shape::Lifted(items)) => fields.get(items.wrapper)?.get(name),
        _ => None,
    });
    Some(View::new(value?, shape))
}

fn list<'v, 'a>(value: &'v Value<'a>, item: &'static Shape) -> Seen<'v, 'a> {
    match value {
        Value::List(items) => Seen::List(items, item),
        value if is_empty(value) => Seen::List(&[], item),
        one => Seen::List(slice::from_ref(one), item),
    }
}

/// Whether it is an element without anything in it.
pub(super) fn is_empty(value: &Value<'_>) -> bool {
    match value {
        Value::Text(text) => text.bytes().all(is_blank),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) | Value::Bool(_) | Value::List(_) => false,
    }
}

/// A plain value as text.
fn plain<'v>(value: &'v Value<'_>) -> &'v str {
    match value {
        Value::Bool(true) => "true",
        Value::Bool(false) => "false",
        value => value.text().unwrap_or_default(),
    }
}
