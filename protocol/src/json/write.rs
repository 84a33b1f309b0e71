//! Writes JSON, compact, into one buffer.

use crate::scan;
use crate::signature::hex_digit;

/// A JSON text that is being written: one value, whose parts are written in order.
///
/// What is written in an object has a [`name`](Self::name) or a [`member`](Self::member) before it. Commas come by themselves; that objects and lists are
/// [ended](Self::end_object), and that there is one value under a name, is the caller's.
///
/// ```
/// # use weir_protocol::json::Json;
/// let mut json = Json::with_capacity(64);
/// json.begin_object();
/// json.member("openid").text("oUser\"1\"");
/// json.member("tags").begin_list();
/// json.unsigned(2).unsigned(100);
/// json.end_list().end_object();
/// assert_eq!(json.finish(), br#"{"openid":"oUser\"1\"","tags":[2,100]}"#);
/// ```
#[derive(Debug)]
pub struct Json {
    out: Vec<u8>,
    /// Whether a value has just ended, so that what comes next is behind a comma.
    comma: bool,
}

impl Json {
    /// Nothing yet, with room for so many bytes.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            out: Vec::with_capacity(bytes),
            comma: false,
        }
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// Begins an object.
    pub fn begin_object(&mut self) -> &mut Self {
        self.begin(b'{')
    }

    /// Ends the object that was begun last.
    pub fn end_object(&mut self) -> &mut Self {
        self.end(b'}')
    }

    /// Begins a list.
    pub fn begin_list(&mut self) -> &mut Self {
        self.begin(b'[')
    }

    /// Ends the list that was begun last.
    pub fn end_list(&mut self) -> &mut Self {
        self.end(b']')
    }

    /// The name of what comes next.
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.out.push(b':');
        self.comma = false;
        self
    }

    /// The same for a name of the program's own, which has nothing to escape.
    pub fn member(&mut self, name: &'static str) -> &mut Self {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.comma = false;
        self
    }

    /// A string.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.separate();
        string(text, &mut self.out);
        self
    }

    /// A whole number.
    pub fn unsigned(&mut self, number: u64) -> &mut Self {
        self.separate();
        unsigned(number, &mut self.out);
        self
    }

    /// A whole number, perhaps negative.
    pub fn integer(&mut self, number: i64) -> &mut Self {
        if number < 0 {
            self.separate();
            self.out.push(b'-');
            self.comma = false;
        }
        self.unsigned(number.unsigned_abs())
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, value: bool) -> &mut Self {
        self.raw(if value { "true" } else { "false" })
    }

    /// A value that is JSON already.
    pub fn raw(&mut self, json: &str) -> &mut Self {
        self.separate();
        self.out.extend_from_slice(json.as_bytes());
        self
    }

    /// A comma if one is due, which it is behind what comes now.
    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
        self.comma = true;
    }

    fn begin(&mut self, bracket: u8) -> &mut Self {
        self.separate();
        self.out.push(bracket);
        self.comma = false;
        self
    }

    fn end(&mut self, bracket: u8) -> &mut Self {
        self.out.push(bracket);
        self.comma = true;
        self
    }
}

/// Appends a whole number.
pub(crate) fn unsigned(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [b'0'; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
        used += 1;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// Appends a string with its quotes.
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some((plain, special, after)) = split_at_special(rest) {
        out.extend_from_slice(plain);
        escape(special, out);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// What is before the first byte that has to be escaped, that byte, and what is behind it.
fn split_at_special(bytes: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let at = scan::position(bytes, b' ', *b"\"\\")?;
    let (before, from) = bytes.split_at_checked(at)?;
    let (special, after) = from.split_first()?;
    Some((before, *special, after))
}

fn escape(byte: u8, out: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x8 => b'b',
        0xc => b'f',
        _ => {
            out.extend_from_slice(b"\\u00");
            out.extend_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Json, string};

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_those_of_serde_json() {
        for byte in 0..=0x7f_u8 {
            // At every place in a run of eight, and alone.
            for before in 0..9 {
                let text = format!("{}{}好 z", "a".repeat(before), char::from(byte));
                assert_eq!(written(&text), serde_json::to_string(&text).unwrap());
            }
        }
        for text in [
            "",
            "\"",
            "\\\\\"\"",
            "两个字😀",
            "\u{80}\u{7ff}\u{ffff}",
            "ends with \\",
        ] {
            assert_eq!(written(text), serde_json::to_string(text).unwrap());
        }
    }

    #[test]
    fn numbers_are_those_of_serde_json() {
        for number in [0, 9, 10, 1_700_000_000, i64::MAX, -1, -10, i64::MIN] {
            let mut json = Json::with_capacity(0);
            json.integer(number);
            assert_eq!(json.finish(), number.to_string().as_bytes());
        }
        let mut json = Json::with_capacity(0);
        json.unsigned(u64::MAX);
        assert_eq!(json.finish(), u64::MAX.to_string().as_bytes());
    }

    #[test]
    fn commas_are_where_they_belong() {
        let mut json = Json::with_capacity(0);
        json.begin_object();
        json.member("a").begin_list().end_list();
        json.name("b").begin_list();
        json.integer(-1).integer(-2).text("x").boolean(true);
        json.begin_object().end_object();
        json.begin_list().raw("1.50").end_list();
        json.end_list();
        json.name("c").begin_object();
        json.name("").boolean(false).name("d").raw("null");
        json.end_object().end_object();
        let text = json.finish();
        let expected = json!({
            "a": [], "b": [-1, -2, "x", true, {}, [1.5]], "c": {"": false, "d": null},
        });
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(&text).unwrap(),
            expected
        );
        assert!(!text.contains(&b' '));
    }
}
