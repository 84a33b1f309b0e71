//! Cuts an input into the parts that a target is made of, so that a small change of it stays a small change.

use std::borrow::Cow;

/// Between two pieces: a byte that no UTF-8 has.
const SEPARATOR: u8 = 0xff;

/// What is left of an input.
pub(crate) struct Pieces<'a>(&'a [u8]);

impl<'a> Pieces<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// The next byte; 0 at the end.
    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&byte, rest)) => {
                self.0 = rest;
                byte
            }
            None => 0,
        }
    }

    /// Up to the next separator; nothing at the end.
    pub(crate) fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.iter().position(|&byte| byte == SEPARATOR);
        let (piece, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest.get(1..).unwrap_or_default();
        Some(piece)
    }

    /// The same as text, whatever it is; empty at the end.
    pub(crate) fn text(&mut self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.next().unwrap_or_default())
    }

    /// Everything that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_at_separators_and_run_out_quietly() {
        let mut pieces = Pieces::new(b"\x07ab\xff\xffc");
        assert_eq!(pieces.byte(), 7);
        assert_eq!(pieces.next(), Some(&b"ab"[..]));
        assert_eq!(pieces.text(), "");
        assert_eq!(pieces.next(), Some(&b"c"[..]));
        assert_eq!((pieces.next(), pieces.byte()), (None, 0));
        assert!(pieces.rest().is_empty());
    }
}
