//! What kind a push is of, by the name that people type or by its fields.

use weir_protocol::kinds::{Area, Carrier, PushKind};
use weir_sim::Fields;

/// A kind of push, known or not.
#[derive(Debug, Clone)]
pub struct Kind {
    /// `text`, `subscribe` …, as WeChat writes it where it is known.
    pub name: String,
    /// Which field names it.
    pub carrier: Carrier,
    /// Its place in the table.
    pub known: Option<&'static PushKind>,
}

/// Events for which WeChat shows a reply: what a user does in the chat. Source: the pages on passive replies and on menus; of
/// events that no page names, nobody knows.
const ANSWERED: &[&str] = &[
    "subscribe",
    "SCAN",
    "CLICK",
    "LOCATION",
    "scancode_push",
    "scancode_waitmsg",
    "pic_sysphoto",
    "pic_photo_or_album",
    "pic_weixin",
    "location_select",
    "user_enter_session_from_card",
    "user_enter_tempsession",
];

impl Kind {
    /// The kind that people mean by a name. Letter case tells `location`, a message, from `LOCATION`, an event; otherwise it is free. A
    /// name that is not known is an event's.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let exact = |carrier: Carrier| carrier.kind(name).filter(|kind| kind.name == name);
        let free = |carrier: Carrier| {
            let of = |area: &&Area| area.carrier() == carrier;
            let mut kinds = Area::ALL.iter().filter(of).flat_map(|area| area.kinds());
            kinds.find(|kind| kind.name.eq_ignore_ascii_case(name))
        };
        let sorts = [Carrier::Message, Carrier::Event, Carrier::Component];
        let found = sorts
            .iter()
            .find_map(|carrier| Some((*carrier, exact(*carrier)?)))
            .or_else(|| {
                let mut sorts = sorts.iter();
                sorts.find_map(|carrier| Some((*carrier, free(*carrier)?)))
            });
        match found {
            Some((carrier, kind)) => Self {
                name: kind.name.to_owned(),
                carrier,
                known: Some(kind),
            },
            None => Self::event(name),
        }
    }

    /// An event of this name.
    #[must_use]
    pub fn event(name: &str) -> Self {
        Self::of_carrier(Carrier::Event, name)
    }

    /// A message of this type.
    #[must_use]
    pub fn message(name: &str) -> Self {
        Self::of_carrier(Carrier::Message, name)
    }

    fn of_carrier(carrier: Carrier, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            carrier,
            known: carrier.kind(name),
        }
    }

    /// The kind of a push.
    #[must_use]
    pub fn of(fields: &Fields) -> Self {
        let text = |name: &str| fields.text(name).unwrap_or_default();
        match (fields.text("InfoType"), text("MsgType")) {
            (Some(info_type), _) => Self::of_carrier(Carrier::Component, info_type),
            (None, "event") => Self::event(text("Event")),
            (None, msg_type) => Self::message(msg_type),
        }
    }

    /// Whether WeChat shows the user a reply to it.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        match self.carrier {
            Carrier::Message => true,
            Carrier::Event => {
                let mut answered = ANSWERED.iter();
                self.known.is_none() || answered.any(|name| name.eq_ignore_ascii_case(&self.name))
            }
            Carrier::Component => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_what_wechat_means_by_it() {
        for (typed, name, carrier) in [
            ("text", "text", Carrier::Message),
            ("location", "location", Carrier::Message),
            ("LOCATION", "LOCATION", Carrier::Event),
            ("scan", "SCAN", Carrier::Event),
            ("click", "CLICK", Carrier::Event),
            ("Subscribe", "subscribe", Carrier::Event),
            ("user_get_card", "user_get_card", Carrier::Event),
            (
                "component_verify_ticket",
                "component_verify_ticket",
                Carrier::Component,
            ),
            ("never_heard_of", "never_heard_of", Carrier::Event),
        ] {
            let kind = Kind::named(typed);
            assert_eq!(
                (kind.name.as_str(), kind.carrier),
                (name, carrier),
                "{typed}"
            );
        }
    }

    #[test]
    fn every_event_that_is_answered_is_in_the_table() {
        for name in ANSWERED {
            assert_eq!(Kind::event(name).known.map(|kind| kind.name), Some(*name));
        }
        assert!(Kind::named("text").is_answered());
        assert!(!Kind::named("unsubscribe").is_answered());
        assert!(!Kind::named("VIEW").is_answered());
    }
}
