//! What the edge and the store say to each other: the shapes, no logic.
//!
//! Everything Weir learns is a CloudEvent 1.0 in JSON (structured mode). One door takes them:
//! `POST /v1/events` with `application/cloudevents+json` (one) or
//! `application/cloudevents-batch+json` (a list). A 2xx means that every event is durable,
//! or was refused by name; the answer is a [`BatchAnswer`].
//!
//! `source` + `id` name an event for good: sending it again is harmless.
//!
//! What can be asked of the store afterwards is in [`read`]. With the cargo feature `docs` there are schemas of all events
//! (`docs::schemas`) and their reference (`docs::page`, committed as `docs/events.md`).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[cfg(feature = "docs")]
pub mod docs;
pub mod read;

/// Media type of a single event in structured mode. Source: CloudEvents JSON format 1.0.
pub const CONTENT_TYPE_EVENT: &str = "application/cloudevents+json";
/// Media type of a batch. Source: CloudEvents JSON format 1.0, section 4.
pub const CONTENT_TYPE_BATCH: &str = "application/cloudevents-batch+json";

/// Prefix of the `type` of a pushed message; the lower-case `MsgType` follows: `weir.message.text`.
pub const TYPE_MESSAGE: &str = "weir.message.";
/// Prefix of the `type` of a pushed event; the lower-case `Event` follows: `weir.event.subscribe`.
pub const TYPE_EVENT: &str = "weir.event.";
/// Prefix of the `type` of a third-party-platform push; the `InfoType` follows.
pub const TYPE_COMPONENT: &str = "weir.component.";
/// `type` of a user's profile as the WeChat API returned it.
pub const TYPE_USER_SNAPSHOT: &str = "weir.user.snapshot";

/// Value of the extension attribute `weirask`: what is known of the user, please.
pub const ASK_USER: &str = "user";

/// A CloudEvent 1.0 in structured JSON mode; `D` is the payload under `data`.
///
/// Source: CloudEvents 1.0.2, section 3 (context attributes).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CloudEvent<'a, D> {
    /// Always `1.0`.
    #[serde(borrow)]
    pub specversion: Cow<'a, str>,
    /// Deterministic: the same push has the same id on every node and at every attempt. At most 128 bytes.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// `/accounts/{account}`, the account's name in the configuration.
    #[serde(borrow)]
    pub source: Cow<'a, str>,
    /// One of the `TYPE_…` constants (or prefixes).
    #[serde(borrow, rename = "type")]
    pub kind: Cow<'a, str>,
    /// When it happened, RFC 3339 in UTC: WeChat's `CreateTime` for a push, the time of the answer for a snapshot.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Cow<'a, str>>,
    /// The user's openid, where there is one.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Cow<'a, str>>,
    /// `application/json`.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<Cow<'a, str>>,
    /// An extension attribute: [`ASK_USER`] wants [`EventResult::user`] in the answer.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub weirask: Option<Cow<'a, str>>,
    /// The payload.
    pub data: D,
}

/// An event whose payload has not been looked at yet.
pub type RawEvent<'a> = CloudEvent<'a, &'a RawValue>;

/// Payload of every push (`weir.message.*`, `weir.event.*`, `weir.component.*`).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PushData<'a, F> {
    /// The account's name in the configuration.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// The account's appid, `wx…`.
    #[serde(borrow)]
    pub appid: Cow<'a, str>,
    /// When the gateway had the push complete, Unix milliseconds.
    pub received_at_ms: u64,
    /// Every field WeChat sent, under WeChat's names, in one shape per kind of push, whether it came as XML or as JSON:
    /// times and counts are numbers, ids are strings, lists are arrays. Each kind is described in `docs/events.md`; what
    /// is not known is as it came. Events of before this was so have XML values as strings, JSON values as they came,
    /// a list of one as a bare object, and lists inside their wrappers: readers of old events must take both.
    pub push: F,
}

/// Payload of [`TYPE_USER_SNAPSHOT`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserSnapshot<'a, U> {
    /// The account's name in the configuration.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// The account's appid, `wx…`.
    #[serde(borrow)]
    pub appid: Cow<'a, str>,
    /// The object as `/cgi-bin/user/info` or `batchget` returned it, unchanged (usually a [`WechatUser`]).
    pub user: U,
}

/// The user object of `/cgi-bin/user/info`. Every field but `openid` may be absent.
///
/// WeChat stopped filling `nickname`, `sex`, `city`, `province`, `country` and `headimgurl` on 2021-12-27;
/// older records and web logins still carry them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WechatUser {
    /// The user's id within one account.
    pub openid: String,
    /// 1: follows the account; 0: does not, and then nearly all other fields are absent.
    pub subscribe: Option<u8>,
    /// Emoji and all.
    pub nickname: Option<String>,
    /// 0 unknown, 1 male, 2 female.
    pub sex: Option<u8>,
    /// `zh_CN`, `en` …
    pub language: Option<String>,
    /// As the user typed it.
    pub city: Option<String>,
    /// As the user typed it.
    pub province: Option<String>,
    /// As the user typed it.
    pub country: Option<String>,
    /// URL of the picture.
    pub headimgurl: Option<String>,
    /// Unix seconds of the last follow.
    pub subscribe_time: Option<u64>,
    /// Only when the account is bound to an Open Platform account.
    pub unionid: Option<String>,
    /// The operators' name for the user.
    pub remark: Option<String>,
    /// The legacy group.
    pub groupid: Option<i64>,
    /// Tags.
    pub tagid_list: Option<Vec<i64>>,
    /// `ADD_SCENE_QR_CODE` …; an open list.
    pub subscribe_scene: Option<String>,
    /// Scene of the QR code, when a number.
    pub qr_scene: Option<i64>,
    /// Scene of the QR code, when text.
    pub qr_scene_str: Option<String>,
}

/// The store's answer to `POST /v1/events`, in the order of the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchAnswer {
    /// One per event sent.
    pub results: Vec<EventResult>,
}

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventResult {
    /// The event's `id`; empty when it had none.
    pub id: String,
    /// What became of it.
    pub status: EventStatus,
    /// Why it was rejected: one plain sentence, without the event's contents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What is known of the event's user, where the event asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserFacts>,
}

/// What a reply may depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserFacts {
    /// Nothing about this user is older than the event. The same for every copy of a push.
    pub first_push: bool,
    /// The operators' name for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// The user's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
}

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// Durable now, and new.
    Created,
    /// Durable before: the same `source` and `id`.
    Duplicate,
    /// Can never be stored (not a CloudEvent, no id …): sending it again is pointless.
    Rejected,
}
