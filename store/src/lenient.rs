//! Values of a push or a profile, read without insisting on their JSON type.
//!
//! A push that came as XML has strings only; one that came as JSON may have numbers, and WeChat itself
//! sends the same field now as one, now as the other.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// A value that is not a container. Containers read as [`Leaf::None`].
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Leaf<'a> {
    /// Absent, `null`, or a container.
    #[default]
    None,
    /// A string, or a number beyond `i64`.
    Text(Cow<'a, str>),
    /// A number (or a boolean, as 0 or 1).
    Int(i64),
}

impl Leaf<'_> {
    /// As text, whatever it was. PostgreSQL's text has no U+0000, so it becomes U+FFFD.
    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Leaf::None => None,
            Leaf::Text(text) if text.contains('\0') => Some(text.replace('\0', "\u{fffd}")),
            Leaf::Text(text) => Some(text.into_owned()),
            Leaf::Int(number) => Some(number.to_string()),
        }
    }

    /// As text, unless empty.
    pub(crate) fn into_nonempty(self) -> Option<String> {
        self.into_text().filter(|text| !text.is_empty())
    }

    /// As a whole number, if it is one or spells one.
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Leaf::None => None,
            Leaf::Text(text) => text.trim().parse().ok(),
            Leaf::Int(number) => Some(*number),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Leaf<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LeafVisitor)
    }
}

struct LeafVisitor;

impl<'de> Visitor<'de> for LeafVisitor {
    type Value = Leaf<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Leaf::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Leaf::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Leaf::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number)
            .map_or_else(|_| Leaf::Text(Cow::Owned(number.to_string())), Leaf::Int))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Leaf::Text(Cow::Owned(number.to_string())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Leaf::Int(i64::from(value)))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Leaf::None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Leaf::None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Leaf::None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(json: &str) -> Leaf<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn strings_and_numbers_read_alike() {
        assert_eq!(leaf("\"1714113002\"").int(), Some(1_714_113_002));
        assert_eq!(leaf("1714113002").int(), Some(1_714_113_002));
        assert_eq!(leaf("12").into_text().as_deref(), Some("12"));
        // Beyond 2^53, and beyond i64: not a digit may change.
        assert_eq!(
            leaf("9007199254740993").into_text().as_deref(),
            Some("9007199254740993")
        );
        assert_eq!(
            leaf("18446744073709551615").into_text().as_deref(),
            Some("18446744073709551615")
        );
    }

    #[test]
    fn containers_and_null_are_no_leaf() {
        for json in ["null", "{\"a\":[1]}", "[\"a\"]"] {
            assert_eq!(leaf(json), Leaf::None, "{json}");
        }
    }

    #[test]
    fn a_nul_character_is_replaced() {
        assert_eq!(
            leaf("\"a\\u0000b\"").into_text().as_deref(),
            Some("a\u{fffd}b")
        );
    }
}
