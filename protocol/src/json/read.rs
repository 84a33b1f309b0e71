//! The JSON of a push: one object. `null` is reported as nothing at all, for to WeChat it means absent.
//!
//! Bounds: [`crate::limits`]. Source: RFC 8259, and the profile in [`crate::push`].

use std::borrow::Cow;

use crate::document::{Sink, is_blank};
use crate::error::ParseError;
use crate::fields::{Number, Value};
use crate::limits::{Budget, MAX_NAME_BYTES};

/// What comes next.
enum Next<'a> {
    /// A name, or the end of the object if it is `first`.
    Member { first: bool },
    /// A value, or the end of the list.
    FirstItem,
    /// A value of this name.
    Value(Cow<'a, str>),
    /// A comma, or the end of the object or list.
    More,
}

pub(crate) fn walk<'a>(src: &'a str, sink: &mut dyn Sink<'a>) -> Result<(), ParseError> {
    let mut scan = Scan { src, at: 0 };
    let mut budget = Budget::default();
    // Which of the open ones are lists: one bit each, the innermost lowest. MAX_DEPTH is 32.
    let mut lists = 0u32;
    scan.skip_blank();
    scan.expect(b'{')?;
    budget.enter()?;
    let mut next = Next::Member { first: true };
    loop {
        scan.skip_blank();
        let closed = match next {
            Next::Member { first } if !(first && scan.take(b'}')) => {
                let name = scan.string()?;
                if name.len() > MAX_NAME_BYTES {
                    return Err(scan.malformed());
                }
                scan.skip_blank();
                scan.expect(b':')?;
                next = Next::Value(name);
                false
            }
            Next::FirstItem if !scan.take(b']') => {
                next = Next::Value(Cow::Borrowed(""));
                false
            }
            Next::Member { .. } | Next::FirstItem => true,
            Next::Value(name) => {
                budget.value()?;
                let list = scan.peek() == Some(b'[');
                if list || scan.peek() == Some(b'{') {
                    scan.at += 1;
                    budget.enter()?;
                    lists = lists << 1 | u32::from(list);
                    sink.enter(name, list)?;
                    next = if list {
                        Next::FirstItem
                    } else {
                        Next::Member { first: true }
                    };
                } else {
                    if let Some(value) = scan.plain()? {
                        sink.leaf(name, value)?;
                    }
                    next = Next::More;
                }
                false
            }
            Next::More => {
                let list = lists & 1 == 1;
                let comma = scan.take(b',');
                if comma {
                    next = if list {
                        Next::Value(Cow::Borrowed(""))
                    } else {
                        Next::Member { first: false }
                    };
                } else {
                    scan.expect(if list { b']' } else { b'}' })?;
                    next = Next::More;
                }
                !comma
            }
        };
        if closed {
            budget.leave();
            if budget.depth() == 0 {
                break;
            }
            lists >>= 1;
            sink.leave()?;
            next = Next::More;
        }
    }
    scan.skip_blank();
    if scan.at == src.len() {
        Ok(())
    } else {
        Err(scan.malformed())
    }
}

/// The number that a text is, if it is one.
pub(crate) fn number(text: &str) -> Option<Number<'_>> {
    let mut scan = Scan { src: text, at: 0 };
    scan.number().ok().filter(|_| scan.at == text.len())
}

struct Scan<'a> {
    src: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn malformed(&self) -> ParseError {
        ParseError::Malformed { offset: self.at }
    }

    fn rest(&self) -> &'a [u8] {
        self.src.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.src.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), ParseError> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    fn skip_blank(&mut self) {
        self.at += self.rest().iter().take_while(|b| is_blank(**b)).count();
    }

    /// A string, number or boolean; nothing for `null`.
    fn plain(&mut self) -> Result<Option<Value<'a>>, ParseError> {
        Ok(match self.peek() {
            Some(b'"') => Some(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => Some(Value::Number(self.number()?)),
            Some(b't') => Some(Value::Bool(self.word("true").map(|()| true)?)),
            Some(b'f') => Some(Value::Bool(self.word("false").map(|()| false)?)),
            Some(b'n') => self.word("null").map(|()| None)?,
            _ => return Err(self.malformed()),
        })
    }

    fn word(&mut self, word: &str) -> Result<(), ParseError> {
        if self.rest().starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(())
        } else {
            Err(self.malformed())
        }
    }

    fn digits(&mut self) -> usize {
        let count = self
            .rest()
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        self.at += count;
        count
    }

    fn number(&mut self) -> Result<Number<'a>, ParseError> {
        let start = self.at;
        self.take(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let digits = self.digits();
        if digits == 0 || (leading_zero && digits > 1) || (self.take(b'.') && self.digits() == 0) {
            return Err(self.malformed());
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return Err(self.malformed());
            }
        }
        self.src
            .get(start..self.at)
            .map(Number::literal)
            .ok_or(self.malformed())
    }

    fn string(&mut self) -> Result<Cow<'a, str>, ParseError> {
        self.expect(b'"')?;
        let mut owned = String::new();
        loop {
            let plain = self
                .rest()
                .iter()
                .take_while(|b| !matches!(b, b'"' | b'\\' | 0..0x20))
                .count();
            let text = self
                .src
                .get(self.at..self.at + plain)
                .ok_or(self.malformed())?;
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(if owned.is_empty() {
                        Cow::Borrowed(text)
                    } else {
                        Cow::Owned(owned + text)
                    });
                }
                Some(b'\\') => {
                    self.at += 1;
                    owned.push_str(text);
                    owned.push(self.escape()?);
                }
                _ => return Err(self.malformed()),
            }
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        let byte = self.peek().ok_or(self.malformed())?;
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit()?;
                let code = match unit {
                    0xd800..0xdc00 => {
                        self.word("\\u")?;
                        let low = self.unit()?;
                        if !(0xdc00..0xe000).contains(&low) {
                            return Err(self.malformed());
                        }
                        0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)
                    }
                    _ => unit,
                };
                char::from_u32(code).ok_or(self.malformed())?
            }
            _ => return Err(self.malformed()),
        })
    }

    /// Four hex digits.
    fn unit(&mut self) -> Result<u32, ParseError> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self
                .peek()
                .and_then(|b| char::from(b).to_digit(16))
                .ok_or(self.malformed())?;
            self.at += 1;
            unit = unit << 4 | digit;
        }
        Ok(unit)
    }
}
