//! Documents with positions: what is wrong in a file is shown where it stands.
//!
//! [`Source`] is a file's text and knows its lines. [`Node`] is a JSON or YAML document whose every key and value carries
//! the bytes it was written in; [`json`] and [`yaml`] make it. [`Embedded`] leads from JSON inside a YAML or JSON
//! string back to the file.
//!
//! Bounds: files of at most [`MAX_BYTES`]; YAML aliases may not blow a document up ([`yaml::MAX_NODES`]).

mod embedded;
pub mod json;
mod node;
pub mod yaml;

use std::io::Read;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, bail};

pub use embedded::Embedded;
pub use node::{Entry, Node, Place, Style, Value};

/// Larger files are refused: an Envoy configuration with a thousand accounts is a tenth of it.
pub const MAX_BYTES: u64 = 64 << 20;

/// A file's text, and where its lines are.
#[derive(Debug)]
pub struct Source {
    name: String,
    text: String,
    /// The byte each line starts at.
    lines: Vec<usize>,
}

impl Source {
    /// Text that goes by `name` in messages.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0)
            .chain(breaks.map(|(at, _)| at + 1))
            .collect();
        Self {
            name: name.into(),
            text,
            lines,
        }
    }

    /// Reads a file; `-` is the standard input.
    ///
    /// # Errors
    /// It cannot be read, is larger than [`MAX_BYTES`], or is not UTF-8.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let mut bytes = Vec::new();
        let name = if path.as_os_str() == "-" {
            std::io::stdin()
                .lock()
                .take(MAX_BYTES + 1)
                .read_to_end(&mut bytes)
                .context("the standard input")?;
            "<stdin>".to_owned()
        } else {
            std::fs::File::open(path)
                .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
                .with_context(|| path.display().to_string())?;
            path.display().to_string()
        };
        if bytes.len() as u64 > MAX_BYTES {
            bail!("{name} is larger than {} MiB", MAX_BYTES >> 20);
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(error) => bail!(
                "{name} is not UTF-8 (byte {})",
                error.utf8_error().valid_up_to()
            ),
        }
    }

    /// What it is called: its path as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Line and column of a byte, both from 1; columns count characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines[line - 1];
        let column = self
            .text
            .get(start..offset)
            .map_or(offset - start, |before| before.chars().count());
        (line, column + 1)
    }

    /// The bytes of a line, from 1, without its end.
    #[must_use]
    pub fn line(&self, number: usize) -> Range<usize> {
        let start = self.lines[number - 1];
        let end = self.lines.get(number).map_or(self.text.len(), |n| n - 1);
        let line = self.text[start..end].trim_end_matches('\r');
        start..start + line.len()
    }

    /// The part of `span` that is in its first line.
    #[must_use]
    pub fn first_line_of(&self, span: &Range<usize>) -> Range<usize> {
        let line = self.line(self.position(span.start).0);
        let start = span.start.min(line.end);
        let end = span.end.clamp(start, line.end);
        let trimmed = self
            .text
            .get(start..end)
            .map_or(end - start, |text| text.trim_end().len());
        start..start + trimmed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        let source = Source::new("x", "a\r\n你好b\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(3), (2, 1));
        assert_eq!(source.position(9), (2, 3));
        assert_eq!(source.position(999), (3, 1));
        assert_eq!(&source.text()[source.line(1)], "a");
        assert_eq!(&source.text()[source.line(2)], "你好b");
        assert_eq!(source.line(3), 11..11);
    }
}
