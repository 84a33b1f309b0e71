//! Writes what was learned as CloudEvents.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;
use sha1::{Digest as _, Sha1};
use weir_protocol::push::{Kind, Push};
use weir_protocol::reply::Reply;
use weir_store_api::{
    ASK_USER, CloudEvent, PushData, ReplyGiven, ReplyLate, TYPE_COMPONENT, TYPE_EVENT,
    TYPE_MESSAGE, TYPE_REPLY_GIVEN, TYPE_USER_SNAPSHOT, UserSnapshot,
};

use crate::config::Account;
use crate::time::{Now, rfc3339};

/// Longest `MsgType`, `Event` or `InfoType` taken over into a `type`.
const MAX_KIND_BYTES: usize = 64;

/// The `id` of an event: a SHA-1 in 40 hexadecimal digits, the same wherever and whenever it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventId {
    digest: [u8; 20],
    hex: [u8; 40],
}

impl From<[u8; 20]> for EventId {
    fn from(digest: [u8; 20]) -> Self {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut hex = [b'0'; 40];
        let nibbles = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        for (to, nibble) in hex.iter_mut().zip(nibbles) {
            *to = DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
        }
        Self { digest, hex }
    }
}

impl EventId {
    /// The id of a push, from the account and what tells its pushes apart.
    pub(crate) fn of(identity: &[u8]) -> Self {
        let digest: [u8; 20] = Sha1::digest(identity).into();
        digest.into()
    }

    /// 128 bits of the digest.
    pub(crate) fn halves(&self) -> [u64; 2] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = self.digest;
        [
            u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            u64::from_le_bytes([i, j, k, l, m, n, o, p]),
        ]
    }

    /// The id of what was asked because of this event.
    pub(crate) fn derived(self, what: &str) -> Self {
        let mut identity = what.as_bytes().to_vec();
        identity.push(0);
        identity.extend_from_slice(&self.hex);
        Self::of(&identity)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digest
    }

    fn as_str(&self) -> &str {
        // Hexadecimal digits are UTF-8.
        std::str::from_utf8(&self.hex).unwrap_or("")
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

/// A push as an event, in JSON.
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
    let subject = push.openid();
    write(&CloudEvent {
        specversion: "1.0".into(),
        id: id.as_str().into(),
        source: account.source.as_str().into(),
        kind: type_of(prefix, kind).into(),
        time: Some(rfc3339(push.create_time()).into()),
        subject: (!subject.is_empty()).then(|| subject.into()),
        datacontenttype: Some("application/json".into()),
        weirask: ask.user.then(|| ASK_USER.into()),
        weirclaim: ask.claim.map(|claim| claim.claimant.into()),
        weirleasems: ask.claim.and_then(|claim| claim.lease_ms),
        data: PushData {
            account: account.name.as_str().into(),
            appid: appid.into(),
            received_at_ms: now.unix_ms,
            push: push.typed(),
        },
    })
}

/// A user's profile as an event, in JSON.
pub(crate) fn user_snapshot(
    account: &Account,
    id: EventId,
    openid: &str,
    user: &RawValue,
    now: Now,
) -> Vec<u8> {
    write(&CloudEvent {
        specversion: "1.0".into(),
        id: id.as_str().into(),
        source: account.source.as_str().into(),
        kind: TYPE_USER_SNAPSHOT.into(),
        time: Some(rfc3339(now.unix_s()).into()),
        subject: Some(openid.into()),
        datacontenttype: Some("application/json".into()),
        weirask: None,
        weirclaim: None,
        weirleasems: None,
        data: UserSnapshot {
            account: Cow::Borrowed(account.name.as_str()),
            appid: Cow::Borrowed(account.appid.as_str()),
            user,
        },
    })
}

/// An application's reply as an event, in JSON.
#[expect(clippy::too_many_arguments, reason = "the fields of one event")]
pub(crate) fn reply_given(
    account: &Account,
    appid: &str,
    push: EventId,
    openid: &str,
    app: &str,
    reply: &Reply<'static>,
    create_time: u64,
    failed: Option<&'static str>,
    now: Now,
) -> Vec<u8> {
    let json = reply.to_json();
    let data = ReplyGiven {
        account: account.name.as_str().into(),
        appid: appid.into(),
        push: push.as_str().into(),
        app: app.into(),
        create_time,
        reply: json
            .as_deref()
            .and_then(|json| serde_json::from_slice::<&RawValue>(json).ok()),
        failed: failed.map(Cow::Borrowed),
    };
    about_reply(account, push, TYPE_REPLY_GIVEN, openid, None, data, now)
}

/// The push that a late reply is to.
pub(crate) struct About<'a> {
    pub(crate) account: &'a Account,
    pub(crate) appid: &'a str,
    pub(crate) push: EventId,
    pub(crate) openid: &'a str,
}

/// What becomes of a late reply as an event, in JSON.
pub(crate) fn reply_late(
    about: &About<'_>,
    kind: &'static str,
    claimant: Option<&str>,
    reason: Option<&'static str>,
    errcode: Option<i64>,
    now: Now,
) -> Vec<u8> {
    let data = ReplyLate {
        account: about.account.name.as_str().into(),
        appid: about.appid.into(),
        push: about.push.as_str().into(),
        reason: reason.map(Cow::Borrowed),
        errcode,
    };
    let (account, openid) = (about.account, about.openid);
    about_reply(account, about.push, kind, openid, claimant, data, now)
}

fn about_reply(
    account: &Account,
    push: EventId,
    kind: &'static str,
    openid: &str,
    claimant: Option<&str>,
    data: impl Serialize,
    now: Now,
) -> Vec<u8> {
    write(&CloudEvent {
        specversion: "1.0".into(),
        id: push.derived(kind).as_str().into(),
        source: account.source.as_str().into(),
        kind: kind.into(),
        time: Some(rfc3339(now.unix_s()).into()),
        subject: (!openid.is_empty()).then(|| openid.into()),
        datacontenttype: Some("application/json".into()),
        weirask: None,
        weirclaim: claimant.map(Cow::Borrowed),
        weirleasems: None,
        data,
    })
}

fn write(event: &impl Serialize) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    // These types have string keys only and a Vec takes every byte: writing cannot fail.
    let _ = serde_json::to_writer(&mut out, event);
    out
}

/// `prefix` and WeChat's word in lower case; what a CloudEvents `type` should not hold becomes `_`.
fn type_of(prefix: &str, kind: &str) -> String {
    let mut out = String::with_capacity(prefix.len() + kind.len());
    out.push_str(prefix);
    out.extend(kind.chars().take(MAX_KIND_BYTES).map(|c| {
        if c.is_ascii_alphanumeric() || "_.-".contains(c) {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    }));
    out
}

#[cfg(test)]
mod tests {
    use super::{EventId, type_of};

    #[test]
    fn an_id_is_the_sha1_of_the_identity() {
        assert_eq!(
            EventId::of(b"abc").as_str(),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
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
