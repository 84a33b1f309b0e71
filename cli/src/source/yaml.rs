//! Reads YAML with the positions of its keys and values.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::node::{Entry, Node, Style, Value};

/// More keys and values than that, aliases written out, are refused.
pub const MAX_NODES: usize = 2_000_000;
/// Deeper nesting is refused: no Envoy configuration comes near, and walking it must not overflow a stack.
pub const MAX_DEPTH: usize = 128;

/// A text that is not YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotYaml {
    /// What was wrong.
    pub message: String,
    /// The byte where it was noticed.
    pub offset: usize,
}

/// Reads every document of a YAML text. Aliases are written out; merge keys (`<<`) are keys like others.
///
/// # Errors
/// It is not YAML, an alias names no anchor, or it is deeper than [`MAX_DEPTH`] or larger than [`MAX_NODES`].
pub fn parse(text: &str) -> Result<Vec<Node>, NotYaml> {
    let offsets = Offsets::new(text);
    let mut loader = Loader::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| NotYaml {
            message: error.info().to_owned(),
            offset: offsets.byte(error.marker().index()),
        })?;
        let (start, end) = (
            offsets.byte(span.start.index()),
            offsets.byte(span.end.index()),
        );
        loader.event(event, start, end).map_err(|message| NotYaml {
            message: message.to_owned(),
            offset: start,
        })?;
    }
    Ok(loader.documents)
}

/// From the parser's count of characters to bytes.
struct Offsets {
    /// The byte of every character; `None` when all of them are one byte.
    bytes: Option<Vec<usize>>,
    length: usize,
}

impl Offsets {
    fn new(text: &str) -> Self {
        Self {
            bytes: (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect()),
            length: text.len(),
        }
    }

    fn byte(&self, index: usize) -> usize {
        match &self.bytes {
            None => index.min(self.length),
            Some(bytes) => bytes.get(index).copied().unwrap_or(self.length),
        }
    }
}

/// Builds documents out of events, without recursion.
#[derive(Default)]
struct Loader {
    documents: Vec<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Built>,
    /// Keys and values so far, copies for anchors and aliases included.
    nodes: usize,
}

/// A list or map that is not complete yet.
struct Open {
    start: usize,
    anchor: usize,
    kind: OpenKind,
    size: usize,
    depth: usize,
}

enum OpenKind {
    List(Vec<Node>),
    Map(Vec<Entry>, Option<Node>),
}

/// A complete value with its count of nodes and its depth, which an alias of it adds to the document's.
#[derive(Clone)]
struct Built {
    node: Node,
    size: usize,
    depth: usize,
}

impl Built {
    fn scalar(text: &str, style: Style, span: Range<usize>) -> Self {
        let value = Value::Scalar(text.to_owned(), style);
        Self {
            node: Node { span, value },
            size: 1,
            depth: 1,
        }
    }
}

impl Loader {
    fn event(&mut self, event: Event<'_>, start: usize, end: usize) -> Result<(), &'static str> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                // `!!str 12` is a text.
                let as_text = tag.is_some_and(|tag| tag.suffix == "str");
                let style = match style {
                    ScalarStyle::Plain if as_text => Style::SingleQuoted,
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::SingleQuoted,
                    ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
                    ScalarStyle::Literal => Style::Literal,
                    ScalarStyle::Folded => Style::Folded,
                };
                self.complete(Built::scalar(&text, style, start..end), anchor)
            }
            Event::Alias(anchor) => {
                let built = self.anchors.get(&anchor).ok_or("the anchor is not known")?;
                self.nodes += built.size;
                self.check(built.depth)?;
                let built = built.clone();
                self.complete(built, 0)
            }
            Event::SequenceStart(anchor, _) => self.open(start, anchor, OpenKind::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.open(start, anchor, OpenKind::Map(Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(end),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn check(&self, depth: usize) -> Result<(), &'static str> {
        if self.open.len() + depth > MAX_DEPTH {
            return Err("it is nested too deeply");
        }
        if self.nodes > MAX_NODES {
            return Err("it is too large, with its aliases written out");
        }
        Ok(())
    }

    fn open(&mut self, start: usize, anchor: usize, kind: OpenKind) -> Result<(), &'static str> {
        self.check(1)?;
        self.open.push(Open {
            start,
            anchor,
            kind,
            size: 1,
            depth: 0,
        });
        Ok(())
    }

    fn close(&mut self, end: usize) -> Result<(), &'static str> {
        let Some(open) = self.open.pop() else {
            return Err("something ends that has not begun");
        };
        let value = match open.kind {
            OpenKind::List(items) => Value::List(items),
            OpenKind::Map(entries, _) => Value::Map(entries),
        };
        let span = open.start..end.max(open.start);
        let built = Built {
            node: Node { span, value },
            size: open.size,
            depth: open.depth + 1,
        };
        self.complete(built, open.anchor)
    }

    fn complete(&mut self, built: Built, anchor: usize) -> Result<(), &'static str> {
        self.nodes += 1;
        if anchor != 0 {
            self.nodes += built.size;
            self.check(built.depth)?;
            self.anchors.insert(anchor, built.clone());
        }
        self.check(built.depth)?;
        let Built { node, size, depth } = built;
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        open.size += size;
        open.depth = open.depth.max(depth);
        match &mut open.kind {
            OpenKind::List(items) => items.push(node),
            OpenKind::Map(entries, waiting) => match waiting.take() {
                None if node.text().is_none() => return Err("a key has to be a plain text"),
                None => *waiting = Some(node),
                Some(key) => entries.push(Entry { key, value: node }),
            },
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        let mut documents = parse(text).unwrap();
        assert_eq!(documents.len(), 1);
        documents.remove(0)
    }

    #[test]
    fn keys_and_values_are_found_where_they_stand() {
        for newline in ["\n", "\r\n"] {
            let text =
                "# 你好\na:\n- b: 好 # x\n  c: {d: [1, \"2\"]}\ne: 'f'\n".replace('\n', newline);
            let root = one(&text);
            let at = |path: &str| &text[root.locate(path).span()];
            assert_eq!(at("a[0].b"), "好");
            assert_eq!(at("a[0].c"), "c");
            assert_eq!(at("a[0].c.d[1]"), "\"2\"");
            assert_eq!(at("e"), "'f'");
            assert!(at("a[0]").starts_with("b: 好"), "{}", at("a[0]"));
            assert_eq!(
                root.to_json().to_string(),
                r#"{"a":[{"b":"好","c":{"d":[1,"2"]}}],"e":"f"}"#
            );
        }
    }

    #[test]
    fn an_alias_is_what_its_anchor_is() {
        let root = one("a: &x { b: 1 }\nc: *x\n");
        assert_eq!(root.get("c").unwrap().to_json().to_string(), r#"{"b":1}"#);
    }

    #[test]
    fn a_mistake_is_noticed_at_its_place() {
        let error = parse("a: 你\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!(error.offset > 6, "{error:?}");
        assert!(parse("{a: b}: c").is_err());
        assert!(parse("a: *nowhere").is_err());
    }

    #[test]
    fn documents_that_blow_up_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            let one = format!("*a{}, ", i - 1);
            bomb.push_str(&format!("a{i}: &a{i} [{}]\n", one.repeat(10)));
        }
        assert!(parse(&bomb).unwrap_err().message.contains("too large"));
        let mut ladder = String::from("a0: &a0 [x]\n");
        for i in 1..200 {
            ladder.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
        }
        assert!(parse(&ladder).unwrap_err().message.contains("deeply"));
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
