//! Every kind of push that is known, with its fields and their shapes: one table, from which typed JSON, schemas and
//! the reference of events are made.
//!
//! WeChat writes one and the same push in many ways: numbers as texts or not, a list of one as a bare object, lists
//! inside an `item` or a wrapper or not. [`Push::typed`] writes them all alike, by this table:
//!
//! | shape | as JSON |
//! |---|---|
//! | text, id | string, also where a JSON push has a number; ids without blanks around them |
//! | integer, seconds | number, if it is an integer from -2^53 to 2^53 without needless zeros or signs |
//! | flag | number: 1 or 0, also for `true` and `false`, which WeChat writes now and then |
//! | decimal | number, as many digits as were sent, if it has no exponent and at most 32 characters |
//! | object | object; an empty element is an object without fields |
//! | list | array, be it one, many, bare or wrapped; an empty element is a list of none |
//!
//! Names are WeChat's own. What does not have the shape it should have is written as it came: a plain value as a
//! string, anything else untouched. So are fields that are not in the table. Nothing is left out; only wrappers are
//! taken off: `PicList.item` is `PicList`, `SubscribeMsgPopupEvent.List` is `List`.
//!
//! Pushes of kinds that are not known have their [common fields](Carrier::fields) written so, and all others as they came.
//!
//! # Flags are numbers
//! `1` and `0` are what WeChat's own pages speak of, and a third value would still be a number.
//!
//! # Cost
//! The table is read where it stands: no heap, and fields that come in the order of WeChat's pages, which they do, are
//! found at once. What each kind and field means is only there with the cargo feature `docs`, and never in the plugin.
//!
//! Source: official pages on messages, events, cards, mini programs and third-party platforms; where those are silent,
//! what SDKs agree on. An SDK alone is said so.

mod cards;
mod component;
mod events;
mod messages;
mod mini_program;
#[cfg(feature = "docs")]
pub mod schema;
mod shape;
mod typed;
mod view;

pub use shape::{Field, Items, Shape};
pub use typed::Typed;
use view::View;

use crate::push::Push;

/// One kind of push.
#[derive(Debug)]
pub struct PushKind {
    /// `MsgType`, `Event` or `InfoType`, as WeChat writes it.
    pub name: &'static str,
    /// Its own fields, in the order of WeChat's pages. The [common ones](Carrier::fields) come before and after.
    pub fields: &'static [Field],
    /// When WeChat sends it.
    #[cfg(feature = "docs")]
    pub doc: &'static str,
}

/// Which field says of what kind a push is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// `MsgType`: a message.
    Message,
    /// `Event`, where `MsgType` is `event`.
    Event,
    /// `InfoType`: a notice to a third-party platform.
    Component,
}

/// What a kind has to do with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// What users write.
    Messages,
    /// Events of Official Accounts.
    Events,
    /// Cards, member cards, gift cards and invoices.
    Cards,
    /// Events of mini programs.
    MiniProgram,
    /// Notices to third-party platforms.
    Component,
}

impl Area {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Messages,
        Self::Events,
        Self::Cards,
        Self::MiniProgram,
        Self::Component,
    ];

    /// Its kinds; the frequent ones first.
    #[must_use]
    pub fn kinds(self) -> &'static [PushKind] {
        match self {
            Self::Messages => messages::KINDS,
            Self::Events => events::KINDS,
            Self::Cards => cards::KINDS,
            Self::MiniProgram => mini_program::KINDS,
            Self::Component => component::KINDS,
        }
    }

    /// Which field names its kinds.
    #[must_use]
    pub fn carrier(self) -> Carrier {
        match self {
            Self::Messages => Carrier::Message,
            Self::Events | Self::Cards | Self::MiniProgram => Carrier::Event,
            Self::Component => Carrier::Component,
        }
    }
}

impl Carrier {
    /// The kind of this name: of an event without regard to letter case, as WeChat itself writes `SCAN` and `scan`.
    #[must_use]
    pub fn kind(self, name: &str) -> Option<&'static PushKind> {
        let tables: &[&[PushKind]] = match self {
            Self::Message => &[messages::KINDS],
            Self::Event => &[events::KINDS, cards::KINDS, mini_program::KINDS],
            Self::Component => &[component::KINDS],
        };
        for table in tables {
            for kind in *table {
                let same = kind.name.len() == name.len()
                    && (kind.name == name
                        || (self == Self::Event && kind.name.eq_ignore_ascii_case(name)));
                if same {
                    return Some(kind);
                }
            }
        }
        None
    }

    /// The fields that every push of this sort may have, whatever its kind. A kind's own field of the same name goes
    /// first.
    #[must_use]
    pub fn fields(self) -> &'static [Field] {
        match self {
            Self::Message => messages::COMMON,
            Self::Event => events::COMMON,
            Self::Component => component::COMMON,
        }
    }
}

impl<'a> Push<'a> {
    /// Which field says of what kind it is.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.named().0
    }

    /// What is known about its kind.
    #[must_use]
    pub fn known(&self) -> Option<&'static PushKind> {
        let (carrier, name) = self.named();
        carrier.kind(name)
    }

    /// Which field says of what kind it is, and what it says.
    fn named(&self) -> (Carrier, &str) {
        match (self.info_type(), self.event()) {
            (Some(info_type), _) => (Carrier::Component, info_type),
            (None, Some(event)) => (Carrier::Event, event),
            (None, None) => (Carrier::Message, self.msg_type()),
        }
    }

    /// Its own fields as far as they are known, and those that all of its sort may have.
    fn tables(&self) -> [&'static [Field]; 2] {
        let (carrier, name) = self.named();
        let own = carrier.kind(name).map_or(&[][..], |kind| kind.fields);
        [own, carrier.fields()]
    }

    /// A plain value by its path in [typed JSON](Self::typed): names and indices with a `.` between,
    /// `SendPicsInfo.Count`, `List.0.TemplateId`. The index of a first item may be left out. Numbers are given as they
    /// were written; no blanks around anything but texts.
    #[must_use]
    pub fn field(&self, path: &str) -> Option<&str> {
        let mut steps = path.split('.');
        let first = steps.next()?;
        let known = self
            .tables()
            .into_iter()
            .find(|fields| fields.iter().any(|field| field.name == first));
        steps
            .try_fold(
                view::find(self.fields(), known.unwrap_or_default(), first)?,
                View::step,
            )?
            .text()
    }

    /// All its fields, written as [this table](crate::kinds) says.
    #[must_use]
    pub fn typed(&self) -> Typed<'_, 'a> {
        Typed::new(self)
    }
}
