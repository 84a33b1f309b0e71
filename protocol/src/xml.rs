//! The XML that is accepted, which is less than XML, and here and there a little more.
//!
//! * UTF-8, one root, no DOCTYPE, no entities but the five predefined ones and numeric references.
//! * Attributes, comments and processing instructions are skipped. So is text beside child elements.
//! * A leaf that holds CDATA and else only blanks is that CDATA, exactly. Any other leaf is its text and CDATA put
//!   together, without the blanks that the outer text has at its ends. Line ends are kept as they came.
//! * Control characters, which XML forbids, are kept as data: WeChat does not escape those that users send, and a
//!   user who pasted one should still get an answer. U+0000 is refused, for it never gets that far.
//!
//! Why not a library: this much of XML is one pass over the bytes. Written down it takes 40 % of the time of the parser
//! it replaced (`quick-xml`, which read four million random documents alike), and 20 kB less of the plugin. Tests hold it
//! against another parser.
//!
//! Nothing here recurses: nesting is a number. Bounds: [`crate::limits`].
//!
//! Source: XML 1.0, and the profile in [`crate::push`].

use std::borrow::Cow;

use crate::document::{Sink, is_blank, trim, trim_end, trim_start};
use crate::error::ParseError;
use crate::fields::Value;
use crate::limits::{Budget, MAX_DEPTH, MAX_NAME_BYTES};

pub(crate) fn walk<'a>(src: &'a str, sink: &mut dyn Sink<'a>) -> Result<(), ParseError> {
    Walk {
        src,
        at: 0,
        from: 0,
        sink,
        budget: Budget::default(),
        open: [""; MAX_DEPTH as usize],
        leaf: false,
        pieces: Vec::new(),
        root_seen: false,
    }
    .run()
}

struct Walk<'a, 's> {
    src: &'a str,
    /// The next byte. Never within a character.
    at: usize,
    /// Where the markup or text that is being read starts.
    from: usize,
    sink: &'s mut dyn Sink<'a>,
    budget: Budget,
    /// The names of the open elements, as many as `budget` says.
    open: [&'a str; MAX_DEPTH as usize],
    /// Whether the innermost of them has no child, so far: then it is a leaf.
    leaf: bool,
    /// What that leaf holds so far.
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
        while let Some(byte) = self.peek() {
            self.from = self.at;
            match byte {
                b'<' => self.markup()?,
                b'&' => self.reference()?,
                _ => self.text()?,
            }
        }
        self.from = self.at;
        if self.root_seen && self.budget.depth() == 0 {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    fn malformed(&self) -> ParseError {
        ParseError::Malformed { offset: self.from }
    }

    fn peek(&self) -> Option<u8> {
        self.src.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a [u8] {
        self.src.as_bytes().get(self.at..).unwrap_or_default()
    }

    /// Steps over `next` if it is what comes next.
    fn take(&mut self, next: &[u8]) -> bool {
        let found = self.rest().starts_with(next);
        self.at += if found { next.len() } else { 0 };
        found
    }

    fn expect(&mut self, next: &[u8]) -> Result<(), ParseError> {
        if self.take(next) {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    /// Steps to the first byte that is not `inside`, and gives what is before it.
    fn take_while(&mut self, inside: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        self.at += self.rest().iter().take_while(|b| inside(**b)).count();
        // A character's bytes are all inside or all outside, wherever this is used.
        self.src.get(start..self.at).unwrap_or_default()
    }

    fn skip_blank(&mut self) -> bool {
        !self.take_while(is_blank).is_empty()
    }

    /// Steps over `end`, which must come, and gives what is before it.
    fn take_until(&mut self, end: &str) -> Result<&'a str, ParseError> {
        let (inside, _) = self
            .src
            .get(self.at..)
            .and_then(|rest| rest.split_once(end))
            .filter(|(inside, _)| !inside.contains('\0'))
            .ok_or(self.malformed())?;
        self.at += inside.len() + end.len();
        Ok(inside)
    }

    fn name(&mut self) -> Result<&'a str, ParseError> {
        let starts = self.peek().is_some_and(|byte| class(byte) & START != 0);
        let name = self.take_while(|byte| class(byte) & INNER != 0);
        if starts && name.len() <= MAX_NAME_BYTES {
            Ok(name)
        } else {
            Err(self.malformed())
        }
    }

    fn markup(&mut self) -> Result<(), ParseError> {
        self.at += 1;
        match self.peek() {
            Some(b'/') => self.close_tag(),
            Some(b'!') => self.declared(),
            Some(b'?') => self.instruction(),
            _ => self.open_tag(),
        }
    }

    /// A CDATA section, a comment, or what must not be.
    fn declared(&mut self) -> Result<(), ParseError> {
        if self.take(b"![CDATA[") {
            let text = self.section()?;
            if self.budget.depth() == 0 {
                return Err(self.malformed());
            }
            self.piece(Piece::Cdata(text));
            return Ok(());
        }
        if self.take(b"!--") {
            self.take_until("--")?;
            return self.expect(b">");
        }
        match self.rest().get(..8) {
            Some(start) if start.eq_ignore_ascii_case(b"!DOCTYPE") => Err(ParseError::Doctype),
            _ => Err(self.malformed()),
        }
    }

    /// What is in a CDATA section, up to its end.
    fn section(&mut self) -> Result<&'a str, ParseError> {
        let start = self.at;
        loop {
            self.take_while(|byte| byte != b']' && byte != 0);
            let end = self.at;
            if self.take(b"]]>") {
                return self.src.get(start..end).ok_or(self.malformed());
            }
            self.expect(b"]")?;
        }
    }

    fn instruction(&mut self) -> Result<(), ParseError> {
        self.at += 1;
        let target = self.name()?;
        if target == "xml" && self.from == 0 {
            return self.declaration();
        }
        if target.eq_ignore_ascii_case("xml") {
            return Err(self.malformed());
        }
        if !self.take(b"?>") {
            if !self.skip_blank() {
                return Err(self.malformed());
            }
            self.take_until("?>")?;
        }
        Ok(())
    }

    /// The rest of `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`.
    fn declaration(&mut self) -> Result<(), ParseError> {
        let mut due = ["version", "encoding", "standalone"].as_slice();
        while self.skip_blank() && self.peek() != Some(b'?') {
            let (name, value) = self.attribute()?;
            let index = due.iter().position(|known| *known == name);
            // The version comes first and must come; the others need not.
            let index = index
                .filter(|index| due.len() < 3 || *index == 0)
                .ok_or(self.malformed())?;
            due = due.get(index + 1..).unwrap_or_default();
            if name == "encoding" && !value.eq_ignore_ascii_case("UTF-8") {
                return Err(ParseError::Encoding);
            }
        }
        if due.len() == 3 {
            return Err(self.malformed());
        }
        self.expect(b"?>")
    }

    /// A name and a value in quotes.
    fn attribute(&mut self) -> Result<(&'a str, &'a str), ParseError> {
        let name = self.name()?;
        self.skip_blank();
        self.expect(b"=")?;
        self.skip_blank();
        let quote = self
            .peek()
            .filter(|byte| matches!(byte, b'"' | b'\''))
            .ok_or(self.malformed())?;
        self.at += 1;
        let value = self.take_while(|byte| byte != quote && byte != 0);
        self.expect(&[quote])?;
        Ok((name, value))
    }

    fn open_tag(&mut self) -> Result<(), ParseError> {
        self.budget.value()?;
        let name = self.name()?;
        while self.skip_blank() && !matches!(self.peek(), Some(b'>' | b'/')) {
            self.attribute()?; // Skipped, but it must be one.
        }
        let empty = self.take(b"/");
        self.expect(b">")?;

        let depth = self.budget.depth();
        if depth == 0 {
            if self.root_seen {
                return Err(self.malformed());
            }
            self.root_seen = true;
        } else if depth > 1 && self.leaf {
            self.sink.enter(Cow::Borrowed(self.innermost()), false)?;
        }
        self.budget.enter()?;
        if let Some(slot) = self.open.get_mut(depth as usize) {
            *slot = name;
        }
        self.leaf = true;
        self.pieces.clear();
        if empty { self.close() } else { Ok(()) }
    }

    /// The name of the innermost open element; empty outside the root.
    fn innermost(&self) -> &'a str {
        let depth = self.budget.depth() as usize;
        self.open
            .get(depth.wrapping_sub(1))
            .copied()
            .unwrap_or_default()
    }

    fn close_tag(&mut self) -> Result<(), ParseError> {
        self.at += 1;
        let name = self.name()?;
        self.skip_blank();
        self.expect(b">")?;
        if name == self.innermost() {
            self.close()
        } else {
            Err(self.malformed())
        }
    }

    fn close(&mut self) -> Result<(), ParseError> {
        let name = self.innermost();
        let leaf = std::mem::replace(&mut self.leaf, false);
        self.budget.leave();
        match (self.budget.depth(), leaf) {
            (0, _) => Ok(()),
            (_, true) => self
                .sink
                .leaf(Cow::Borrowed(name), Value::Text(value(&self.pieces))),
            (_, false) => self.sink.leave(),
        }
    }

    fn text(&mut self) -> Result<(), ParseError> {
        let text = self.take_while(|byte| !matches!(byte, b'<' | b'&' | 0));
        let blank = text.bytes().all(is_blank);
        // Looking for one byte is cheap, for three it is not, and a `]` is rare.
        let ends_section = || text.as_bytes().contains(&b']') && text.contains("]]>");
        let stray = !blank && (self.budget.depth() == 0 || ends_section());
        if stray || self.peek() == Some(0) {
            return Err(self.malformed());
        }
        self.piece(Piece::Text(text));
        Ok(())
    }

    fn reference(&mut self) -> Result<(), ParseError> {
        self.at += 1;
        let reference = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'#');
        self.expect(b";")?;
        let char = resolve(reference)
            .filter(|_| self.budget.depth() > 0)
            .ok_or(self.malformed())?;
        self.piece(Piece::Char(char));
        Ok(())
    }

    fn piece(&mut self, piece: Piece<'a>) {
        if self.leaf {
            self.pieces.push(piece);
        }
    }
}

/// The first character of a name.
const START: u8 = 1;
/// A character of a name.
const INNER: u8 = 2;

/// Which of these a byte may be: exactly so in ASCII, and any letter beyond.
fn class(byte: u8) -> u8 {
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
    CLASS.get(usize::from(byte)).copied().unwrap_or_default()
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
