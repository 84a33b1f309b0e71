//! Where the values of a JSON text stand.
//!
//! [`parse`] leaves it to `serde_json` to say what JSON is; the positions come from a second, simple pass over a text
//! that is known to be right.

use std::ops::Range;

use super::node::{Entry, Node, Style, Value};

/// A text that is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotJson {
    /// What was wrong, without the place.
    pub message: String,
    /// The byte where it was noticed.
    pub offset: usize,
}

/// Reads a JSON text. A byte order mark in front is refused, as it is by Weir.
///
/// # Errors
/// It is not JSON, or is nested deeper than 128 levels.
pub fn parse(text: &str) -> Result<Node, NotJson> {
    match serde_json::from_str::<serde::de::IgnoredAny>(text)
        .and_then(|_| serde_json::from_str::<serde_json::Value>(text))
    {
        Ok(_) => Ok(positions(text)),
        Err(error) => Err(not_json(text, &error)),
    }
}

fn not_json(text: &str, error: &serde_json::Error) -> NotJson {
    let line = error.line().max(1);
    let start: usize = text
        .split_inclusive('\n')
        .take(line - 1)
        .map(str::len)
        .sum();
    // serde_json counts columns in bytes, and from the byte after the one it choked on.
    let offset = (start + error.column().saturating_sub(1)).min(text.len());
    let offset = (0..=offset)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    NotJson {
        message: message.strip_suffix(&place).unwrap_or(&message).to_owned(),
        offset,
    }
}

/// The positions in a text that is JSON. Anything else gives some tree, never a panic.
pub(super) fn positions(text: &str) -> Node {
    let mut scanner = Scanner { text, at: 0 };
    scanner.value()
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl Scanner<'_> {
    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let blanks = rest.iter().take_while(|b| b" \t\r\n".contains(b)).count();
        self.at += blanks;
        rest.get(blanks).copied()
    }

    /// Depth is bounded: `serde_json` has accepted the text.
    fn value(&mut self) -> Node {
        match self.peek() {
            Some(b'{') => self.nested(b'}', |scanner, entries: &mut Vec<Entry>| {
                let key = scanner.scalar();
                if scanner.peek() == Some(b':') {
                    scanner.at += 1;
                }
                let value = scanner.value();
                entries.push(Entry { key, value });
            }),
            Some(b'[') => self.nested(b']', |scanner, items: &mut Vec<Node>| {
                items.push(scanner.value());
            }),
            _ => self.scalar(),
        }
    }

    fn nested<T>(&mut self, end: u8, mut member: impl FnMut(&mut Self, &mut Vec<T>)) -> Node
    where
        Value: From<Vec<T>>,
    {
        let start = self.at;
        self.at += 1;
        let mut members = Vec::new();
        loop {
            match self.peek() {
                None => break,
                Some(byte) if byte == end => {
                    self.at += 1;
                    break;
                }
                Some(b',') => self.at += 1,
                Some(_) => member(self, &mut members),
            }
        }
        Node {
            span: start..self.at,
            value: members.into(),
        }
    }

    fn scalar(&mut self) -> Node {
        let quoted = self.peek() == Some(b'"');
        let start = self.at;
        let bytes = self.text.as_bytes();
        if quoted {
            self.at += 1;
            while self.at < bytes.len() && bytes[self.at] != b'"' {
                self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
            }
            self.at += 1;
        } else {
            while self.at < bytes.len() && !b" \t\r\n,:]}".contains(&bytes[self.at]) {
                self.at += 1;
            }
            // A text that is not JSON must not stand still.
            if self.at == start {
                self.at += 1;
            }
        }
        self.at = self.at.min(bytes.len());
        let span = start..self.at;
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let value = if quoted {
            Value::Scalar(
                serde_json::from_str(raw).unwrap_or_default(),
                Style::DoubleQuoted,
            )
        } else {
            Value::Scalar(raw.to_owned(), Style::Plain)
        };
        Node { span, value }
    }
}

impl From<Vec<Node>> for Value {
    fn from(items: Vec<Node>) -> Self {
        Self::List(items)
    }
}

impl From<Vec<Entry>> for Value {
    fn from(entries: Vec<Entry>) -> Self {
        Self::Map(entries)
    }
}

/// From a byte inside a quoted JSON or YAML scalar's value to the byte of the text it was written as.
///
/// `written` is the scalar with its quotes. `None` where an escape is not understood or a line was folded.
pub(super) fn unescaped_to_written(written: &str, range: &Range<usize>) -> Option<Range<usize>> {
    let inner = written.strip_prefix('"')?.strip_suffix('"')?;
    let (mut from, mut decoded) = (None, 0);
    let mut rest = inner;
    loop {
        let at = 1 + inner.len() - rest.len();
        if decoded >= range.start && from.is_none() {
            from = Some(at);
        }
        if decoded >= range.end {
            return Some(from?..at);
        }
        let (value, length) = unit(rest)?;
        decoded += value;
        rest = &rest[length..];
    }
}

/// The first character of an escaped text: bytes of its value, bytes as written.
fn unit(text: &str) -> Option<(usize, usize)> {
    let first = text.chars().next()?;
    if first == '\n' || first == '\r' {
        return None;
    }
    if first != '\\' {
        return Some((first.len_utf8(), first.len_utf8()));
    }
    let hex =
        |from: usize, digits: usize| u32::from_str_radix(text.get(from..from + digits)?, 16).ok();
    match text.as_bytes().get(1)? {
        b'x' => Some((char::from_u32(hex(2, 2)?)?.len_utf8(), 4)),
        b'u' => match hex(2, 4)? {
            // The first half of a pair of surrogates: the second one follows.
            0xD800..=0xDBFF => Some((4, 12)),
            code => Some((char::from_u32(code)?.len_utf8(), 6)),
        },
        b'U' => Some((char::from_u32(hex(2, 8)?)?.len_utf8(), 10)),
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' | b'0' | b'a' | b'v' | b'e'
        | b' ' => Some((1, 2)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_found_where_it_stands() {
        let text = "{\"a\\\"b\" : [1, true ,\"x, y\"],\n\"你\":{\"n\":null}}";
        let root = parse(text).unwrap();
        let list = root.get("a\"b").unwrap();
        let spans: Vec<&str> = list
            .items()
            .iter()
            .map(|item| &text[item.span.clone()])
            .collect();
        assert_eq!(spans, ["1", "true", "\"x, y\""]);
        assert_eq!(&text[root.locate("你.n").span()], "null");
        assert_eq!(&text[root.span.clone()], text);
    }

    #[test]
    fn a_mistake_is_noticed_at_its_place() {
        let text = "{\n  \"你\": 1,\n  \"a\" 2\n}";
        let error = parse(text).unwrap_err();
        assert_eq!(error.message, "expected `:`");
        assert_eq!(&text[error.offset..], "2\n}");
        assert_eq!(parse("").unwrap_err().offset, 0);
        // The last character, from its first byte.
        assert_eq!(parse("{\"a\": \"你").unwrap_err().offset, 7);
    }

    #[test]
    fn text_that_is_no_json_ends_too() {
        for text in ["", "{", "[[", "\"\\", "{]}[", "::::", "{\"a\":}", "]"] {
            positions(text);
        }
    }

    #[test]
    fn a_place_in_an_escaped_text_is_found_in_what_was_written() {
        let written = r#""{\"a\": \"\u4f60\ud83d\ude00\", \"b\":\t1}""#;
        let value: String = serde_json::from_str(written).unwrap();
        let at = value.find('1').unwrap();
        let range = unescaped_to_written(written, &(at..at + 1)).unwrap();
        assert_eq!(&written[range], "1");
        let at = value.find('b').unwrap();
        let range = unescaped_to_written(written, &(at - 1..at + 2)).unwrap();
        assert_eq!(&written[range], r#"\"b\""#);
        assert_eq!(unescaped_to_written(written, &(0..999)), None);
    }
}
