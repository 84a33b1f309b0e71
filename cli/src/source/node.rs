//! A document whose every key and value knows the bytes it was written in.

use std::ops::Range;

use serde_json::{Map, Number};

/// A value and where it is written.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its bytes in the text, quotes included. The end of a block mapping or list is where the next thing starts.
    pub span: Range<usize>,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum Value {
    /// A string, number, boolean or null: its text after unescaping, and how it was written.
    Scalar(String, Style),
    /// A list.
    List(Vec<Node>),
    /// A mapping or object, in the order written; a key may occur twice.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key, a scalar.
    pub key: Node,
    /// The value.
    pub value: Node,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Bare: in JSON a number, `true`, `false`, `null`.
    Plain,
    /// `'…'`.
    SingleQuoted,
    /// `"…"`.
    DoubleQuoted,
    /// `|`.
    Literal,
    /// `>`.
    Folded,
}

/// Where a path leads.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The deepest node on the path.
    pub node: &'a Node,
    /// The key it stands under, unless it is an item of a list or the root.
    pub key: Option<&'a Node>,
    /// Whether the path ends here, and nothing of it is missing in the document.
    pub whole: bool,
}

impl Place<'_> {
    /// What to point at: a scalar itself; the key of anything longer; else its beginning.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        match (&self.node.value, self.key) {
            (Value::Scalar(..), _) | (_, None) => self.node.span.clone(),
            (_, Some(key)) => key.span.clone(),
        }
    }
}

impl Node {
    /// The text of a scalar.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text, _) => Some(text),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The entries of a map; none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Scalar(..) | Value::List(_) => &[],
        }
    }

    /// The items of a list; none for anything else.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            Value::Scalar(..) | Value::Map(_) => &[],
        }
    }

    /// The entry of a key, the last one if there are several: that is the one that counts in JSON.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        let mut entries = self.entries().iter().rev();
        entries.find(|entry| entry.key.text() == Some(key))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The value of a protobuf field, which JSON and YAML may name `snake_case` or `lowerCamelCase`.
    #[must_use]
    pub fn field(&self, snake: &str) -> Option<&Node> {
        self.get(snake).or_else(|| self.get(&camel(snake)))
    }

    /// [`field`](Self::field) after [`field`](Self::field).
    #[must_use]
    pub fn fields(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| node.field(name))
    }

    /// Follows a path such as `accounts[0].rules[3].when` as far as the document goes. Keys may hold dots.
    #[must_use]
    pub fn locate(&self, path: &str) -> Place<'_> {
        let mut place = Place {
            node: self,
            key: None,
            whole: false,
        };
        let mut rest = path;
        while !rest.is_empty() {
            let Some((node, key, after)) = place.node.step(rest) else {
                return place;
            };
            (place.node, place.key) = (node, key);
            rest = after.strip_prefix('.').unwrap_or(after);
        }
        place.whole = true;
        place
    }

    fn step<'a, 'p>(&'a self, path: &'p str) -> Option<(&'a Node, Option<&'a Node>, &'p str)> {
        match &self.value {
            Value::Scalar(..) => None,
            Value::List(items) => {
                let (index, after) = path.strip_prefix('[')?.split_once(']')?;
                let item = items.get(index.parse::<usize>().ok()?)?;
                Some((item, None, after))
            }
            Value::Map(entries) => {
                let fits = |entry: &Entry| {
                    let key = entry.key.text()?;
                    let after = path.strip_prefix(key)?;
                    (after.is_empty() || after.starts_with(['.', '['])).then_some(key.len())
                };
                let entry = entries
                    .iter()
                    .filter(|entry| fits(entry).is_some())
                    .max_by_key(|entry| fits(entry))?;
                let key = entry.key.text()?;
                Some((&entry.value, Some(&entry.key), &path[key.len()..]))
            }
        }
    }

    /// Every node below and this one, parents first, in the order written.
    pub fn walk(&self) -> impl Iterator<Item = &Node> {
        let mut stack = vec![self];
        std::iter::from_fn(move || {
            let node = stack.pop()?;
            match &node.value {
                Value::Scalar(..) => {}
                Value::List(items) => stack.extend(items.iter().rev()),
                Value::Map(entries) => stack.extend(entries.iter().rev().map(|e| &e.value)),
            }
            Some(node)
        })
    }

    /// Keys that stand in one map more than once: the later ones.
    #[must_use]
    pub fn repeated_keys(&self) -> Vec<&Node> {
        let mut repeated = Vec::new();
        for node in self.walk() {
            let mut seen = std::collections::HashSet::new();
            for entry in node.entries() {
                if entry.key.text().is_some_and(|key| !seen.insert(key)) {
                    repeated.push(&entry.key);
                }
            }
        }
        repeated
    }

    /// The document as JSON: bare scalars by YAML's core schema, of repeated keys the last.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Scalar(text, Style::Plain) => plain(text),
            Value::Scalar(text, _) => Json::String(text.clone()),
            Value::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(entries) => {
                let pair = |entry: &Entry| {
                    let key = entry.key.text().unwrap_or_default().to_owned();
                    (key, entry.value.to_json())
                };
                Json::Object(entries.iter().map(pair).collect::<Map<_, _>>())
            }
        }
    }
}

fn camel(snake: &str) -> String {
    let mut words = snake.split('_');
    let mut out = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

/// A bare scalar. Source: YAML 1.2.2, 10.3.2 (core schema); infinities, octal and hexadecimal numbers stay text.
fn plain(text: &str) -> serde_json::Value {
    use serde_json::Value as Json;
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Json::Null,
        "true" | "True" | "TRUE" => return Json::Bool(true),
        "false" | "False" | "FALSE" => return Json::Bool(false),
        _ => {}
    }
    let number = |text: &str| text.parse::<Number>().ok().map(Json::Number);
    number(text)
        .or_else(|| number(text.strip_prefix('+')?))
        .unwrap_or_else(|| Json::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::json::positions;
    use super::*;

    #[test]
    fn a_path_leads_to_its_value_or_as_far_as_the_document_goes() {
        let text = r#"{"a": [{"b.c": 1, "b": {"c": 2}}], "d": {}}"#;
        let root = positions(text);
        let at = |path: &str| {
            let place = root.locate(path);
            (&text[place.span()], place.whole)
        };
        assert_eq!(at("a[0].b.c"), ("1", true));
        assert_eq!(at("a[0].b"), ("\"b\"", true));
        assert_eq!(at("a[0].x"), (r#"{"b.c": 1, "b": {"c": 2}}"#, false));
        assert_eq!(at("d.token_env"), ("\"d\"", false));
        assert_eq!(at("a[7].x"), ("\"a\"", false));
        assert_eq!(at(""), (text, true));
    }

    #[test]
    fn a_field_of_protobuf_goes_by_either_of_its_names() {
        let root = positions(r#"{"vmConfig": {"host_env_keys": [1]}, "@type": 2}"#);
        assert!(root.fields(&["vm_config", "host_env_keys"]).is_some());
        assert!(root.fields(&["vm_config", "code"]).is_none());
        assert!(root.field("@type").is_some());
    }

    #[test]
    fn bare_scalars_become_what_yaml_says() {
        let as_json = |text: &str| plain(text).to_string();
        assert_eq!(as_json("~"), "null");
        assert_eq!(as_json("12"), "12");
        assert_eq!(as_json("+12"), "12");
        assert_eq!(as_json("1.5"), "1.5");
        assert_eq!(as_json("True"), "true");
        assert_eq!(as_json("5s"), "\"5s\"");
        assert_eq!(as_json("007"), "\"007\"");
    }
}
