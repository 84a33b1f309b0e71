//! What holds for a push, however it is written.

use weir_protocol::envelope::Envelope;
use weir_protocol::error::ParseError;
use weir_protocol::fields::{Fields, Value};
use weir_protocol::push::{Format, Push};

use crate::typed;

/// The fields every push needs.
pub(crate) const REQUIRED: [(&str, &str); 4] = [
    ("ToUserName", "gh_0a1b2c3d4e5f"),
    ("FromUserName", "oAbCdEf0123456789GhIjKlMnOpQ"),
    ("CreateTime", "1714112445"),
    ("MsgType", "text"),
];

/// Larger bodies are only parsed, written and parsed again; the rest is for those that many are tried of.
pub(crate) const SMALL: usize = 4096;

/// Parses a body and asks everything of the result. What is wrong with the body is not this function's business.
pub(crate) fn check(body: &[u8], format: Format) -> Result<Push<'_>, ParseError> {
    let envelope = Envelope::parse(body);
    let push = Push::parse(body).inspect_err(|error| {
        assert_eq!(error.code(), -40002);
        assert!(!error.to_string().is_empty());
    })?;
    assert_eq!(push.format(), format);

    let component = push.msg_type().is_empty();
    assert_eq!(component, push.kind().name() == "component");
    assert_eq!(component, push.to_user_name().is_empty());
    assert_eq!(component, push.from_user_name().is_empty());
    assert_eq!(push.event().is_some(), push.msg_type() == "event");
    assert!(push.create_time() <= 1 << 53);
    for text in [push.msg_id(), push.event(), push.event_key(), push.app_id()] {
        assert_ne!(text, Some(""));
    }
    assert!(component || !push.openid().is_empty());
    // Shapes and counts, nothing that was sent.
    assert!(format!("{push:?}").len() < 100);

    let identity = identity(&push);
    assert!(identity.len() > 1 && identity.len() < 2 * body.len() + 256);

    // Both readers see the same in one body: nobody can show one push to the check and another to the rules.
    if let Ok(envelope) = envelope {
        let outer = [
            ("Encrypt", Some(&envelope.encrypt)),
            ("ToUserName", envelope.to_user_name.as_ref()),
            ("AppId", envelope.app_id.as_ref()),
            ("AgentID", envelope.agent_id.as_ref()),
        ];
        for (name, text) in outer {
            assert_eq!(push.fields().text(name), text.map(|text| &**text), "{name}");
        }
        assert_eq!(envelope.format, format);
    }

    typed::check(&push, body.len() <= SMALL);
    let written = serde_json::to_string(push.fields()).expect("fields can be written");
    check_again(&push, written.as_bytes());
    if body.len() <= SMALL {
        check_again(&push, spaced(&written).as_bytes());
        check_around(&push, body);
    }
    Ok(push)
}

/// The same JSON with blanks wherever they may be.
fn spaced(json: &str) -> String {
    let mut spaced = String::with_capacity(json.len() * 2);
    let (mut in_string, mut escaped) = (false, false);
    for char in json.chars() {
        let between = !in_string && "{}[],:".contains(char);
        in_string ^= char == '"' && !escaped;
        escaped = char == '\\' && !escaped;
        if between {
            spaced.extend([' ', char, '\n']);
        } else {
            spaced.push(char);
        }
    }
    spaced
}

/// `written` says in JSON what `push` says. Lists, which XML has not, may make it deeper than is allowed.
fn check_again(push: &Push<'_>, written: &[u8]) {
    match Push::parse(written) {
        Ok(again) => {
            check_same(push, &again);
            assert_eq!(again.format(), Format::Json);
        }
        Err(ParseError::TooDeep | ParseError::TooMany) if push.format() == Format::Xml => {}
        Err(ParseError::TooLarge) => {}
        Err(error) => panic!("what was read and written is refused: {error}"),
    }
}

/// Two pushes that say the same.
pub(crate) fn check_same(one: &Push<'_>, other: &Push<'_>) {
    assert!(one.fields() == other.fields(), "other fields");
    assert!(one.kind() == other.kind(), "another kind");
    assert_eq!(one.create_time(), other.create_time());
    assert_eq!(one.openid(), other.openid());
    assert_eq!(one.msg_id(), other.msg_id());
}

/// Blanks around a body mean nothing, and a body without its last byte is not one.
fn check_around(push: &Push<'_>, body: &[u8]) {
    let start = body.iter().take_while(|byte| is_blank(**byte)).count();
    let end = body.len()
        - body
            .iter()
            .rev()
            .take_while(|byte| is_blank(**byte))
            .count();
    let bare = &body[start..end];
    assert!(Push::parse(&bare[..bare.len() - 1]).is_err(), "cut short");
    let mut wide = bare.to_vec();
    wide.extend_from_slice(b" \r\n\t");
    if !bare.starts_with(b"\xef\xbb\xbf") {
        wide.splice(..0, *b"\xef\xbb\xbf");
    }
    match Push::parse(&wide) {
        Ok(again) => check_same(push, &again),
        Err(error) => panic!("blanks make a difference: {error}"),
    }
}

pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn identity(push: &Push<'_>) -> Vec<u8> {
    let mut identity = Vec::new();
    push.write_identity(&mut identity);
    identity
}

/// Writes fields as XML, in the ways WeChat has: texts in CDATA, lists as repeated elements.
pub(crate) fn to_xml(fields: &Fields<'_>) -> String {
    let mut out = "<xml>".to_owned();
    write_fields(fields, &mut out);
    out + "</xml>"
}

fn write_fields(fields: &Fields<'_>, out: &mut String) {
    for (name, value) in fields.iter() {
        match value {
            Value::List(items) => items.iter().for_each(|item| write_element(name, item, out)),
            one => write_element(name, one, out),
        }
    }
}

fn write_element(name: &str, value: &Value<'_>, out: &mut String) {
    out.extend(["<", name, ">"]);
    match value {
        Value::Object(fields) => write_fields(fields, out),
        // Escaped, an odd text; in sections, an even one. Outer blanks survive in sections alone.
        leaf => {
            let text = leaf.text().unwrap_or_default();
            let outer_blank = |byte: Option<&u8>| byte.is_some_and(|byte| is_blank(*byte));
            let bytes = text.as_bytes();
            let keeps = !outer_blank(bytes.first()) && !outer_blank(bytes.last());
            if keeps && bytes.len() % 2 == 1 {
                for char in text.chars() {
                    match char {
                        '&' => out.push_str("&amp;"),
                        '<' => out.push_str("&#60;"),
                        '>' => out.push_str("&#x3E;"),
                        other => out.push(other),
                    }
                }
            } else {
                out.extend(["<![CDATA[", &text.replace("]]>", "]]]]><![CDATA[>"), "]]>"]);
            }
        }
    }
    out.extend(["</", name, ">"]);
}
