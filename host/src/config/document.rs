//! Reading a YAML document so that nothing in it goes unnoticed.
//!
//! Envoy refuses a field it does not know. This host knows far fewer fields, and must neither refuse a file that
//! Envoy accepts nor quietly run something else than what the file says. So each mapping is read through a
//! [`Fields`], which remembers what was asked for; what nobody asked for is written down by its path.
//!
//! Out of scope: the schema. What a field means is for the callers.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

use serde_yaml_ng::Value;

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct Problem {
    /// The place, as in `static_resources.listeners[0].address`.
    pub path: String,
    /// What is wrong there.
    pub what: String,
}

/// What was met while reading and has no effect on this host.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    not_understood: RefCell<Vec<String>>,
    without_effect: RefCell<Vec<String>>,
}

impl Remarks {
    /// Writes down a field or value that changes what Envoy does and that this host cannot do.
    pub(crate) fn not_understood(&self, path: impl Into<String>) {
        self.not_understood.borrow_mut().push(path.into());
    }

    /// Writes down a field that is known and rightly ignored here.
    fn without_effect(&self, path: impl Into<String>) {
        self.without_effect.borrow_mut().push(path.into());
    }

    /// Both lists: not understood, without effect.
    pub(crate) fn into_lists(self) -> (Vec<String>, Vec<String>) {
        (
            self.not_understood.into_inner(),
            self.without_effect.into_inner(),
        )
    }
}

/// One value of the document with its path.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    path: String,
    value: &'a Value,
    remarks: &'a Remarks,
}

impl<'a> Node<'a> {
    /// The document itself.
    pub(crate) fn root(value: &'a Value, remarks: &'a Remarks) -> Self {
        Self {
            path: String::new(),
            value,
            remarks,
        }
    }

    pub(crate) fn problem(&self, what: impl Into<String>) -> Problem {
        Problem {
            path: if self.path.is_empty() {
                "the document".to_owned()
            } else {
                self.path.clone()
            },
            what: what.into(),
        }
    }

    /// Says that this whole value is not understood.
    pub(crate) fn not_understood(&self, why: &str) {
        self.remarks
            .not_understood(format!("{} ({why})", self.path));
    }

    pub(crate) fn fields(&self) -> Result<Fields<'a>, Problem> {
        let Value::Mapping(mapping) = self.value else {
            return Err(self.problem("expected a mapping"));
        };
        let mut entries = Vec::with_capacity(mapping.len());
        for (key, value) in mapping {
            let Value::String(key) = key else {
                return Err(self.problem("expected the names of fields to be strings"));
            };
            let path = if self.path.is_empty() {
                key.clone()
            } else if key.contains('.') {
                format!("{}[{key}]", self.path)
            } else {
                format!("{}.{key}", self.path)
            };
            let node = Node {
                path,
                value,
                remarks: self.remarks,
            };
            entries.push((key.as_str(), node));
        }
        Ok(Fields {
            node: self.clone(),
            entries,
            read: RefCell::default(),
        })
    }

    pub(crate) fn items(&self) -> Result<Vec<Node<'a>>, Problem> {
        let Value::Sequence(items) = self.value else {
            return Err(self.problem("expected a list"));
        };
        Ok(items
            .iter()
            .enumerate()
            .map(|(index, value)| Node {
                path: format!("{}[{index}]", self.path),
                value,
                remarks: self.remarks,
            })
            .collect())
    }

    /// A string; a number or a boolean is taken as it is written, as Envoy's protobuf maps do for environment values.
    pub(crate) fn text(&self) -> Result<String, Problem> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(bool) => Ok(bool.to_string()),
            _ => Err(self.problem("expected a string")),
        }
    }

    pub(crate) fn number(&self) -> Result<u64, Problem> {
        match self.value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
        .ok_or_else(|| self.problem("expected a whole number that is not negative"))
    }

    pub(crate) fn boolean(&self) -> Result<bool, Problem> {
        match self.value {
            Value::Bool(bool) => Ok(*bool),
            _ => Err(self.problem("expected true or false")),
        }
    }

    /// Protobuf's JSON form of a duration: seconds with an `s`, as in `0.25s`.
    pub(crate) fn duration(&self) -> Result<Duration, Problem> {
        let wrong = || self.problem("expected a duration in seconds, as in 0.25s");
        let Value::String(text) = self.value else {
            return Err(wrong());
        };
        let seconds = text.strip_suffix('s').ok_or_else(wrong)?;
        let seconds: f64 = seconds.parse().map_err(|_| wrong())?;
        Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
    }
}

/// The fields of one mapping, each to be asked for by name.
pub(crate) struct Fields<'a> {
    node: Node<'a>,
    entries: Vec<(&'a str, Node<'a>)>,
    read: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Fields<'a> {
    /// The field, if it is there and not null.
    pub(crate) fn get(&self, name: &str) -> Option<Node<'a>> {
        let (key, node) = self.entries.iter().find(|(key, _)| *key == name)?;
        self.read.borrow_mut().insert(key);
        (!node.value.is_null()).then(|| node.clone())
    }

    pub(crate) fn require(&self, name: &str) -> Result<Node<'a>, Problem> {
        self.get(name)
            .ok_or_else(|| self.node.problem(format!("the field {name} is missing")))
    }

    pub(crate) fn node(&self) -> &Node<'a> {
        &self.node
    }

    /// All names that are present, for maps with free keys.
    pub(crate) fn entries(&self) -> Vec<(&'a str, Node<'a>)> {
        let mut read = self.read.borrow_mut();
        for (key, _) in &self.entries {
            read.insert(key);
        }
        self.entries.clone()
    }

    /// The last part of `@type`, as in `HttpConnectionManager`.
    pub(crate) fn type_name(&self) -> Result<String, Problem> {
        let url = self.require("@type")?.text()?;
        Ok(url.rsplit('.').next().unwrap_or_default().to_owned())
    }

    pub(crate) fn text_or(&self, name: &str, default: &str) -> Result<String, Problem> {
        self.get(name)
            .map_or_else(|| Ok(default.to_owned()), |node| node.text())
    }

    pub(crate) fn number_or(&self, name: &str, default: u64) -> Result<u64, Problem> {
        self.get(name).map_or(Ok(default), |node| node.number())
    }

    pub(crate) fn boolean_or(&self, name: &str, default: bool) -> Result<bool, Problem> {
        self.get(name).map_or(Ok(default), |node| node.boolean())
    }

    /// A duration where zero, as in Envoy, means "none".
    pub(crate) fn duration_or(
        &self,
        name: &str,
        default: Option<Duration>,
    ) -> Result<Option<Duration>, Problem> {
        match self.get(name) {
            None => Ok(default),
            Some(node) => Ok(Some(node.duration()?).filter(|time| !time.is_zero())),
        }
    }

    pub(crate) fn items_or_none(&self, name: &str) -> Result<Vec<Node<'a>>, Problem> {
        self.get(name).map_or(Ok(Vec::new()), |node| node.items())
    }

    /// Writes down every field nobody asked for; `without_effect` names those that are known and rightly ignored.
    pub(crate) fn finish(self, without_effect: &[&str]) {
        let read = self.read.borrow();
        for (key, node) in &self.entries {
            if read.contains(key) {
                continue;
            }
            if without_effect.contains(key) {
                self.node.remarks.without_effect(&node.path);
            } else {
                self.node.remarks.not_understood(&node.path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remarks_of(yaml: &str, read: impl FnOnce(Node<'_>)) -> (Vec<String>, Vec<String>) {
        let value: Value = serde_yaml_ng::from_str(yaml).expect("the test's YAML is well formed");
        let remarks = Remarks::default();
        read(Node::root(&value, &remarks));
        remarks.into_lists()
    }

    #[test]
    fn a_field_nobody_asked_for_is_named_by_its_path() {
        let (not_understood, without_effect) =
            remarks_of("a: [{b: 1, c: 2, quiet: 3}]", |document| {
                let top = document.fields().expect("a mapping");
                for item in top.items_or_none("a").expect("a list") {
                    let fields = item.fields().expect("a mapping");
                    assert_eq!(fields.number_or("b", 0), Ok(1));
                    fields.finish(&["quiet"]);
                }
                top.finish(&[]);
            });
        assert_eq!(not_understood, ["a[0].c"]);
        assert_eq!(without_effect, ["a[0].quiet"]);
    }

    #[test]
    fn durations_are_seconds_with_a_unit_and_zero_means_none() {
        remarks_of("{a: 0.25s, b: 0s, c: 5}", |document| {
            let fields = document.fields().expect("a mapping");
            assert_eq!(
                fields.duration_or("a", None),
                Ok(Some(Duration::from_millis(250)))
            );
            assert_eq!(
                fields.duration_or("b", Some(Duration::from_secs(1))),
                Ok(None)
            );
            assert!(fields.duration_or("c", None).is_err());
        });
    }
}
