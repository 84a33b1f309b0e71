//! Patterns for a whole text: `*` is any run of characters, `?` any one, `\` makes the next one plain.
//!
//! Matching is linear in the text: each piece between two stars is put at its leftmost place, which leaves most room
//! for the others, so nothing is ever tried again. A piece is at most [`MAX_CHARS`] characters.

/// Longest pattern, characters.
pub const MAX_CHARS: usize = 128;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// What stands between the stars. The first is tied to the beginning, the last to the end.
    pieces: Vec<Vec<Char>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Char {
    Any,
    Plain(char),
}

impl Pattern {
    /// Compiles `text`, letter case aside.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > MAX_CHARS {
            return Err(format!("is longer than {MAX_CHARS} characters"));
        }
        let mut pieces = vec![Vec::new()];
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let plain = match c {
                '*' => {
                    pieces.push(Vec::new());
                    continue;
                }
                '?' => Char::Any,
                '\\' => match chars.next() {
                    Some(next) => Char::Plain(next),
                    None => return Err("ends in a single \\; write \\\\ for one".to_owned()),
                },
                c => Char::Plain(c),
            };
            if let Some(piece) = pieces.last_mut() {
                match plain {
                    Char::Any => piece.push(Char::Any),
                    Char::Plain(c) => piece.extend(c.to_lowercase().map(Char::Plain)),
                }
            }
        }
        Ok(Self { pieces })
    }

    /// Whether the whole of `lower`, a text in lower case, is like this.
    #[must_use]
    pub fn matches(&self, lower: &str) -> bool {
        let Some((last, before)) = self.pieces.split_last() else {
            return false;
        };
        let mut rest = lower;
        for (place, piece) in before.iter().enumerate() {
            let after = if place == 0 {
                after(piece, rest)
            } else {
                // Leftmost: what is left for the others is then longest.
                rest.char_indices()
                    .map(|(at, _)| at)
                    .chain([rest.len()])
                    .find_map(|at| after(piece, rest.get(at..)?))
            };
            match after {
                Some(after) => rest = after,
                None => return false,
            }
        }
        if before.is_empty() {
            return after(last, rest) == Some("");
        }
        let Some(skip) = rest.chars().count().checked_sub(last.len()) else {
            return false;
        };
        let at = rest
            .char_indices()
            .nth(skip)
            .map_or(rest.len(), |(at, _)| at);
        rest.get(at..).and_then(|end| after(last, end)) == Some("")
    }

    /// The longest run of plain characters: no text without it is like this. Empty when there is none.
    pub(crate) fn literal(&self) -> String {
        let runs = self
            .pieces
            .iter()
            .flat_map(|piece| piece.split(|c| *c == Char::Any));
        let longest = runs.max_by_key(|run| run.len()).unwrap_or_default();
        longest
            .iter()
            .filter_map(|c| match c {
                Char::Plain(c) => Some(*c),
                Char::Any => None,
            })
            .collect()
    }
}

/// What follows `piece` when `text` begins with it.
fn after<'t>(piece: &[Char], text: &'t str) -> Option<&'t str> {
    let mut chars = text.chars();
    for expected in piece {
        let c = chars.next()?;
        if matches!(expected, Char::Plain(plain) if *plain != c) {
            return None;
        }
    }
    Some(chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_pattern_is_for_the_whole_text() {
        let check = |pattern: &str, text: &str, expected: bool| {
            let pattern = Pattern::parse(pattern).unwrap();
            assert_eq!(pattern.matches(text), expected, "{pattern:?} {text:?}");
        };
        check("", "", true);
        check("", "a", false);
        check("Order 12", "order 12", true);
        check("order", "order 12", false);
        check("order *", "order 12", true);
        check("order *", "order ", true);
        check("order *", "my order 12", false);
        check("*order*", "my order 12", true);
        check("*订单*号*", "我的订单的号码", true);
        check("*号*订单*", "我的订单的号码", false);
        check("a*a", "a", false);
        check("a*a", "aa", true);
        check("a*ab*b", "aabb", true);
        check("a*ab*b", "aab", false);
        check("?", "约", true);
        check("?", "", false);
        check("??*", "约", false);
        check("*?", "ab", true);
        check(r"\*\?\\", r"*?\", true);
        check(r"\*", "a", false);
    }

    #[test]
    fn what_stands_between_wildcards_is_known() {
        let literal = |pattern: &str| Pattern::parse(pattern).unwrap().literal();
        assert_eq!(literal("*AB?cde*"), "cde");
        assert_eq!(literal("*?"), "");
        assert_eq!(literal(""), "");
    }

    #[test]
    fn a_pattern_that_says_nothing_is_refused() {
        assert!(Pattern::parse("a\\").unwrap_err().contains("single"));
        assert!(
            Pattern::parse(&"x".repeat(129))
                .unwrap_err()
                .contains("128")
        );
    }

    #[test]
    fn it_agrees_with_trying_everything() {
        fn tried(pattern: &[u8], text: &[u8]) -> bool {
            match (pattern, text) {
                ([], []) => true,
                ([b'*', rest @ ..], _) => (0..=text.len()).any(|n| tried(rest, &text[n..])),
                ([b'?', rest @ ..], [_, text @ ..]) => tried(rest, text),
                ([p, rest @ ..], [t, text @ ..]) if p == t => tried(rest, text),
                _ => false,
            }
        }
        let texts = |alphabet: &[u8], longest: u32| {
            let alphabet = alphabet.to_vec();
            (0..=longest).flat_map(move |length| {
                let alphabet = alphabet.clone();
                (0..(alphabet.len() as u32).pow(length)).map(move |mut n| {
                    let text = (0..length).map(|_| {
                        let c = alphabet[n as usize % alphabet.len()];
                        n /= alphabet.len() as u32;
                        char::from(c)
                    });
                    text.collect::<String>()
                })
            })
        };
        for pattern in texts(b"ab*?", 5) {
            let compiled = Pattern::parse(&pattern).unwrap();
            for text in texts(b"ab", 6) {
                assert_eq!(
                    compiled.matches(&text),
                    tried(pattern.as_bytes(), text.as_bytes()),
                    "{pattern:?} {text:?}"
                );
            }
        }
    }
}
