//! JSON inside a string of another document: from a place in it to the place in the file.

use std::ops::Range;

use super::json::unescaped_to_written;
use super::node::{Node, Style, Value};

/// The value of a string, and how to find its bytes in the file.
#[derive(Debug)]
pub struct Embedded<'a> {
    text: &'a str,
    file: &'a str,
    span: Range<usize>,
    how: How,
}

#[derive(Debug)]
enum How {
    /// A literal block: for each line of the value, the byte of the file where it starts.
    Lines(Vec<usize>),
    /// The file holds the value as it is, from this byte.
    Verbatim(usize),
    /// Quoted with escapes.
    Escaped,
    /// No way back: folded.
    Unknown,
}

impl<'a> Embedded<'a> {
    /// For a scalar of `file`; `None` for a list or map.
    #[must_use]
    pub fn new(file: &'a str, node: &'a Node) -> Option<Self> {
        let Value::Scalar(text, style) = &node.value else {
            return None;
        };
        let written = file.get(node.span.clone())?;
        let how = match style {
            Style::Literal => lines(file, node.span.start, text).map_or(How::Unknown, How::Lines),
            Style::Folded => How::Unknown,
            _ => match written.find(text.as_str()) {
                Some(at) => How::Verbatim(node.span.start + at),
                None if *style == Style::DoubleQuoted => How::Escaped,
                None => How::Unknown,
            },
        };
        Some(Self {
            text,
            file,
            span: node.span.clone(),
            how,
        })
    }

    /// The value.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Where the bytes `range` of the value are in the file. The scalar's beginning where that cannot be told.
    #[must_use]
    pub fn in_file(&self, range: &Range<usize>) -> Range<usize> {
        let found = match &self.how {
            How::Lines(starts) => {
                let at = |offset: usize| {
                    let before = self.text.get(..offset)?;
                    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
                    let start = starts.get(before.matches('\n').count())?;
                    Some(start + (offset - line_start))
                };
                at(range.start).and_then(|start| Some(start..at(range.end)?))
            }
            How::Verbatim(start) => Some(start + range.start..start + range.end),
            How::Escaped => unescaped_to_written(&self.file[self.span.clone()], range)
                .map(|found| self.span.start + found.start..self.span.start + found.end),
            How::Unknown => None,
        };
        found.unwrap_or(self.span.start..self.span.start)
    }

    /// Whether [`in_file`](Self::in_file) finds the very place.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !matches!(self.how, How::Unknown)
    }
}

/// The start of every line of a literal block whose header (`|`) or content begins at `from`.
fn lines(file: &str, from: usize, text: &str) -> Option<Vec<usize>> {
    let first = text.lines().position(|line| !line.trim().is_empty())?;
    let content = text.lines().nth(first)?;
    // The parser may report the header or the content: the first line that ends as the content does tells.
    let line_start = file[..from].rfind('\n').map_or(0, |at| at + 1);
    let mut at = line_start;
    let mut candidates = file[line_start..].split_inclusive('\n');
    let (indent, mut start) = loop {
        let line = candidates.next()?;
        let bare = line.trim_end_matches(['\n', '\r']);
        if let Some(indent) = bare.strip_suffix(content)
            && indent.bytes().all(|byte| byte == b' ')
        {
            break (indent.len(), at);
        }
        at += line.len();
    };
    // Back over the blank lines in front, then on line by line.
    for _ in 0..first {
        start = file[..start.checked_sub(1)?]
            .rfind('\n')
            .map_or(0, |at| at + 1);
    }
    let mut starts = Vec::new();
    for (line, _) in file[start..].split_inclusive('\n').zip(text.split('\n')) {
        let blank = line.trim_end_matches(['\n', '\r']).len();
        starts.push(start + indent.min(blank));
        start += line.len();
    }
    Some(starts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::yaml;

    /// Finds `"你": 7` inside the string under `v`, however it is written, and shows what stands there in the file.
    fn seven(file: &str) -> String {
        let root = yaml::parse(file).unwrap().remove(0);
        let embedded = Embedded::new(file, root.get("v").unwrap()).unwrap();
        let at = embedded.text().find('7').unwrap();
        file[embedded.in_file(&(at..at + 1))].to_owned()
    }

    #[test]
    fn a_value_in_a_string_is_found_in_the_file() {
        let json = "{\n  \"x\": [1,\n 2],\n\n  \"你\": 7\n}\n";
        let indented = |by: &str, newline: &str| -> String {
            json.lines()
                .map(|line| format!("{by}{line}{newline}"))
                .collect()
        };
        assert_eq!(
            seven(&format!("你: 7\nv: |\n{}w: 7\n", indented("    ", "\n"))),
            "7"
        );
        assert_eq!(
            seven(&format!("v: |-\r\n{}w: 7\r\n", indented("  ", "\r\n"))),
            "7"
        );
        assert_eq!(
            seven(&format!("v: |2 # {{\n\n{}", indented("  ", "\n"))),
            "7"
        );
        assert_eq!(seven("u: 7\nv: '{\"你\": 7}'\n"), "7");
        assert_eq!(seven("u: 7\nv: \"{\\\"你\\\": 7}\"\n"), "7");
        assert_eq!(seven("{\"u\": 7, \"v\": \"{\\\"\\u4f60\\\":\\n 7}\"}"), "7");
    }

    #[test]
    fn where_lines_are_folded_the_beginning_has_to_do() {
        assert_eq!(seven("v: >\n  {\"你\":\n  7}\n"), "");
    }
}
