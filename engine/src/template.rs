//! Text with `{openid}` and `{scene}` in it, compiled once while configuring.
//!
//! `{{` and `}}` stand for the braces themselves. What a push does not have becomes empty text.

/// Where the text of a placeholder comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// The user's openid.
    OpenId,
    /// The scene of the QR code, without `qrscene_`.
    Scene,
    /// The text the user sent.
    Content,
    /// `EventKey` as sent.
    EventKey,
}

const PLACEHOLDERS: [(&str, Placeholder); 4] = [
    ("openid", Placeholder::OpenId),
    ("scene", Placeholder::Scene),
    ("content", Placeholder::Content),
    ("event_key", Placeholder::EventKey),
];

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
                let Some((_, value)) = PLACEHOLDERS.iter().find(|(known, _)| *known == name) else {
                    let known: Vec<_> = PLACEHOLDERS
                        .iter()
                        .map(|(name, _)| format!("{{{name}}}"))
                        .collect();
                    return Err(format!(
                        "{{{name}}} is not a placeholder; known are {} ({{{{ for a brace)",
                        known.join(", ")
                    ));
                };
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Value(*value));
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
    pub fn render<'v>(&self, value: impl Fn(Placeholder) -> Option<&'v str>) -> String {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Value(placeholder) => out.push_str(value(*placeholder).unwrap_or("")),
            }
        }
        out
    }

    /// The text, when it has no placeholders.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Placeholder, Template};

    fn check(text: &str, expected: &str) {
        let rendered = Template::parse(text).unwrap().render(|p| match p {
            Placeholder::OpenId => Some("oA"),
            Placeholder::Scene => None,
            Placeholder::Content => Some("{openid}"),
            Placeholder::EventKey => Some("K"),
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
    }

    #[test]
    fn a_wrong_template_names_what_is_wrong() {
        assert!(
            Template::parse("{nickname}")
                .unwrap_err()
                .contains("{openid}")
        );
        assert!(Template::parse("a { b").unwrap_err().contains("partner"));
        assert!(Template::parse("a } b").unwrap_err().contains("partner"));
    }
}
