//! What XML and JSON bodies have in common: how they start, and what their readers report.

use std::borrow::Cow;

use crate::error::ParseError;
use crate::fields::{Fields, Value};
use crate::limits::MAX_BODY_BYTES;
use crate::push::Format;
use crate::{flat, json, xml};

/// Takes what a reader finds, in the order of the document. The root object itself is not reported.
pub(crate) trait Sink<'a> {
    /// An object (or, JSON only, a list) starts. Items of a list have no name.
    fn enter(&mut self, name: Cow<'a, str>, list: bool) -> Result<(), ParseError>;
    /// A plain value.
    fn leaf(&mut self, name: Cow<'a, str>, value: Value<'a>) -> Result<(), ParseError>;
    /// The last object or list entered ends.
    fn leave(&mut self) -> Result<(), ParseError>;
}

/// A body of known format and encoding.
pub(crate) struct Document<'a> {
    pub(crate) format: Format,
    text: &'a str,
}

impl<'a> Document<'a> {
    /// Checks size and encoding, and decides the format by the first byte that is not blank.
    pub(crate) fn open(body: &'a [u8]) -> Result<Self, ParseError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(ParseError::TooLarge);
        }
        let text = std::str::from_utf8(body).map_err(|_| ParseError::NotUtf8)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let format = match text.bytes().find(|b| !is_blank(*b)) {
            Some(b'<') => Format::Xml,
            Some(b'{') => Format::Json,
            Some(_) => return Err(ParseError::UnknownFormat),
            None => return Err(ParseError::Empty),
        };
        Ok(Self { format, text })
    }

    /// All fields at once, where the body is simple enough.
    pub(crate) fn flat(&self) -> Option<Fields<'a>> {
        match self.format {
            Format::Xml => flat::leaves(self.text).map(Fields::flat),
            Format::Json => None,
        }
    }

    /// The readers are there once for all sinks, since each is some kB of the plugin.
    pub(crate) fn walk(&self, sink: &mut dyn Sink<'a>) -> Result<(), ParseError> {
        match self.format {
            Format::Xml => xml::walk(self.text, sink),
            Format::Json => json::walk(self.text, sink),
        }
    }
}

/// A blank of XML and of JSON: both name the same four.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// `text` without blanks at its start.
pub(crate) fn trim_start(text: &str) -> &str {
    let blanks = text.bytes().take_while(|b| is_blank(*b)).count();
    text.get(blanks..).unwrap_or_default()
}

/// `text` without blanks at its end.
pub(crate) fn trim_end(text: &str) -> &str {
    let blanks = text.bytes().rev().take_while(|b| is_blank(*b)).count();
    text.get(..text.len() - blanks).unwrap_or_default()
}

/// `text` without blanks around it.
pub(crate) fn trim(text: &str) -> &str {
    trim_end(trim_start(text))
}
