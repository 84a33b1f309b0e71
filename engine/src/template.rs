//! Text with `{openid}` and `{scene}` in it, compiled once while configuring.
//!
//! `{{` and `}}` stand for the braces themselves. What a push does not have becomes empty text.

use std::borrow::Cow;

/// Where the text of a placeholder comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placeholder {
    /// The user's openid.
    OpenId,
    /// The scene of the QR code, without `qrscene_`.
    Scene,
    /// The text the user sent.
    Content,
    /// `EventKey` as sent.
    EventKey,
    /// The operators' name for the user, as far as the store knows it.
    Remark,
    /// The user's own name, as far as the store knows it.
    Nickname,
    /// The remark, else the nickname.
    Name,
    /// Any plain field of the push, by WeChat's name; inner ones by `Outer.Inner`.
    Field(String),
}

const PLACEHOLDERS: [(&str, Placeholder); 7] = [
    ("openid", Placeholder::OpenId),
    ("scene", Placeholder::Scene),
    ("content", Placeholder::Content),
    ("event_key", Placeholder::EventKey),
    ("remark", Placeholder::Remark),
    ("nickname", Placeholder::Nickname),
    ("name", Placeholder::Name),
];
/// Before the name of a field.
const FIELD_PREFIX: &str = "push.";

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Value(Placeholder),
}

/// A compiled text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl Template {
    /// Compiles `text`.
    ///
    /// # Errors
    /// A sentence for the operator: an unknown placeholder, or a brace without its partner.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else if let Some((name, after)) = from
                .strip_prefix('{')
                .and_then(|after| after.split_once('}'))
            {
                let known = PLACEHOLDERS.iter().find(|(known, _)| *known == name);
                let field = name
                    .strip_prefix(FIELD_PREFIX)
                    .filter(|path| !path.is_empty());
                let value = match (known, field) {
                    (Some((_, value)), _) => value.clone(),
                    (None, Some(path)) => Placeholder::Field(path.to_owned()),
                    (None, None) => {
                        let known = PLACEHOLDERS.map(|(name, _)| format!("{{{name}}}"));
                        return Err(format!(
                            "{{{name}}} is not a placeholder; known are {} and {{push.FIELD}} ({{{{ for a brace)",
                            known.join(", ")
                        ));
                    }
                };
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Value(value));
                rest = after;
            } else {
                return Err("a brace has no partner; write {{ or }} for a brace".to_owned());
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self(pieces))
    }

    /// The text, with `value` asked for each placeholder.
    pub fn render<'v>(&self, value: impl Fn(&Placeholder) -> Option<Cow<'v, str>>) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Value(placeholder) => {
                    out.push_str(value(placeholder).as_deref().unwrap_or_default());
                }
            }
        }
        out
    }

    /// Whether it has a placeholder that only the store can fill.
    #[must_use]
    pub fn asks_facts(&self) -> bool {
        let asks = |placeholder: &Placeholder| {
            matches!(
                placeholder,
                Placeholder::Remark | Placeholder::Nickname | Placeholder::Name
            )
        };
        self.0
            .iter()
            .any(|piece| matches!(piece, Piece::Value(value) if asks(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Placeholder, Template};

    fn check(text: &str, expected: &str) {
        let rendered = Template::parse(text).unwrap().render(|p| match p {
            Placeholder::OpenId => Some("oA".into()),
            Placeholder::Content => Some("{openid}".into()),
            Placeholder::EventKey => Some("K".into()),
            Placeholder::Field(path) => Some(format!("<{path}>").into()),
            _ => None,
        });
        assert_eq!(rendered, expected);
    }

    #[test]
    fn placeholders_are_filled_once_and_braces_can_be_written() {
        check("", "");
        check("plain 你好", "plain 你好");
        check("Hi {openid}!", "Hi oA!");
        check("[{scene}]", "[]");
        check("{{openid}}", "{openid}");
        check("{content}", "{openid}");
        check("{event_key}{event_key}", "KK");
        check("{push.Label} {push.A.B}", "<Label> <A.B>");
    }

    #[test]
    fn a_wrong_template_names_what_is_wrong() {
        assert!(Template::parse("{nick}").unwrap_err().contains("{openid}"));
        assert!(Template::parse("{push.}").is_err());
        assert!(Template::parse("a { b").unwrap_err().contains("partner"));
        assert!(Template::parse("a } b").unwrap_err().contains("partner"));
    }
}
