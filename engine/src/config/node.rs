//! Reads a JSON document field by field and remembers everything that is wrong with it.
//!
//! A derive would stop at the first problem; an operator wants them all, each with its path.

use std::cell::RefCell;
use std::fmt;

use serde_json::{Map, Value};

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
    pub(crate) fn add(&self, path: impl Into<String>, text: impl Into<String>) {
        self.0.borrow_mut().push(Problem {
            path: path.into(),
            text: text.into(),
        });
    }

    pub(crate) fn into_vec(self) -> Vec<Problem> {
        self.0.into_inner()
    }
}

/// A JSON value and where it stands.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    pub(crate) path: String,
    pub(crate) value: &'a Value,
    pub(crate) problems: &'a Problems,
}

impl<'a> Node<'a> {
    pub(crate) fn wrong(&self, text: impl Into<String>) {
        self.problems.add(self.path.clone(), text);
    }

    pub(crate) fn object(&self) -> Option<Object<'a>> {
        match self.value {
            Value::Object(map) => Some(Object {
                path: self.path.clone(),
                map,
                known: RefCell::new(Vec::new()),
                problems: self.problems,
            }),
            other => {
                self.wrong(format!("expected an object, found {}", kind(other)));
                None
            }
        }
    }

    pub(crate) fn items(&self) -> Vec<Node<'a>> {
        match self.value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(i, value)| Node {
                    path: format!("{}[{i}]", self.path),
                    value,
                    problems: self.problems,
                })
                .collect(),
            other => {
                self.wrong(format!("expected a list, found {}", kind(other)));
                Vec::new()
            }
        }
    }

    pub(crate) fn string(&self) -> Option<&'a str> {
        match self.value {
            Value::String(s) => Some(s),
            other => {
                self.wrong(format!("expected a string, found {}", kind(other)));
                None
            }
        }
    }
}

/// A JSON object whose fields are asked for one by one; [`finish`](Object::finish) refuses the rest.
pub(crate) struct Object<'a> {
    path: String,
    map: &'a Map<String, Value>,
    known: RefCell<Vec<&'static str>>,
    problems: &'a Problems,
}

impl<'a> Object<'a> {
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    pub(crate) fn wrong(&self, key: &str, text: impl Into<String>) {
        self.problems.add(self.path_of(key), text);
    }

    /// The field, `null` counting as absent.
    pub(crate) fn field(&self, key: &'static str) -> Option<Node<'a>> {
        self.known.borrow_mut().push(key);
        match self.map.get(key) {
            None | Some(Value::Null) => None,
            Some(value) => Some(Node {
                path: self.path_of(key),
                value,
                problems: self.problems,
            }),
        }
    }

    pub(crate) fn required(&self, key: &'static str) -> Option<Node<'a>> {
        let node = self.field(key);
        if node.is_none() {
            self.wrong(key, "is missing");
        }
        node
    }

    pub(crate) fn string(&self, key: &'static str) -> Option<&'a str> {
        self.field(key)?.string()
    }

    pub(crate) fn required_string(&self, key: &'static str) -> Option<&'a str> {
        self.required(key)?.string()
    }

    /// A whole number within `range`, or `default` when absent.
    pub(crate) fn number(
        &self,
        key: &'static str,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> u64 {
        let Some(node) = self.field(key) else {
            return default;
        };
        match node.value.as_u64() {
            Some(n) if range.contains(&n) => n,
            _ => {
                node.wrong(format!(
                    "expected a whole number from {} to {}",
                    range.start(),
                    range.end()
                ));
                default
            }
        }
    }

    /// One of the named values, or `default` when absent.
    pub(crate) fn choice<T: Copy>(
        &self,
        key: &'static str,
        default: Option<T>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let node = match default {
            Some(_) => self.field(key),
            None => self.required(key),
        };
        let Some(node) = node else { return default };
        let text = node.string()?;
        let found = choices.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            let names: Vec<_> = choices
                .iter()
                .map(|(name, _)| format!("\"{name}\""))
                .collect();
            node.wrong(format!("expected {}", names.join(" or ")));
        }
        found.map(|(_, value)| *value)
    }

    /// Refuses every field that was not asked for.
    pub(crate) fn finish(self) {
        let known = self.known.into_inner();
        for key in self.map.keys().filter(|key| !known.contains(&key.as_str())) {
            let nearest = known
                .iter()
                .map(|name| (distance(name, key), name))
                .min()
                .filter(|(distance, name)| *distance <= 1 + name.len() / 4);
            let path = if self.path.is_empty() {
                key.clone()
            } else {
                format!("{}.{key}", self.path)
            };
            self.problems.add(
                path,
                match nearest {
                    Some((_, name)) => format!("is not a known field; did you mean \"{name}\"?"),
                    None => format!("is not a known field; known are {}", known.join(", ")),
                },
            );
        }
    }
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
