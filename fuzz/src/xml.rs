//! `xml`: a push in XML.
//!
//! The input is the whole body if it starts with `<`, else what stands in a field of a push that is right otherwise.

use std::borrow::Cow;

use roxmltree::{Document, Node};
use weir_protocol::error::ParseError;
use weir_protocol::fields::{Fields, Value};
use weir_protocol::push::{Format, Push};

use crate::push::{self, REQUIRED, SMALL};

/// The target.
///
/// # Panics
/// What must hold does not.
pub fn check(data: &[u8]) {
    let body = if data.first() == Some(&b'<') {
        Cow::Borrowed(data)
    } else {
        Cow::Owned(around(data))
    };
    let Ok(push) = push::check(&body, Format::Xml) else {
        return;
    };

    let written = push::to_xml(push.fields());
    match Push::parse(written.as_bytes()) {
        Ok(again) => push::check_same(&push, &again),
        Err(ParseError::TooLarge) => {}
        Err(error) => panic!("what was read and written is refused: {error}"),
    }
    if body.len() <= SMALL {
        let mut commented = body.to_vec();
        commented.extend_from_slice(b"<!-- after --> <?after all?>");
        match Push::parse(&commented) {
            Ok(again) => push::check_same(&push, &again),
            Err(error) => panic!("a comment makes a difference: {error}"),
        }
        if let Some(tree) = other_reading(&body) {
            assert!(
                same_fields(push.fields(), tree.root_element()),
                "another parser reads it otherwise"
            );
        }
    }
}

/// A push in XML with something in it.
fn around(data: &[u8]) -> Vec<u8> {
    let mut body = b"<xml>".to_vec();
    for (name, text) in REQUIRED {
        body.extend_from_slice(format!("<{name}><![CDATA[{text}]]></{name}>").as_bytes());
    }
    body.extend_from_slice(b"<X>");
    body.extend_from_slice(data);
    body.extend_from_slice(b"</X></xml>");
    body
}

/// The body as another parser has it, if it takes it. It takes what stands before a colon for a namespace, which here is
/// part of the name.
fn other_reading(body: &[u8]) -> Option<Document<'_>> {
    let text = std::str::from_utf8(body).ok()?;
    let tree = Document::parse(text).ok()?;
    let name_is_whole = |node: Node<'_, '_>| {
        let tag = tree.input_text().get(node.range().start + 1..);
        tag.is_some_and(|tag| tag.starts_with(node.tag_name().name()))
    };
    let elements = tree.descendants().filter(Node::is_element);
    let plain = elements.into_iter().all(name_is_whole);
    plain.then_some(tree)
}

/// Whether an element's children are these fields, by the profile: slow and plain.
fn same_fields(fields: &Fields<'_>, element: Node<'_, '_>) -> bool {
    let mut names: Vec<&str> = Vec::new();
    for child in element.children().filter(Node::is_element) {
        let name = child.tag_name().name();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    fields
        .iter()
        .map(|(name, _)| name)
        .eq(names.iter().copied())
        && names.iter().all(|name| {
            let children = element
                .children()
                .filter(|child| child.is_element() && child.tag_name().name() == *name);
            let children: Vec<_> = children.collect();
            let values: Vec<_> = fields.list(name).collect();
            matches!(fields.get(name), Some(Value::List(_))) == (children.len() > 1)
                && values.len() == children.len()
                && values
                    .iter()
                    .zip(children)
                    .all(|(value, child)| same(value, child))
        })
}

fn same(value: &Value<'_>, element: Node<'_, '_>) -> bool {
    match value {
        Value::Object(fields) => {
            element.children().any(|child| child.is_element()) && same_fields(fields, element)
        }
        Value::Text(text) => {
            let texts = element.children().filter(Node::is_text);
            let theirs = texts.filter_map(|child| child.text());
            // It does not tell text from CDATA, whose blanks count.
            !element.children().any(|child| child.is_element())
                && without_blanks(text.chars()).eq(without_blanks(theirs.flat_map(str::chars)))
        }
        _ => false,
    }
}

fn without_blanks(chars: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    chars.filter(|char| !matches!(char, ' ' | '\t' | '\r' | '\n'))
}
