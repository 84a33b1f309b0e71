//! Which push gets which reply, by configuration.
//!
//! The first rule that applies decides; one that says `continue` contributes what it has and lets the search go on.
//! Only the rules that an [index] names for a push are looked at, so the cost grows with the push and not with the
//! number of rules.
//!
//! A decision depends on the push, the rules and, where a rule asks for them, on what the store knows of the user
//! ([`Facts`]): so any worker that has the same gives the same reply.
//!
//! | module | is |
//! |---|---|
//! | `when`    | the conditions |
//! | `answer`  | replies with placeholders |
//! | `index`   | which rules to look at |
//! | `words`   | many words found in one pass |
//! | `pattern` | `*` and `?` |

mod answer;
mod index;
pub mod pattern;
mod when;
mod words;

use std::cell::OnceCell;

use weir_protocol::fields::Value;
use weir_protocol::push::{Kind, Push};
use weir_protocol::reply::Reply;

pub use answer::{Answer, ArticleTemplate, OneOf};
pub use when::{Anchor, Hours, Keyword, Share, Texts, When};

use index::Index;

use crate::config::AppId;

/// One rule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rule {
    /// When it applies.
    pub when: When,
    /// What it answers; `None` leaves that to a later rule, if it goes on.
    pub answer: Option<Answer>,
    /// Asks an application for the reply; then `answer` is what is said when the application fails.
    pub forward: Option<AppId>,
    /// Tags it gives to the user.
    pub tags: Vec<u32>,
    /// Whether later rules are looked at too.
    pub goes_on: bool,
}

/// The rules of an account, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    rules: Vec<Rule>,
    index: Index,
    forwards: bool,
}

/// What the store knows of the user of a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Nothing else of the user was stored before this push.
    pub first_push: bool,
    /// The operators' name for the user.
    pub remark: String,
    /// The user's own name.
    pub nickname: String,
}

/// A rule or a reply needs [`Facts`], and there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactsNeeded;

/// What the rules say about a push.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision {
    /// The reply.
    pub reply: Reply<'static>,
    /// The application to ask; then `reply` is for the case that it fails.
    pub forward: Option<AppId>,
    /// Tags for the user, each once.
    pub tags: Vec<u32>,
}

impl Rules {
    /// Makes the rules ready.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self {
            index: Index::new(&rules),
            forwards: rules.iter().any(|rule| rule.forward.is_some()),
            rules,
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether one of them asks an application.
    #[must_use]
    pub fn forwards(&self) -> bool {
        self.forwards
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// What to do about a push. `identity` is what tells it from every other: the choice among weighted replies hangs on it.
    ///
    /// # Errors
    /// When it depends on `facts` and there are none.
    pub fn decide(
        &self,
        push: &Push<'_>,
        identity: &[u8],
        facts: Option<&Facts>,
    ) -> Result<Decision, FactsNeeded> {
        let mut decision = Decision {
            reply: Reply::None,
            forward: None,
            tags: Vec::new(),
        };
        if self.rules.is_empty() {
            return Ok(decision);
        }
        let subject = Subject::new(push);
        let mut answered = false;
        for candidate in self.index.candidates(&subject) {
            let Some(rule) = self.rules.get(candidate.rule) else {
                continue;
            };
            if !rule.when.holds(&subject, candidate.proven, facts)? {
                continue;
            }
            for tag in &rule.tags {
                if !decision.tags.contains(tag) {
                    decision.tags.push(*tag);
                }
            }
            if !answered && (rule.answer.is_some() || rule.forward.is_some()) {
                if let Some(answer) = &rule.answer {
                    decision.reply = answer.build(&subject, identity, facts)?;
                }
                decision.forward = rule.forward;
                answered = true;
            }
            if !rule.goes_on {
                break;
            }
        }
        Ok(decision)
    }
}

/// A push as conditions and placeholders see it.
struct Subject<'p> {
    push: &'p Push<'p>,
    kind: Kind<'p>,
    /// What the user wrote, in lower case; made when a rule asks for it.
    lower: OnceCell<String>,
}

impl<'p> Subject<'p> {
    fn new(push: &'p Push<'p>) -> Self {
        Self {
            push,
            kind: push.kind(),
            lower: OnceCell::new(),
        }
    }

    /// What the user wrote, without the blanks around it; `None` in anything but a text message.
    fn text(&self) -> Option<&'p str> {
        match self.kind {
            Kind::Text { content } => Some(content.trim()),
            _ => None,
        }
    }

    /// The same in lower case.
    fn lower(&self) -> Option<&str> {
        let text = self.text()?;
        Some(self.lower.get_or_init(|| lower(text)))
    }

    /// A plain field of the push; inner ones by `Outer.Inner`, the first of several that repeat.
    fn field(&self, path: &str) -> Option<&'p str> {
        let mut names = path.split('.');
        let mut value = self.push.fields().list(names.next()?).next()?;
        for name in names {
            value = match value {
                Value::Object(fields) => fields.list(name).next()?,
                _ => return None,
            };
        }
        value.text()
    }

    fn scene(&self) -> Option<&'p str> {
        match self.kind {
            Kind::Subscribe { scene, .. } => scene,
            Kind::Scan { scene, .. } => Some(scene),
            _ => None,
        }
    }
}

/// Lower case, character by character: what it gives for a part of a text is a part of what it gives for the whole.
#[must_use]
pub fn lower(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    in_lower_case(text, |part| out.push_str(part));
    out
}

/// The same in parts, without making it. Mostly the text is one: asking for each character's other case is slow.
fn in_lower_case(text: &str, mut take: impl FnMut(&str)) {
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = rest
            .split_at_checked(caseless(rest.as_bytes()))
            .unwrap_or((rest, ""));
        take(part);
        let mut chars = after.chars();
        for c in chars.next().into_iter().flat_map(char::to_lowercase) {
            take(c.encode_utf8(&mut [0; 4]));
        }
        rest = chars.as_str();
    }
}

/// How many bytes of UTF-8 are characters of which it is plain that they have no other lower case.
fn caseless(utf8: &[u8]) -> usize {
    let mut at = 0;
    while let Some(rest) = utf8.get(at..) {
        at += match rest {
            [b'A'..=b'Z', ..] => break,
            [0..=0x7f, ..] => 1,
            // U+3000 to U+9FFF: CJK and its punctuation. U+FF00 to U+FF20: full-width punctuation and digits.
            [0xe3..=0xe9, ..] | [0xef, 0xbc, 0x80..=0xa0, ..] => 3,
            // U+1F000 to U+3FFFF: emoji, and the CJK beyond the first plane.
            [0xf0, 0x9f..=0xbf, ..] => 4,
            _ => break,
        };
    }
    at
}

#[cfg(test)]
mod tests {
    use super::lower;

    #[test]
    fn lower_case_is_that_of_each_character() {
        for c in '\0'..=char::MAX {
            let expected: String = c.to_lowercase().collect();
            assert_eq!(lower(&c.to_string()), expected, "{c:?}");
        }
        assert_eq!(lower("ÀB预约İ😀，Ａ"), "àb预约i̇😀，ａ");
    }
}
