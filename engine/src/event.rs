//! Writes what was learned as CloudEvents.

use serde_json::value::RawValue;
use sha1::{Digest as _, Sha1};
use weir_protocol::json::Json;
use weir_protocol::push::{Kind, Push};
use weir_protocol::reply::Reply;
use weir_protocol::signature::hex;
use weir_store_api::{
    ASK_USER, TYPE_COMPONENT, TYPE_EVENT, TYPE_MESSAGE, TYPE_REPLY_GIVEN, TYPE_USER_SNAPSHOT,
};

use crate::config::Account;
use crate::time::{Now, rfc3339};

/// Longest `MsgType`, `Event` or `InfoType` taken over into a `type`.
const MAX_KIND_BYTES: usize = 64;

/// The `id` of an event: a SHA-1, the same wherever and whenever it is made. Written in 40 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventId([u8; 20]);

impl From<[u8; 20]> for EventId {
    fn from(digest: [u8; 20]) -> Self {
        Self(digest)
    }
}

impl EventId {
    /// The id of a push, from the account and what tells its pushes apart.
    pub(crate) fn of(identity: &[u8]) -> Self {
        Self(Sha1::digest(identity).into())
    }

    /// 128 bits of the digest.
    pub(crate) fn halves(&self) -> [u64; 2] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = self.0;
        [
            u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            u64::from_le_bytes([i, j, k, l, m, n, o, p]),
        ]
    }

    /// The id of what was asked because of this event.
    pub(crate) fn derived(self, what: &str) -> Self {
        let mut identity = what.as_bytes().to_vec();
        identity.push(0);
        identity.extend_from_slice(&hex(&self.0));
        Self::of(&identity)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn write(self, json: &mut Json) {
        // Hexadecimal digits are UTF-8.
        json.text(std::str::from_utf8(&hex(&self.0)).unwrap_or(""));
    }
}

/// What the store is asked together with an event.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ask<'a> {
    /// What it knows of the user.
    pub(crate) user: bool,
    /// Whose the work is.
    pub(crate) claim: Option<Claim<'a>>,
}

/// A claim to the work behind an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    pub(crate) claimant: &'a str,
    /// After how long another may have it.
    pub(crate) lease_ms: Option<u32>,
}

/// The attributes of an event. They are written in the order of [`CloudEvent`](weir_store_api::CloudEvent), and so is the
/// payload in that of its type, by hand: the types are for those who read, and writing by their derives takes a push twice
/// as long.
struct Event<'a> {
    account: &'a Account,
    appid: &'a str,
    id: EventId,
    kind: &'a str,
    /// Unix seconds.
    time: u64,
    /// The user's openid; empty where there is none.
    subject: &'a str,
    ask: Ask<'a>,
}

impl Event<'_> {
    /// Begins an event, up to what its payload has behind account and appid.
    fn begin(&self) -> Json {
        let mut json = Json::with_capacity(1024);
        json.begin_object();
        json.member("specversion").text("1.0");
        self.id.write(json.member("id"));
        json.member("source").text(&self.account.source);
        json.member("type").text(self.kind);
        json.member("time").text(&rfc3339(self.time));
        optional(
            &mut json,
            "subject",
            Some(self.subject).filter(|subject| !subject.is_empty()),
        );
        json.member("datacontenttype").text("application/json");
        optional(&mut json, "weirask", self.ask.user.then_some(ASK_USER));
        if let Some(claim) = self.ask.claim {
            json.member("weirclaim").text(claim.claimant);
            if let Some(lease_ms) = claim.lease_ms {
                json.member("weirleasems").unsigned(lease_ms.into());
            }
        }
        json.member("data").begin_object();
        json.member("account").text(&self.account.name);
        json.member("appid").text(self.appid);
        json
    }
}

fn optional(json: &mut Json, name: &'static str, text: Option<&str>) {
    if let Some(text) = text {
        json.member(name).text(text);
    }
}

/// Ends the payload and the event.
fn end(mut json: Json) -> Vec<u8> {
    json.end_object().end_object();
    json.finish()
}

/// A push as an event, in JSON. Its payload is [`PushData`](weir_store_api::PushData).
pub(crate) fn push(
    account: &Account,
    appid: &str,
    id: EventId,
    push: &Push<'_>,
    ask: Ask<'_>,
    now: Now,
) -> Vec<u8> {
    let (prefix, kind) = match push.kind() {
        Kind::Component { info_type } => (TYPE_COMPONENT, info_type),
        _ => match push.event() {
            Some(event) => (TYPE_EVENT, event),
            None => (TYPE_MESSAGE, push.msg_type()),
        },
    };
    let event = Event {
        account,
        appid,
        id,
        kind: &type_of(prefix, kind),
        time: push.create_time(),
        subject: push.openid(),
        ask,
    };
    let mut json = event.begin();
    json.member("received_at_ms").unsigned(now.unix_ms);
    push.typed().write(json.member("push"));
    end(json)
}

/// A user's profile as an event, in JSON. Its payload is [`UserSnapshot`](weir_store_api::UserSnapshot).
pub(crate) fn user_snapshot(
    account: &Account,
    id: EventId,
    openid: &str,
    user: &RawValue,
    now: Now,
) -> Vec<u8> {
    let event = Event {
        account,
        appid: &account.appid,
        id,
        kind: TYPE_USER_SNAPSHOT,
        time: now.unix_s(),
        subject: openid,
        ask: Ask::default(),
    };
    let mut json = event.begin();
    json.member("user").raw(user.get());
    end(json)
}

/// The push that a reply is to.
pub(crate) struct About<'a> {
    pub(crate) account: &'a Account,
    pub(crate) appid: &'a str,
    pub(crate) push: EventId,
    pub(crate) openid: &'a str,
}

impl About<'_> {
    /// Begins an event that is about the push.
    fn begin(&self, kind: &str, claim: Option<Claim<'_>>, now: Now) -> Json {
        let event = Event {
            account: self.account,
            appid: self.appid,
            id: self.push.derived(kind),
            kind,
            time: now.unix_s(),
            subject: self.openid,
            ask: Ask { user: false, claim },
        };
        let mut json = event.begin();
        self.push.write(json.member("push"));
        json
    }
}

/// An application's reply as an event, in JSON. Its payload is [`ReplyGiven`](weir_store_api::ReplyGiven).
pub(crate) fn reply_given(
    about: &About<'_>,
    app: &str,
    reply: &Reply<'static>,
    create_time: u64,
    failed: Option<&'static str>,
    now: Now,
) -> Vec<u8> {
    let given = reply.to_json();
    let given = given.as_deref().map(std::str::from_utf8);
    let mut json = about.begin(TYPE_REPLY_GIVEN, None, now);
    json.member("app").text(app);
    json.member("create_time").unsigned(create_time);
    json.member("reply")
        .raw(given.and_then(Result::ok).unwrap_or("null"));
    optional(&mut json, "failed", failed);
    end(json)
}

/// What becomes of a late reply as an event, in JSON. Its payload is [`ReplyLate`](weir_store_api::ReplyLate).
pub(crate) fn reply_late(
    about: &About<'_>,
    kind: &'static str,
    claimant: Option<&str>,
    reason: Option<&'static str>,
    errcode: Option<i64>,
    now: Now,
) -> Vec<u8> {
    let claim = claimant.map(|claimant| Claim {
        claimant,
        lease_ms: None,
    });
    let mut json = about.begin(kind, claim, now);
    optional(&mut json, "reason", reason);
    if let Some(errcode) = errcode {
        json.member("errcode").integer(errcode);
    }
    end(json)
}

/// `prefix` and WeChat's word in lower case; what a CloudEvents `type` should not hold becomes `_`.
fn type_of(prefix: &str, kind: &str) -> String {
    let mut out = String::with_capacity(prefix.len() + kind.len());
    out.push_str(prefix);
    out.extend(kind.chars().take(MAX_KIND_BYTES).map(|c| {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-') {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    }));
    out
}

#[cfg(test)]
mod tests {
    use super::{EventId, Json, type_of};

    #[test]
    fn an_id_is_the_sha1_of_the_identity() {
        let mut json = Json::with_capacity(0);
        EventId::of(b"abc").write(&mut json);
        assert_eq!(
            json.finish(),
            b"\"a9993e364706816aba3e25717850c26c9cd0d89d\""
        );
        assert_ne!(
            EventId::of(b"abc").derived("a"),
            EventId::of(b"abc").derived("b")
        );
    }

    #[test]
    fn a_type_holds_nothing_a_stranger_chose_freely() {
        assert_eq!(type_of("weir.event.", "SCAN"), "weir.event.scan");
        assert_eq!(type_of("weir.event.", "a b\n\"é"), "weir.event.a_b___");
        assert_eq!(type_of("x.", &"y".repeat(500)).len(), 66);
    }
}
