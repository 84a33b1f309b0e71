//! What one event tells the projections: who, when, and what changed.
//!
//! Only Weir's own types tell anything; every other event is kept in the log and no more. So is one
//! whose data is not what its type promises: nothing that arrives is lost for being unexpected.

mod blacklist;
mod card;
mod login;
mod outgoing;
mod phone;
mod profile;
mod push;

use weir_store_api::read::Decision;
use weir_store_api::{
    TYPE_CARD_SNAPSHOT, TYPE_COMPONENT, TYPE_EVENT, TYPE_MESSAGE, TYPE_SEND_RESULT,
    TYPE_SESSION_STARTED, TYPE_USER_BLACKLIST, TYPE_USER_PHONE, TYPE_USER_SNAPSHOT, WechatUser,
};

use crate::cards::CardFact;
use crate::event::{NAME_MAX_BYTES, is_name};
use crate::fold::Clock;
use crate::reply::{self, ReplyFact};
use crate::sends::SendFacts;

/// Longest openid, unionid, appid, scene or message id that is looked at, in bytes. Real ones have fewer than 70;
/// PostgreSQL cannot index texts of some thousands.
const ID_MAX_BYTES: usize = 256;
/// Longest account name. Source: the gateway's configuration, `[a-z0-9_-]{1,32}`.
const ACCOUNT_MAX_BYTES: usize = 32;

/// What one event tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// The account's name.
    pub account: String,
    /// Its appid.
    pub appid: Option<String>,
    /// When.
    pub at: Clock,
    /// Whom it is about, if anyone.
    pub sighting: Option<Sighting>,
    /// What became known of the reply to a push.
    pub reply: Option<Box<ReplyFact>>,
    /// What became known of active messages.
    pub sends: Option<Box<SendFacts>>,
    /// What became known of cards.
    pub cards: Vec<CardFact>,
}

/// A person, and what became known of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// The person.
    pub openid: String,
    /// What became known.
    pub change: Change,
}

impl Sighting {
    /// Whether the person was named by the way.
    pub(crate) fn is_named(&self) -> bool {
        matches!(self.change, Change::Named(_))
    }
}

/// What became known of a person.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// That they exist.
    Seen,
    /// Their unionid, by the way.
    Named(String),
    /// They sent a message.
    Message(Message),
    /// They followed the account.
    Follow {
        /// The scene of the QR code, without its prefix.
        scene: Option<String>,
    },
    /// They unfollowed.
    Unfollow,
    /// What is personal of them is not to be kept any more.
    Erase(Erasure),
    /// Their profile, as WeChat's API returned it.
    Profile(Box<WechatUser>),
    /// They logged in.
    Login {
        /// To a Mini Program, not to a page.
        to_mini_program: bool,
        /// Their unionid, where WeChat told it.
        unionid: Option<String>,
    },
    /// They gave their phone number.
    Phone(Box<Phone>),
    /// Whether the account's blacklist has them.
    Blacklisted(bool),
}

/// Why what is personal of somebody goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Erasure {
    /// They unfollowed an account that keeps nothing of who does.
    Unfollow,
    /// Somebody demanded it of the person, of whom this is one identity. The identity whose number is the person's brings
    /// along who it was, to be noted.
    Demand(Option<Box<Decision>>),
}

impl Fact {
    /// Turns an unfollow of one of these accounts into an erasure.
    pub(crate) fn erase_on_unfollow(&mut self, accounts: &[String]) {
        if let Some(sighting) = &mut self.sighting
            && sighting.change == Change::Unfollow
            && accounts.contains(&self.account)
        {
            sighting.change = Change::Erase(Erasure::Unfollow);
        }
    }
}

/// A phone number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    /// As WeChat tells it.
    pub number: String,
    /// Without the country's code.
    pub pure: String,
    /// The country's code.
    pub country_code: String,
}

/// A message's own columns; everything else is in the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `MsgType`, lower case.
    pub kind: String,
    /// `MsgId`.
    pub msg_id: Option<String>,
    /// `Content`, or what speech recognition heard.
    pub text: Option<String>,
}

/// The attributes of an event that its fact depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attributes<'a> {
    pub(crate) source: &'a str,
    pub(crate) id: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) subject: Option<&'a str>,
    /// Unix milliseconds.
    pub(crate) at_ms: Option<i64>,
    /// The store's own clock, for events without any time. Unix milliseconds.
    pub(crate) now_ms: i64,
}

/// Reads the fact out of an event's data; `None` if it tells nothing, or nothing we can read.
pub(crate) fn read(event: Attributes<'_>, data: &str) -> Option<Fact> {
    let kind = event.kind;
    if kind == TYPE_USER_SNAPSHOT {
        return profile::read(event, data);
    }
    if kind == TYPE_USER_BLACKLIST {
        return blacklist::read(event, data);
    }
    if kind == TYPE_CARD_SNAPSHOT {
        return card::read(event, data);
    }
    if kind == TYPE_SESSION_STARTED {
        return login::read(event, data);
    }
    if kind == TYPE_USER_PHONE {
        return phone::read(event, data);
    }
    if reply::concerns(kind) {
        return outgoing::reply(event, data);
    }
    if kind == TYPE_SEND_RESULT {
        return outgoing::send(event, data);
    }
    let is_push = [TYPE_MESSAGE, TYPE_EVENT, TYPE_COMPONENT]
        .iter()
        .any(|prefix| kind.starts_with(prefix));
    if is_push {
        push::read(event, data)
    } else {
        None
    }
}

fn account(name: &str) -> Option<String> {
    let shaped = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    ((1..=ACCOUNT_MAX_BYTES).contains(&name.len()) && name.bytes().all(shaped))
        .then(|| name.to_owned())
}

/// A name that can be looked for: neither empty nor too long for an index.
pub(crate) fn identifier(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty() && is_short(text))
}

fn is_short(text: &str) -> bool {
    text.len() <= ID_MAX_BYTES
}

/// Such a name, without blanks and control characters.
fn word(text: &str) -> Option<String> {
    let name = identifier(text.to_owned())?;
    is_name(&name, NAME_MAX_BYTES).then_some(name)
}
