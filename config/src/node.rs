//! A JSON document with paths, and what was found wrong with it.

use std::cell::RefCell;
use std::fmt::{self, Write as _};

use serde_json::Value;

use crate::shape::{Field, Presence};

/// One thing wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where: `accounts[0].token_env`; empty for the whole document.
    pub path: String,
    /// What is wrong and what was expected. Never holds a secret.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            f.write_str(&self.text)
        } else {
            write!(f, "{}: {}", self.path, self.text)
        }
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

/// A value and where it stands. The path is written only when something is wrong.
#[derive(Clone, Copy)]
pub(crate) struct Node<'n> {
    up: Option<&'n Node<'n>>,
    step: Step<'n>,
    pub(crate) value: &'n Value,
    problems: &'n Problems,
}

#[derive(Clone, Copy)]
enum Step<'n> {
    Root,
    Name(&'n str),
    Index(usize),
}

impl<'n> Node<'n> {
    pub(crate) fn root(value: &'n Value, problems: &'n Problems) -> Self {
        Self {
            up: None,
            step: Step::Root,
            value,
            problems,
        }
    }

    pub(crate) fn child<'c>(&'c self, name: &'c str, value: &'c Value) -> Node<'c> {
        Node {
            up: Some(self),
            step: Step::Name(name),
            value,
            problems: self.problems,
        }
    }

    /// The field of this name, there or not.
    pub(crate) fn field<'c>(&'c self, name: &'c str) -> Node<'c> {
        self.child(name, self.value.get(name).unwrap_or(&Value::Null))
    }

    /// The field of this name, `null` counting as absent.
    pub(crate) fn at<'c>(&'c self, name: &'c str) -> Option<Node<'c>> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(self.child(name, value))
    }

    /// The items of a list; none of anything else.
    pub(crate) fn items(&self) -> impl Iterator<Item = Node<'_>> {
        let items = self.value.as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().enumerate().map(|(index, value)| Node {
            up: Some(self),
            step: Step::Index(index),
            value,
            problems: self.problems,
        })
    }

    /// The items of a list, or the one value that stands for a list of one.
    pub(crate) fn one_or_more(&self) -> Vec<Node<'_>> {
        if self.value.is_array() {
            self.items().collect()
        } else {
            vec![*self]
        }
    }

    /// The text of a string or whole number; none of anything else.
    pub(crate) fn word(&self) -> Option<String> {
        match self.value {
            Value::String(text) => Some(text.clone()),
            value => value.as_u64().map(|number| number.to_string()),
        }
    }

    /// The string of a field, or what its absence means. What is not a string was found by the check.
    pub(crate) fn text(&self, fields: &[Field], name: &str) -> Option<&'n str> {
        match (self.value.get(name), presence(fields, name)) {
            (Some(Value::String(text)), _) => Some(text),
            (None | Some(Value::Null), Some(Presence::OrText(text))) => Some(text),
            _ => None,
        }
    }

    /// The whole number of a field, or what its absence means. What is not one was found by the check.
    pub(crate) fn number(&self, fields: &[Field], name: &str) -> u64 {
        let default = match presence(fields, name) {
            Some(Presence::Or(number)) => *number,
            _ => 0,
        };
        let given = self.value.get(name).and_then(Value::as_u64);
        given.unwrap_or(default)
    }

    /// Notes that something is wrong here.
    pub(crate) fn wrong(&self, text: impl Into<String>) {
        let mut path = String::new();
        self.write_path(&mut path);
        self.problems.0.borrow_mut().push(Problem {
            path,
            text: text.into(),
        });
    }

    fn write_path(&self, out: &mut String) {
        if let Some(up) = self.up {
            up.write_path(out);
        }
        // Writing to a String cannot fail.
        let _ = match self.step {
            Step::Root => Ok(()),
            Step::Name(name) if out.is_empty() => out.write_str(name),
            Step::Name(name) => write!(out, ".{name}"),
            Step::Index(index) => write!(out, "[{index}]"),
        };
    }
}

fn presence<'f>(fields: &'f [Field], name: &str) -> Option<&'f Presence> {
    let field = fields.iter().find(|field| field.name == name)?;
    Some(&field.presence)
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
