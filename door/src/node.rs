//! A request's body as JSON: texts stay where they are in it.
//!
//! `serde_json::Value` copies each of them, and every name, and orders objects by name: for a message that takes 4 µs, this half.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Number;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool,
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    Object(Object<'a>),
}

/// Members in the order of the text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object<'a>(Vec<(Name<'a>, Node<'a>)>);

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'a> Node<'a> {
    /// Reads a text; `None` if it is no JSON.
    pub(crate) fn read(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Object<'a>> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }
}

impl<'a> Object<'a> {
    /// The member of this name: of several the last, as WeChat and everybody else has it.
    pub(crate) fn get(&self, name: &str) -> Option<&Node<'a>> {
        let (_, node) = self.0.iter().rfind(|(Name(known), _)| known == name)?;
        Some(node)
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &Node<'a>)> {
        self.0.iter().map(|(Name(name), node)| (&**name, node))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Node::Bool)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        let number = Number::from_f64(number).ok_or_else(|| E::custom("no number"))?;
        Ok(Node::Number(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Node::Text(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Node::Text(text.to_owned().into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = seq.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Node::Object(Object(members)))
    }
}

#[cfg(test)]
mod tests {
    use super::Node;

    #[test]
    fn texts_are_read_where_they_are_and_of_names_that_are_there_twice_the_last() {
        let text = r#"{"a":"x","b\u0061":[null,true,-1,2,0.5,"\n"],"a":{"a":"好"}}"#;
        let node = Node::read(text.as_bytes()).unwrap();
        let object = node.as_object().unwrap();
        let inner = object.get("a").and_then(Node::as_object).unwrap();
        assert_eq!(inner.get("a").and_then(Node::as_str), Some("好"));
        let Some(Node::Text(std::borrow::Cow::Borrowed(_))) = inner.get("a") else {
            panic!("it was copied");
        };
        let list = object.get("ba").and_then(Node::as_list).unwrap();
        assert_eq!(list[0], Node::Null);
        assert_eq!(list[5].as_str(), Some("\n"));
        let numbers: Vec<String> = (list.iter())
            .filter_map(|item| match item {
                Node::Number(number) => Some(number.to_string()),
                _ => None,
            })
            .collect();
        assert_eq!(numbers, ["-1", "2", "0.5"]);
        assert_eq!(object.members().count(), 3);
    }

    #[test]
    fn what_is_no_json_is_not_read() {
        for text in ["", "{", "{\"a\"}", "{} x", "[1,]", "\"\u{0}\"", "1e999"] {
            assert_eq!(Node::read(text.as_bytes()), None, "{text}");
        }
        let deep = "[".repeat(10_000);
        assert_eq!(Node::read(deep.as_bytes()), None);
    }
}
