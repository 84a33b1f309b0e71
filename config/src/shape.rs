//! What a document may look like, as data: one table from which documents are checked and the JSON Schema is written.
//!
//! Checking finds every problem, not just the first, each with its path. What a table cannot say (two accounts with one
//! path, a template with a slip) is found by those who read the values.

use serde_json::{Map, Value};

use crate::node::{Node, kind};

/// What a value may be.
pub(crate) enum Shape {
    /// A string.
    Text {
        /// What is expected, as a part of a sentence.
        what: &'static str,
        right: fn(&str) -> bool,
        /// The same as a regular expression, where there is one.
        #[cfg(feature = "schema")]
        pattern: Option<&'static str>,
    },
    /// A whole number.
    Whole { min: u64, max: u64 },
    /// A number, perhaps with a fraction.
    Number { min: u32, max: u32 },
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list.
    List {
        of: &'static Shape,
        min: usize,
        max: usize,
        /// What the items are called in sentences.
        items: &'static str,
    },
    /// An object with these fields and, unless there are none, exactly one of the others. Unknown fields are refused.
    Object {
        fields: &'static [Field],
        one_of: &'static [Field],
    },
    /// An object whose names are free.
    Names { of: &'static Shape },
    /// One of these, told apart by the JSON type.
    Either(&'static [&'static Shape]),
}

/// A field of an object.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) shape: &'static Shape,
    pub(crate) presence: Presence,
    /// What it is for; a sentence or two for operators.
    #[cfg(feature = "schema")]
    pub(crate) doc: &'static str,
}

/// Whether a field must be there.
pub(crate) enum Presence {
    Required,
    Optional,
    /// Absent means this number.
    Or(u64),
    /// Absent means this text.
    OrText(&'static str),
}

/// Declares the fields of an object. The documentation is not compiled into the plugin.
macro_rules! fields {
    ($($name:literal $presence:expr, $shape:expr, $doc:literal;)*) => {
        &[$(Field {
            name: $name,
            shape: $shape,
            presence: $presence,
            #[cfg(feature = "schema")]
            doc: $doc,
        }),*]
    };
}
pub(crate) use fields;

/// Declares a string.
macro_rules! text {
    ($what:literal, $right:expr $(, $pattern:literal)?) => {
        Shape::Text {
            what: $what,
            right: $right,
            #[cfg(feature = "schema")]
            pattern: text!(@pattern $($pattern)?),
        }
    };
    (@pattern) => { None };
    (@pattern $pattern:literal) => { Some($pattern) };
}
pub(crate) use text;

impl Shape {
    /// The fields of an object; none for anything else.
    pub(crate) fn fields(&self) -> &'static [Field] {
        match self {
            Self::Object { fields, .. } => fields,
            _ => &[],
        }
    }

    /// Notes everything in which `node` is not like this.
    pub(crate) fn check(&self, node: &Node<'_>) {
        if !self.fits(node.value) {
            let mut expected = Vec::new();
            self.types(&mut expected);
            let (last, others) = expected.split_last().unwrap_or((&"nothing", &[]));
            let mut list = others.join(", ");
            if !list.is_empty() {
                list.push_str(" or ");
            }
            list.push_str(last);
            return node.wrong(format!("expected {list}, found {}", kind(node.value)));
        }
        match (self, node.value) {
            (Self::Text { what, right, .. }, Value::String(text)) if !right(text) => {
                node.wrong(format!("expected {what}"));
            }
            (Self::Whole { min, max }, value)
                if !value.as_u64().is_some_and(|n| (*min..=*max).contains(&n)) =>
            {
                node.wrong(format!("expected a whole number from {min} to {max}"));
            }
            (Self::Number { min, max }, value)
                if !value
                    .as_f64()
                    .is_some_and(|n| (f64::from(*min)..=f64::from(*max)).contains(&n)) =>
            {
                node.wrong(format!("expected a number from {min} to {max}"));
            }
            (Self::Choice(words), Value::String(text)) if !words.contains(&text.as_str()) => {
                node.wrong(format!(
                    "expected {}",
                    quoted(words.iter().copied(), " or ")
                ));
            }
            (
                Self::List {
                    of,
                    min,
                    max,
                    items,
                },
                Value::Array(values),
            ) => {
                if !(*min..=*max).contains(&values.len()) {
                    node.wrong(format!(
                        "expected {min} to {max} {items}, found {}",
                        values.len()
                    ));
                }
                node.items().for_each(|item| of.check(&item));
            }
            (Self::Object { fields, one_of }, Value::Object(map)) => {
                check_fields(node, map, fields, one_of);
            }
            (Self::Names { of }, Value::Object(map)) => {
                for (name, value) in map {
                    of.check(&node.child(name, value));
                }
            }
            (Self::Either(shapes), value) => {
                if let Some(shape) = shapes.iter().find(|shape| shape.fits(value)) {
                    shape.check(node);
                }
            }
            _ => {}
        }
    }

    /// Whether the value is of a JSON type that this may be.
    fn fits(&self, value: &Value) -> bool {
        match self {
            Self::Text { .. } | Self::Choice(_) => value.is_string(),
            // A number of the wrong kind is told the range.
            Self::Whole { .. } | Self::Number { .. } => value.is_number(),
            Self::Flag => value.is_boolean(),
            Self::List { .. } => value.is_array(),
            Self::Object { .. } | Self::Names { .. } => value.is_object(),
            Self::Either(shapes) => shapes.iter().any(|shape| shape.fits(value)),
        }
    }

    fn types(&self, out: &mut Vec<&'static str>) {
        let name = match self {
            Self::Text { .. } => "a string",
            Self::Choice(["none"]) => "\"none\"",
            Self::Choice(_) => "a string",
            Self::Whole { .. } => "a whole number",
            Self::Number { .. } => "a number",
            Self::Flag => "true or false",
            Self::List { .. } => "a list",
            Self::Object { .. } | Self::Names { .. } => "an object",
            Self::Either(shapes) => return shapes.iter().for_each(|shape| shape.types(out)),
        };
        if !out.contains(&name) {
            out.push(name);
        }
    }
}

fn check_fields(
    node: &Node<'_>,
    map: &Map<String, Value>,
    fields: &'static [Field],
    one_of: &'static [Field],
) {
    let known = || fields.iter().chain(one_of);
    for (name, value) in map {
        let Some(field) = known().find(|field| field.name == name) else {
            node.child(name, value)
                .wrong(unknown(name, known().map(|field| field.name)));
            continue;
        };
        // `null` is as good as absent.
        if !value.is_null() {
            field.shape.check(&node.child(name, value));
        }
    }
    let given = |field: &Field| map.get(field.name).is_some_and(|value| !value.is_null());
    for field in fields {
        if matches!(field.presence, Presence::Required) && !given(field) {
            node.child(field.name, &Value::Null).wrong("is missing");
        }
    }
    if !one_of.is_empty() && one_of.iter().filter(|field| given(field)).count() != 1 {
        let names = quoted(one_of.iter().map(|field| field.name), ", ");
        node.wrong(format!("expected exactly one of {names}"));
    }
}

fn unknown(name: &str, known: impl Iterator<Item = &'static str> + Clone) -> String {
    let nearest = known
        .clone()
        .map(|known| (distance(known, name), known))
        .min()
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4);
    match nearest {
        Some((_, known)) => format!("is not a known field; did you mean \"{known}\"?"),
        None => {
            let known: Vec<_> = known.collect();
            format!("is not a known field; known are {}", known.join(", "))
        }
    }
}

fn quoted(words: impl Iterator<Item = &'static str>, between: &str) -> String {
    let words: Vec<_> = words.map(|word| format!("\"{word}\"")).collect();
    words.join(between)
}

/// Levenshtein distance, for suggestions.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().take(64).enumerate() {
        let mut next = vec![i + 1];
        for (j, cb) in b.iter().enumerate() {
            let at = |row: &[usize], i: usize| row.get(i).copied().unwrap_or(usize::MAX / 2);
            next.push(
                (at(&row, j) + usize::from(ca != *cb))
                    .min(at(&row, j + 1) + 1)
                    .min(at(&next, j) + 1),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn a_slip_of_the_keyboard_is_one_step_away() {
        assert_eq!(distance("token_env", "token_env"), 0);
        assert_eq!(distance("token_env", "tokn_env"), 1);
        assert_eq!(distance("mode", "path"), 4);
        assert_eq!(distance("", "abc"), 3);
    }
}
