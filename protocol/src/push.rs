//! A push: what WeChat tells a server about one message or event.
//!
//! # The profile: what is accepted
//! * UTF-8, perhaps after a byte order mark; XML or JSON by the first byte that is not blank, whatever the Content-Type.
//! * XML: one root of any name; no DOCTYPE; text and CDATA as [told here](self#leaves-of-xml). JSON: one object, in
//!   which `null` means absent.
//! * Required: `ToUserName`, `FromUserName`, `CreateTime`, `MsgType`; `Event` in events. In notices to third-party
//!   platforms instead: `AppId`, `CreateTime`, `InfoType`.
//! * A field that decides what a push is must be plain and must not occur twice: two readers could see two pushes.
//! * `CreateTime` is an unsigned integer up to 2^53; numbers may be texts, with blanks around.
//! * Unknown types, events and fields are kept and never an error. Everything is bounded: [`crate::limits`].
//!
//! # Leaves of XML
//! A leaf that holds CDATA and else only blanks is that CDATA, exactly, blanks and all. Any other leaf is its text and
//! CDATA put together, without the blanks that the outer text has at its ends. `<a/>` is an empty text.
//!
//! Source: official pages on receiving messages and events; samples; where those are silent, what SDKs agree on.

mod identity;

use std::fmt;

use crate::document::{Document, trim};
use crate::error::ParseError;
use crate::fields::{Fields, Tree, Value};

pub use identity::TWINS;

/// How an account's pushes and replies are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// What Official Accounts use, unless changed.
    #[default]
    Xml,
    /// What mini programs may use.
    Json,
}

/// Latest `CreateTime` that is taken for one: 2^53, up to which every reader of JSON agrees.
const MAX_CREATE_TIME: u64 = 1 << 53;

/// Before the scene in the `EventKey` of a `subscribe` by QR code.
const SCENE_PREFIX: &str = "qrscene_";

/// One message or event, borrowed from its body.
///
/// Pushes of third-party platforms about authorisations have an `InfoType` instead of the usual four fields; their
/// [`msg_type`](Self::msg_type), [`to_user_name`](Self::to_user_name) and [`from_user_name`](Self::from_user_name)
/// are empty.
#[derive(Clone)]
pub struct Push<'a> {
    body: &'a [u8],
    format: Format,
    fields: Fields<'a>,
    at: Routing,
    create_time: u64,
}

/// Where in the fields the routing fields are.
#[derive(Clone, Copy, Default)]
struct Routing {
    to_user_name: Option<usize>,
    from_user_name: Option<usize>,
    create_time: Option<usize>,
    msg_type: Option<usize>,
    msg_id: Option<usize>,
    event: Option<usize>,
    event_key: Option<usize>,
    info_type: Option<usize>,
    app_id: Option<usize>,
}

/// What a push is about, as far as it is known here. The rest is in [`Push::fields`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind<'p> {
    /// A user wrote a text.
    Text {
        /// What the user wrote.
        content: &'p str,
    },
    /// A user followed.
    Subscribe {
        /// Scene of the QR code, without `qrscene_`; none when there was no QR code with a scene.
        scene: Option<&'p str>,
        /// Ticket of the QR code.
        ticket: Option<&'p str>,
    },
    /// A user stopped following.
    Unsubscribe,
    /// A follower scanned a QR code with a scene.
    Scan {
        /// Scene of the QR code.
        scene: &'p str,
        /// Ticket of the QR code.
        ticket: Option<&'p str>,
    },
    /// Any other message, by its `MsgType`.
    OtherMessage(&'p str),
    /// Any other event, by its `Event` as sent.
    OtherEvent(&'p str),
    /// A notice to a third-party platform.
    Component {
        /// `component_verify_ticket`, `authorized` …
        info_type: &'p str,
    },
}

/// The name of a field that decides what a push is, and so must not occur twice; the same name, but static.
pub(crate) fn routing_field(name: &str) -> Option<&'static str> {
    Some(match name {
        "ToUserName" => "ToUserName",
        "FromUserName" => "FromUserName",
        "CreateTime" => "CreateTime",
        "MsgType" => "MsgType",
        "MsgId" => "MsgId",
        "Event" => "Event",
        "InfoType" => "InfoType",
        _ => return None,
    })
}

impl<'a> Push<'a> {
    /// Parses a body in plain text: of a plain-mode push, or what [`decrypt`](crate::cipher::decrypt) returned.
    ///
    /// # Errors
    /// When it is malformed, exceeds a bound, or lacks a required field; see [`ParseError`].
    pub fn parse(body: &'a [u8]) -> Result<Self, ParseError> {
        let document = Document::open(body)?;
        let fields = match document.flat() {
            Some(fields) => fields,
            None => {
                let mut tree = Tree::new(document.format);
                document.walk(&mut tree)?;
                tree.finish()
            }
        };
        let at = Routing::find(&fields);
        let mut push = Self {
            body,
            format: document.format,
            fields,
            at,
            create_time: 0,
        };
        push.check()?;
        Ok(push)
    }

    fn check(&mut self) -> Result<(), ParseError> {
        let at = self.at;
        if self.is_component() {
            self.required("InfoType", at.info_type)?;
            self.required("AppId", at.app_id)?;
        } else {
            self.required("ToUserName", at.to_user_name)?;
            self.required("FromUserName", at.from_user_name)?;
            if self.required("MsgType", at.msg_type)? == "event" {
                self.required("Event", at.event)?;
            }
        }
        if at.msg_id.is_some_and(|index| {
            self.fields
                .at(index)
                .is_some_and(|value| value.text().is_none())
        }) {
            return Err(ParseError::NotPlain("MsgId"));
        }
        let create_time = trim(self.required("CreateTime", at.create_time)?);
        self.create_time = Some(create_time)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .filter(|time| *time <= MAX_CREATE_TIME)
            .ok_or(ParseError::BadCreateTime)?;
        Ok(())
    }

    fn is_component(&self) -> bool {
        self.at.msg_type.is_none() && self.at.info_type.is_some()
    }

    fn required(&self, name: &'static str, index: Option<usize>) -> Result<&str, ParseError> {
        let value = index
            .and_then(|index| self.fields.at(index))
            .ok_or(ParseError::Missing(name))?;
        match value.text().ok_or(ParseError::NotPlain(name))? {
            "" => Err(ParseError::Missing(name)),
            text => Ok(text),
        }
    }

    /// The text of a field by its place; empty when there is none.
    fn text(&self, index: Option<usize>) -> &str {
        index
            .and_then(|index| self.fields.at(index))
            .and_then(Value::text)
            .unwrap_or_default()
    }

    /// How the body was written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The account: its original id, `gh_…`.
    pub fn to_user_name(&self) -> &str {
        self.text(self.at.to_user_name)
    }

    /// The sender: mostly a user's openid.
    pub fn from_user_name(&self) -> &str {
        self.text(self.at.from_user_name)
    }

    /// The user it is about. Mostly the sender; but changes to a user's authorisations or data, and virtual payments,
    /// are sent by the platform, and name the user in a field of their own.
    pub fn openid(&self) -> &str {
        const BY_THE_PLATFORM: [&str; 3] = ["user_info_modified", "user_authorization_", "xpay_"];
        const NAMES: [&str; 3] = ["OpenID", "openid", "OpenId"];
        let starts = |event: &str, with: &str| {
            event
                .get(..with.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(with))
        };
        self.event()
            .filter(|event| BY_THE_PLATFORM.iter().any(|with| starts(event, with)))
            .and_then(|_| {
                let mut named = NAMES.iter().filter_map(|name| self.fields.text(name));
                named.find_map(|text| filled(trim(text)))
            })
            .unwrap_or(self.from_user_name())
    }

    /// When it happened, in Unix seconds; at most 2^53.
    pub fn create_time(&self) -> u64 {
        self.create_time
    }

    /// `text`, `image`, `event` …, as sent.
    pub fn msg_type(&self) -> &str {
        if self.is_component() {
            ""
        } else {
            self.text(self.at.msg_type)
        }
    }

    /// The id of a message: mostly a 64-bit number, but mini programs also get other texts. Never empty.
    pub fn msg_id(&self) -> Option<&str> {
        filled(trim(self.text(self.at.msg_id)))
    }

    /// The event, as sent: compare it without regard to case. Never empty; none in messages.
    pub fn event(&self) -> Option<&str> {
        if self.msg_type() == "event" {
            filled(self.text(self.at.event))
        } else {
            None
        }
    }

    /// What a notice to a third-party platform is about; none in other pushes. Never empty.
    pub fn info_type(&self) -> Option<&str> {
        if self.is_component() {
            filled(self.text(self.at.info_type))
        } else {
            None
        }
    }

    /// The event's key, as sent. Never empty: an empty one means the same to WeChat as none.
    pub fn event_key(&self) -> Option<&str> {
        filled(self.text(self.at.event_key))
    }

    /// The third-party platform's appid, in pushes of that kind; in others whatever the field `AppId` means there.
    pub fn app_id(&self) -> Option<&str> {
        filled(self.text(self.at.app_id))
    }

    /// All fields.
    pub fn fields(&self) -> &Fields<'a> {
        &self.fields
    }

    /// What it is about.
    pub fn kind(&self) -> Kind<'_> {
        if self.is_component() {
            return Kind::Component {
                info_type: self.text(self.at.info_type),
            };
        }
        let ticket = || self.fields.text("Ticket").and_then(filled);
        match (self.event(), self.msg_type()) {
            (Some(event), _) if event.eq_ignore_ascii_case("subscribe") => {
                let scene = self
                    .event_key()
                    .and_then(|key| key.strip_prefix(SCENE_PREFIX))
                    .and_then(filled);
                Kind::Subscribe {
                    scene,
                    ticket: ticket(),
                }
            }
            (Some(event), _) if event.eq_ignore_ascii_case("unsubscribe") => Kind::Unsubscribe,
            (Some(event), _) if event.eq_ignore_ascii_case("SCAN") => Kind::Scan {
                scene: self.event_key().unwrap_or_default(),
                ticket: ticket(),
            },
            (Some(event), _) => Kind::OtherEvent(event),
            (None, "text") => Kind::Text {
                content: self.fields.text("Content").unwrap_or_default(),
            },
            (None, msg_type) => Kind::OtherMessage(msg_type),
        }
    }
}

impl Routing {
    fn find(fields: &Fields<'_>) -> Self {
        let mut at = Self::default();
        for (index, (name, _)) in fields.iter().enumerate() {
            let slot = match name {
                "ToUserName" => &mut at.to_user_name,
                "FromUserName" => &mut at.from_user_name,
                "CreateTime" => &mut at.create_time,
                "MsgType" => &mut at.msg_type,
                "MsgId" => &mut at.msg_id,
                "Event" => &mut at.event,
                "EventKey" => &mut at.event_key,
                "InfoType" => &mut at.info_type,
                "AppId" => &mut at.app_id,
                _ => continue,
            };
            *slot = Some(index);
        }
        at
    }
}

fn filled(text: &str) -> Option<&str> {
    if text.is_empty() { None } else { Some(text) }
}

impl<'p> Kind<'p> {
    /// A short name without anything of the content, for metrics: the names are a closed set.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Subscribe { .. } => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::Scan { .. } => "scan",
            Self::OtherMessage(_) => "message",
            Self::OtherEvent(_) => "event",
            Self::Component { .. } => "component",
        }
    }
}

impl fmt::Debug for Kind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Push<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Push")
            .field("format", &self.format)
            .field("kind", &self.kind())
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}
