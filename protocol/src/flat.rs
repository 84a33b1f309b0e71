//! The XML that pushes mostly are, read in one pass: elements with plain names, without attributes, without children,
//! each holding one CDATA section or a word, no two of one name.
//!
//! Whatever is not exactly that is left to [`crate::xml`], which knows all the rules; what this reader accepts, that one
//! reads in the same way (tests hold the two against each other). It is here because it takes a third of the time.

use crate::document::is_blank;
use crate::limits::MAX_NAME_BYTES;
use crate::scan;

/// Most leaves. What has more is no hurry.
const MAX_LEAVES: usize = 64;

/// Names and values of the leaves, in order; `None` when the text is not flat.
pub(crate) fn leaves(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut scan = Scan { text, at: 0 };
    scan.blanks();
    scan.tag("<xml>")?;
    let mut leaves = Vec::with_capacity(12);
    loop {
        scan.blanks();
        scan.tag("<")?;
        if scan.tag("/xml>").is_some() {
            scan.blanks();
            return (scan.at == text.len()).then_some(leaves);
        }
        let name = scan.word(|b| b.is_ascii_alphanumeric() || b == b'_')?;
        let starts_right = name.as_bytes().first().is_some_and(|b| !b.is_ascii_digit());
        if !starts_right || name.len() > MAX_NAME_BYTES || leaves.len() >= MAX_LEAVES {
            return None;
        }
        scan.tag(">")?;
        let value = if scan.tag("<![CDATA[").is_some() {
            scan.section()?
        } else {
            scan.word(|b| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b))
                .unwrap_or_default()
        };
        scan.tag("</")?;
        scan.tag(name)?;
        scan.tag(">")?;
        // What repeats is a list, or a fault.
        if leaves.iter().any(|(known, _)| *known == name) {
            return None;
        }
        leaves.push((name, value));
    }
}

struct Scan<'a> {
    text: &'a str,
    /// Always between two characters.
    at: usize,
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        self.at += self.rest().iter().take_while(|b| is_blank(**b)).count();
    }

    /// Steps over `tag` when it is next.
    fn tag(&mut self, tag: &str) -> Option<()> {
        let next = self.rest().starts_with(tag.as_bytes());
        self.at += if next { tag.len() } else { 0 };
        next.then_some(())
    }

    /// One or more bytes of ASCII that `belongs` accepts.
    fn word(&mut self, belongs: impl Fn(u8) -> bool) -> Option<&'a str> {
        let from = self.at;
        self.at += self.rest().iter().take_while(|b| belongs(**b)).count();
        self.text.get(from..self.at).filter(|word| !word.is_empty())
    }

    /// What is left of a CDATA section, and its end. U+0000 is for the other reader to refuse.
    fn section(&mut self) -> Option<&'a str> {
        let from = self.at;
        loop {
            let rest = self.rest();
            let stop = scan::position(rest, 1, [b']'])?;
            match rest.get(stop..)? {
                [b']', b']', b'>', ..] => {
                    let text = self.text.get(from..self.at + stop);
                    self.at += stop + 3;
                    return text;
                }
                [b']', ..] => self.at += stop + 1,
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::leaves;
    use crate::document::Sink;
    use crate::error::ParseError;
    use crate::fields::Value;
    use std::borrow::Cow;

    #[derive(Default)]
    struct Leaves(Vec<(String, String)>, bool);

    impl<'a> Sink<'a> for Leaves {
        fn enter(&mut self, _: Cow<'a, str>, _: bool) -> Result<(), ParseError> {
            self.1 = true;
            Ok(())
        }
        fn leaf(&mut self, name: Cow<'a, str>, value: Value<'a>) -> Result<(), ParseError> {
            let text = value.text().unwrap_or_default().to_owned();
            self.0.push((name.into_owned(), text));
            Ok(())
        }
        fn leave(&mut self) -> Result<(), ParseError> {
            Ok(())
        }
    }

    /// What the flat reader accepts, the other one must read alike.
    fn check(text: &str) -> Option<usize> {
        let flat = leaves(text)?;
        let mut all = Leaves::default();
        assert!(crate::xml::walk(text, &mut all).is_ok(), "{text:?}");
        assert!(!all.1, "{text:?}");
        let flat: Vec<_> = flat
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(flat, all.0, "{text:?}");
        Some(flat.len())
    }

    #[test]
    fn what_pushes_mostly_are_is_flat() {
        let flat = |inner: &str, expected| {
            assert_eq!(check(&format!("<xml>{inner}</xml>")), expected, "{inner}");
        };
        flat("", Some(0));
        flat(" <A>1</A>\n<B><![CDATA[ x]] ]>y]]></B> ", Some(2));
        flat("<A></A><B><![CDATA[]]></B>", Some(2));
        flat("<A>1</A><A>2</A>", None);
        flat("<A><![CDATA[]]]]></A>", Some(1));
        flat("<A>1<B>2</B></A>", None);
        flat("<A/>", None);
        flat("<A b=\"c\">1</A>", None);
        flat("<A> <![CDATA[x]]></A>", None);
        flat("<A><![CDATA[x]]> </A>", None);
        flat("<A>a b</A>", None);
        flat("<A>&amp;</A>", None);
        flat("<1>1</1>", None);
        flat("<A>1</B>", None);
        flat("<A><![CDATA[\0]]></A>", None);
        flat("<!-- --><A>1</A>", None);
        assert_eq!(check("\n<xml><A>1</A></xml>\n"), Some(1));
        assert_eq!(check("<xml><A>1</A></xml>x"), None);
        assert_eq!(check("<root><A>1</A></root>"), None);
    }

    proptest! {
        #[test]
        fn both_readers_agree(
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just("<xml>"), Just("</xml>"), Just("<A>"), Just("</A>"), Just("<B2>"), Just("</B2>"),
                    Just("<![CDATA["), Just("]]>"), Just("]"), Just(" "), Just("\n"), Just("1"), Just("a:b"),
                    Just("é"), Just("&"), Just("\0"), Just("<"), Just(">"), Just("\u{feff}"),
                ],
                0..24,
            )
        ) {
            check(&pieces.concat());
            check(&format!("<xml><A>{}</A></xml>", pieces.concat()));
            check(&format!("<xml><A><![CDATA[{}]]></A></xml>", pieces.concat()));
        }
    }
}
