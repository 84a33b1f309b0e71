//! How fields are described, and how tables of them are written.

use super::PushKind;

/// A field of a kind of push, or of an object in it.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// WeChat's name for it.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// Whether WeChat's pages have it in every push of this kind.
    #[cfg(feature = "docs")]
    pub required: bool,
    /// What it means.
    #[cfg(feature = "docs")]
    pub doc: &'static str,
}

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// What somebody or something wrote.
    Text,
    /// A name for something: a text, even if it has digits only, since many exceed 2^53.
    Id,
    /// A whole number, perhaps negative.
    Integer,
    /// A number that may have a fraction.
    Decimal,
    /// 1 or 0.
    Flag,
    /// A time in Unix seconds.
    Seconds,
    /// Fields.
    Object(&'static [Field]),
    /// Elements of this name, one or many; in JSON an array or a bare object.
    List(&'static Shape),
    /// A list whose elements XML has inside this one, under another name.
    Items(&'static Items),
    /// A list which XML has inside another element. Its name is that of the list.
    Lifted(&'static Items),
}

/// A list and the element that is in its way.
#[derive(Debug)]
pub struct Items {
    /// What XML has around the list ([`Shape::Lifted`]), or each item in ([`Shape::Items`]).
    pub wrapper: &'static str,
    /// What an item is.
    pub item: Shape,
}

impl Shape {
    /// What the items of a list are.
    #[must_use]
    pub fn item(&self) -> Option<&Shape> {
        match self {
            Self::List(item) => Some(item),
            Self::Items(items) | Self::Lifted(items) => Some(&items.item),
            _ => None,
        }
    }
}

impl Field {
    /// May be absent.
    pub(super) const fn optional(self) -> Self {
        Self {
            #[cfg(feature = "docs")]
            required: false,
            ..self
        }
    }
}

/// A field that every push of the kind has, unless made [`optional`](Field::optional).
#[cfg_attr(not(feature = "docs"), allow(unused_variables))]
pub(super) const fn field(name: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field {
        name,
        shape,
        #[cfg(feature = "docs")]
        required: true,
        #[cfg(feature = "docs")]
        doc,
    }
}

pub(super) const fn text(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::Text, doc)
}

pub(super) const fn id(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::Id, doc)
}

pub(super) const fn integer(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::Integer, doc)
}

pub(super) const fn decimal(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::Decimal, doc)
}

pub(super) const fn flag(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::Flag, doc)
}

pub(super) const fn seconds(name: &'static str, doc: &'static str) -> Field {
    field(name, Shape::Seconds, doc)
}

/// One kind.
#[cfg_attr(not(feature = "docs"), allow(unused_variables))]
pub(super) const fn kind(
    name: &'static str,
    doc: &'static str,
    fields: &'static [Field],
) -> PushKind {
    PushKind {
        name,
        fields,
        #[cfg(feature = "docs")]
        doc,
    }
}
