//! Writes the few shapes of XML and JSON that are sent to WeChat.
//!
//! XML is compact, starts with `<xml>` and has every text in CDATA, since that is how WeChat's own samples look. JSON
//! is raw UTF-8. Characters that XML forbids are left out of both.

use std::borrow::Cow;

use crate::json;
use crate::push::Format;
use crate::scan;

/// An object that is being written; [`finish`](Self::finish) closes it.
pub(crate) struct Writer {
    format: Format,
    out: Vec<u8>,
    /// JSON only: whether a comma is due.
    comma: bool,
}

impl Writer {
    pub(crate) fn new(format: Format, capacity: usize) -> Self {
        let mut out = Vec::with_capacity(capacity);
        out.extend_from_slice(match format {
            Format::Xml => b"<xml>".as_slice(),
            Format::Json => b"{",
        });
        Self {
            format,
            out,
            comma: false,
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.out.extend_from_slice(match self.format {
            Format::Xml => b"</xml>".as_slice(),
            Format::Json => b"}",
        });
        self.out
    }

    pub(crate) fn text(&mut self, name: &str, text: &str) {
        self.start(name);
        let text = &allowed(text);
        match self.format {
            Format::Xml => {
                self.out.extend_from_slice(b"<![CDATA[");
                cdata(text, &mut self.out);
                self.out.extend_from_slice(b"]]>");
            }
            Format::Json => json::string(text, &mut self.out),
        }
        self.end(name);
    }

    pub(crate) fn optional(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(crate) fn number(&mut self, name: &str, number: u64) {
        self.start(name);
        json::unsigned(number, &mut self.out);
        self.end(name);
    }

    /// JSON only: XML as WeChat has it knows none.
    pub(crate) fn boolean(&mut self, name: &str, value: bool) {
        self.start(name);
        self.out
            .extend_from_slice(if value { b"true" } else { b"false" });
        self.end(name);
    }

    pub(crate) fn object(&mut self, name: &str, write: impl FnOnce(&mut Self)) {
        self.start(name);
        self.braces(write);
        self.end(name);
    }

    /// A list of objects: in XML each one is an `item`.
    pub(crate) fn list<T>(&mut self, name: &str, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.start(name);
        if self.format == Format::Json {
            self.out.push(b'[');
        }
        for (index, item) in items.iter().enumerate() {
            match self.format {
                Format::Xml => self.object("item", |w| write(w, item)),
                Format::Json => {
                    if index > 0 {
                        self.out.push(b',');
                    }
                    self.braces(|w| write(w, item));
                }
            }
        }
        if self.format == Format::Json {
            self.out.push(b']');
        }
        self.end(name);
    }

    /// JSON only: a list of texts.
    pub(crate) fn texts<S: AsRef<str>>(&mut self, name: &str, texts: &[S]) {
        self.start(name);
        self.out.push(b'[');
        for (index, text) in texts.iter().enumerate() {
            if index > 0 {
                self.out.push(b',');
            }
            json::string(&allowed(text.as_ref()), &mut self.out);
        }
        self.out.push(b']');
        self.end(name);
    }

    fn braces(&mut self, write: impl FnOnce(&mut Self)) {
        if self.format == Format::Xml {
            return write(self);
        }
        self.out.push(b'{');
        self.comma = false;
        write(self);
        self.out.push(b'}');
        self.comma = true;
    }

    fn start(&mut self, name: &str) {
        match self.format {
            Format::Xml => {
                self.out.push(b'<');
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'>');
            }
            Format::Json => {
                if self.comma {
                    self.out.push(b',');
                }
                self.comma = true;
                self.out.push(b'"');
                self.out.extend_from_slice(name.as_bytes());
                self.out.extend_from_slice(b"\":");
            }
        }
    }

    fn end(&mut self, name: &str) {
        if self.format == Format::Xml {
            self.out.extend_from_slice(b"</");
            self.out.extend_from_slice(name.as_bytes());
            self.out.push(b'>');
        }
    }
}

/// `text` without the characters that XML 1.0 forbids.
pub(crate) fn allowed(text: &str) -> Cow<'_, str> {
    // U+FFFE and U+FFFF, the only ones beyond ASCII, start with this byte; so does much of Chinese punctuation.
    let suspect = scan::position(text.as_bytes(), b' ', [0xef]);
    if suspect.is_none() || text.chars().all(is_allowed) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().filter(|char| is_allowed(*char)).collect())
    }
}

/// Whether XML 1.0 allows a character.
pub(crate) fn is_allowed(char: char) -> bool {
    matches!(char, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Appends what goes between `<![CDATA[` and `]]>`. Only `]]>` is special, and is cut in two sections.
fn cdata(mut text: &str, out: &mut Vec<u8>) {
    if text.as_bytes().contains(&b']') {
        while let Some((before, after)) = text.split_once("]]>") {
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(b"]]]]><![CDATA[>");
            text = after;
        }
    }
    out.extend_from_slice(text.as_bytes());
}
