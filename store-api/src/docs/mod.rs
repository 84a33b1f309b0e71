//! What every event looks like: for programs as JSON Schemas (2020-12), for people as one page of Markdown.
//!
//! Both are made from the table of [`weir_protocol::kinds`], so that they say what is sent. Only with the cargo feature
//! `docs`: nothing of this is in the plugin or the store.

mod cards;
mod page;
mod schema;

use weir_protocol::kinds::{Area, Carrier, PushKind};

pub use page::page;
pub use schema::{EventSchema, schemas};

use crate::{TYPE_COMPONENT, TYPE_EVENT, TYPE_MESSAGE};

/// The `type` of the events of a kind of push.
fn type_of(carrier: Carrier, kind: &PushKind) -> String {
    prefix(carrier).to_owned() + &kind.name.to_ascii_lowercase()
}

fn prefix(carrier: Carrier) -> &'static str {
    match carrier {
        Carrier::Message => TYPE_MESSAGE,
        Carrier::Event => TYPE_EVENT,
        Carrier::Component => TYPE_COMPONENT,
    }
}

const CARRIERS: [Carrier; 3] = [Carrier::Message, Carrier::Event, Carrier::Component];

/// Every kind of push with its area.
fn kinds() -> impl Iterator<Item = (Area, &'static PushKind)> {
    Area::ALL
        .into_iter()
        .flat_map(|area| area.kinds().iter().map(move |kind| (area, kind)))
}
