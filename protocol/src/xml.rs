//! The XML that is accepted, which is less than XML, and here and there a little more.
//!
//! * UTF-8, one root, no DOCTYPE, no entities but the five predefined ones and numeric references.
//! * Attributes, comments and processing instructions are skipped. So is text beside child elements.
//! * A leaf that holds CDATA and else only blanks is that CDATA, exactly. Any other leaf is its text and CDATA put
//!   together, without the blanks that the outer text has at its ends. Line ends are kept as they came.
//! * Control characters, which XML forbids, are kept as data: WeChat does not escape those that users send, and a
//!   user who pasted one should still get an answer. U+0000 is refused, for it never gets that far.
//!
//! Nothing here recurses: nesting is a number. Bounds: [`crate::limits`].
//!
//! Source: XML 1.0, and the profile in [`crate::push`].

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

use crate::document::{Sink, is_blank, trim, trim_end, trim_start};
use crate::error::ParseError;
use crate::fields::Value;
use crate::limits::{Budget, MAX_NAME_BYTES};

pub(crate) fn walk<'a>(src: &'a str, sink: &mut dyn Sink<'a>) -> Result<(), ParseError> {
    Walk {
        src,
        from: 0,
        sink,
        budget: Budget::default(),
        open_leaf: None,
        pieces: Vec::new(),
        root_seen: false,
    }
    .run()
}

struct Walk<'a, 's> {
    src: &'a str,
    /// Where the current event starts.
    from: usize,
    sink: &'s mut dyn Sink<'a>,
    budget: Budget,
    /// The innermost open element, as long as it has no child: then it is a leaf, so far.
    open_leaf: Option<&'a str>,
    /// What `open_leaf` holds so far.
    pieces: Vec<Piece<'a>>,
    root_seen: bool,
}

/// What a leaf is made of.
#[derive(Clone, Copy)]
enum Piece<'a> {
    Text(&'a str),
    /// A resolved reference.
    Char(char),
    Cdata(&'a str),
}

impl<'a> Walk<'a, '_> {
    fn run(mut self) -> Result<(), ParseError> {
        if self.src.contains('\0') {
            return Err(self.malformed());
        }
        let mut reader = Reader::from_str(self.src);
        reader.config_mut().check_comments = true;
        loop {
            let event = reader.read_event().map_err(|_| self.refused())?;
            match event {
                Event::Start(tag) => self.open(&tag)?,
                Event::End(_) => self.close()?,
                Event::Empty(tag) => {
                    self.open(&tag)?;
                    self.close()?;
                }
                Event::Text(text) => self.text(borrowed(text.into_inner()))?,
                Event::CData(text) => self.cdata(borrowed(text.into_inner()))?,
                Event::GeneralRef(reference) => self.reference(&reference)?,
                Event::Comment(_) => {}
                Event::PI(instruction) => self.instruction(instruction.target())?,
                Event::Decl(declaration) => self.declaration(&declaration)?,
                Event::DocType(_) => return Err(ParseError::Doctype),
                Event::Eof => break,
            }
            self.from = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        }
        if self.root_seen && self.budget.depth() == 0 {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    fn malformed(&self) -> ParseError {
        ParseError::Malformed { offset: self.from }
    }

    /// Why the reader stopped: it may have been a broken DOCTYPE.
    fn refused(&self) -> ParseError {
        let rest = self.src.as_bytes().get(self.from..).unwrap_or_default();
        match rest.get(..9) {
            Some(start) if start.eq_ignore_ascii_case(b"<!DOCTYPE") => ParseError::Doctype,
            _ => self.malformed(),
        }
    }

    fn instruction(&self, target: &str) -> Result<(), ParseError> {
        if is_name(target) && !target.eq_ignore_ascii_case("xml") {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    fn declaration(&self, declaration: &BytesDecl<'_>) -> Result<(), ParseError> {
        if self.from != 0 || declaration.version().is_err() {
            return Err(self.malformed());
        }
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(name)) if name.eq_ignore_ascii_case("UTF-8") => Ok(()),
            Some(Ok(_)) => Err(ParseError::Encoding),
            Some(Err(_)) => Err(self.malformed()),
        }
    }

    fn open(&mut self, tag: &BytesStart<'_>) -> Result<(), ParseError> {
        self.budget.value()?;
        // The tag's name lives as long as the source, but the reader's types do not say so.
        let start = self.from.saturating_add(1);
        let end = start.saturating_add(tag.name().as_ref().len());
        let name = self
            .src
            .get(start..end)
            .filter(|name| is_name(name))
            .ok_or(self.malformed())?;
        // Skipped, but they must look like attributes.
        if tag.len() > name.len()
            && tag
                .attributes()
                .with_checks(false)
                .any(|attribute| attribute.is_err())
        {
            return Err(self.malformed());
        }
        if self.budget.depth() == 0 {
            if self.root_seen {
                return Err(self.malformed());
            }
            self.root_seen = true;
        } else if self.budget.depth() > 1
            && let Some(parent) = self.open_leaf
        {
            self.sink.enter(Cow::Borrowed(parent), false)?;
        }
        self.budget.enter()?;
        self.open_leaf = Some(name);
        self.pieces.clear();
        Ok(())
    }

    /// That the names match, and that something is open, has been checked by the reader.
    fn close(&mut self) -> Result<(), ParseError> {
        let inside_root = self.budget.depth() > 1;
        self.budget.leave();
        match self.open_leaf.take() {
            Some(name) if inside_root => self
                .sink
                .leaf(Cow::Borrowed(name), Value::Text(value(&self.pieces))),
            None if inside_root => self.sink.leave(),
            _ => Ok(()),
        }
    }

    fn text(&mut self, text: Option<&'a str>) -> Result<(), ParseError> {
        let text = text.ok_or(self.malformed())?;
        let blank = text.bytes().all(is_blank);
        // Looking for one byte is cheap, for three it is not, and a `]` is rare.
        let ends_section = || text.as_bytes().contains(&b']') && text.contains("]]>");
        if !blank && (self.budget.depth() == 0 || ends_section()) {
            return Err(self.malformed());
        }
        self.piece(Piece::Text(text));
        Ok(())
    }

    fn cdata(&mut self, text: Option<&'a str>) -> Result<(), ParseError> {
        let text = text
            .filter(|_| self.budget.depth() > 0)
            .ok_or(self.malformed())?;
        self.piece(Piece::Cdata(text));
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), ParseError> {
        let char = resolve(reference)
            .filter(|_| self.budget.depth() > 0)
            .ok_or(self.malformed())?;
        self.piece(Piece::Char(char));
        Ok(())
    }

    fn piece(&mut self, piece: Piece<'a>) {
        if self.open_leaf.is_some() {
            self.pieces.push(piece);
        }
    }
}

/// The reader's slices of the source are always borrowed.
fn borrowed(text: Cow<'_, str>) -> Option<&str> {
    match text {
        Cow::Borrowed(text) => Some(text),
        Cow::Owned(_) => None,
    }
}

/// Whether it could be a name of XML: exactly so in ASCII, and any letter beyond.
fn is_name(name: &str) -> bool {
    const START: u8 = 1;
    const INNER: u8 = 2;
    #[allow(clippy::indexing_slicing)] // evaluated by the compiler
    static CLASS: [u8; 256] = {
        let mut class = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            class[byte] = match byte as u8 {
                b'a'..=b'z' | b'A'..=b'Z' | b'_' | b':' | 0x80.. => START | INNER,
                b'0'..=b'9' | b'-' | b'.' => INNER,
                _ => 0,
            };
            byte += 1;
        }
        class
    };
    let class = |byte: u8| CLASS.get(usize::from(byte)).copied().unwrap_or_default();
    name.len() <= MAX_NAME_BYTES
        && name
            .bytes()
            .next()
            .is_some_and(|byte| class(byte) & START != 0)
        && name.bytes().all(|byte| class(byte) & INNER != 0)
}

/// The character that `&name;`, `&#1;` or `&#x1;` stands for, if it is one that XML allows.
fn resolve(reference: &str) -> Option<char> {
    let Some(number) = reference.strip_prefix('#') else {
        return Some(match reference {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => return None,
        });
    };
    let (digits, radix) = number
        .strip_prefix('x')
        .map_or((number, 10), |hex| (hex, 16));
    if !digits.bytes().all(|b| char::from(b).is_digit(radix)) {
        return None; // a sign, which from_str_radix would take
    }
    let char = char::from_u32(u32::from_str_radix(digits, radix).ok()?)?;
    let allowed = matches!(char, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    allowed.then_some(char)
}

/// The value of a leaf.
fn value<'a>(pieces: &[Piece<'a>]) -> Cow<'a, str> {
    match pieces {
        [] => return Cow::Borrowed(""),
        [Piece::Cdata(text)] => return Cow::Borrowed(text),
        [Piece::Text(text)] => return Cow::Borrowed(trim(text)),
        _ => {}
    }
    let mut sections = pieces.iter().filter_map(|piece| match piece {
        Piece::Cdata(text) => Some(*text),
        _ => None,
    });
    let rest_is_blank = pieces.iter().all(|piece| match piece {
        Piece::Text(text) => text.bytes().all(is_blank),
        Piece::Char(char) => u8::try_from(*char).is_ok_and(is_blank),
        Piece::Cdata(_) => true,
    });
    if rest_is_blank && let Some(first) = sections.next() {
        return sections.fold(Cow::Borrowed(first), |joined, section| joined + section);
    }
    mixed(pieces)
}

/// Text and CDATA put together, without the blanks that the outer text has at its ends.
fn mixed<'a>(pieces: &[Piece<'_>]) -> Cow<'a, str> {
    let mut joined = String::new();
    let mut end = 0; // of the last CDATA, or of the last outer character that is not blank
    for piece in pieces {
        let mut utf8 = [0; 4];
        let outer = match piece {
            Piece::Cdata(text) => {
                joined.push_str(text);
                end = joined.len();
                continue;
            }
            Piece::Text(text) => text,
            Piece::Char(char) => &*char.encode_utf8(&mut utf8),
        };
        let outer = if end == 0 { trim_start(outer) } else { outer };
        let start = joined.len();
        joined.push_str(outer);
        let kept = trim_end(outer).len();
        if kept > 0 {
            end = start + kept;
        }
    }
    joined.truncate(end);
    Cow::Owned(joined)
}
