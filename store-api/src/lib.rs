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
//! (`docs::schemas`) and their reference (`docs::page`, committed as `docs/events.md`); with `openapi`, what the store answers
//! has schemas for its OpenAPI document, where a field that may be `null` is always there, and one that may be absent is
//! never `null`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[cfg(feature = "docs")]
pub mod docs;
pub mod jobs;
pub mod read;
pub mod tags;

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

/// `type` of an application's answer to a push: [`ReplyGiven`].
pub const TYPE_REPLY_GIVEN: &str = "weir.reply.given";
/// `type` of a reply that came after WeChat's last attempt, and is to go out as a send: [`ReplyLate`].
pub const TYPE_REPLY_LATE: &str = "weir.reply.late";
/// `type` of a late reply that WeChat's API took: [`ReplyLate`].
pub const TYPE_REPLY_SENT: &str = "weir.reply.sent";
/// `type` of a late reply that will not reach the user: [`ReplyLate`].
pub const TYPE_REPLY_UNDELIVERABLE: &str = "weir.reply.undeliverable";

/// `type` of a login, to a Mini Program or a page: [`SessionStarted`].
pub const TYPE_SESSION_STARTED: &str = "weir.session.started";
/// `type` of what WeChat says of a user's being blacklisted: [`UserBlacklist`]. Only what was not known is told.
pub const TYPE_USER_BLACKLIST: &str = "weir.user.blacklist";
/// `type` of a phone number that a user of a Mini Program gave: [`UserPhone`].
pub const TYPE_USER_PHONE: &str = "weir.user.phone";

/// `type` of a user's member card as the WeChat API returned it: [`CardSnapshot`].
pub const TYPE_CARD_SNAPSHOT: &str = "weir.card.snapshot";

/// `type` of what became of an active message that went through the gateway: [`SendResult`].
pub const TYPE_SEND_RESULT: &str = "weir.send.result";

/// Value of the extension attribute `weirask`: what is known of the user, please.
pub const ASK_USER: &str = "user";

/// The other [`CloudEvent::weirask`]: the person's uid.
pub const ASK_UID: &str = "uid";

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
    /// An extension attribute: [`ASK_USER`] wants [`EventResult::user`] in the answer, [`ASK_UID`] [`EventResult::uid`].
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub weirask: Option<Cow<'a, str>>,
    /// An extension attribute, at most 64 bytes: somebody, by a random name, who would do the work behind this event (call
    /// the application; with [`TYPE_REPLY_LATE`]: send). The store gives each work to one: [`EventResult::work`].
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub weirclaim: Option<Cow<'a, str>>,
    /// An extension attribute: milliseconds after which another may claim this work if it is not done by then. Absent:
    /// never, since it could be done twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weirleasems: Option<u32>,
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

/// Payload of [`TYPE_CARD_SNAPSHOT`]. The event's `subject` is the openid of who has the card.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CardSnapshot<'a, C> {
    /// The account's name in the configuration.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// The account's appid, `wx…`.
    #[serde(borrow)]
    pub appid: Cow<'a, str>,
    /// Which sort of card.
    #[serde(borrow)]
    pub card_id: Cow<'a, str>,
    /// The code of this user's card.
    #[serde(borrow)]
    pub code: Cow<'a, str>,
    /// The object as `/card/membercard/userinfo/get` returned it, but for `errcode` and `errmsg`.
    pub card: C,
}

/// Payload of [`TYPE_SESSION_STARTED`]: WeChat told who somebody is. The event's `subject` is the openid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SessionStarted<'a> {
    /// The account's name in the configuration.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// The account's appid, `wx…`.
    #[serde(borrow)]
    pub appid: Cow<'a, str>,
    /// By which way they came.
    pub by: SessionBy,
    /// Who they are across the accounts of one Open Platform account, where WeChat told.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub unionid: Option<Cow<'a, str>>,
    /// Their nickname, where a page asked for it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub nickname: Option<Cow<'a, str>>,
    /// Their picture, likewise.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub headimgurl: Option<Cow<'a, str>>,
    /// When WeChat answered, Unix milliseconds.
    pub started_at_ms: u64,
}

/// By which way somebody came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionBy {
    /// The code of `wx.login`.
    MiniProgram,
    /// A page of the web (OAuth 2.0).
    Web,
    /// A Mini Program's open data said more of somebody who is here already.
    OpenData,
}

/// Payload of [`TYPE_USER_BLACKLIST`]. The event's `subject` is the openid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserBlacklist<'a> {
    /// The account's name in the configuration.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// The account's appid, `wx…`.
    #[serde(borrow)]
    pub appid: Cow<'a, str>,
    /// Whether the account's blacklist has them.
    pub blacklisted: bool,
    /// When WeChat was asked, Unix milliseconds.
    pub told_at_ms: u64,
}

/// Payload of [`TYPE_USER_PHONE`]. The event's `subject` is the openid.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct UserPhone<'a> {
    /// The account's name in the configuration.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// The account's appid, `wx…`.
    #[serde(borrow)]
    pub appid: Cow<'a, str>,
    /// As WeChat tells it: of other countries with `+` and the country's code before it.
    #[serde(borrow)]
    pub phone_number: Cow<'a, str>,
    /// Without the country's code.
    #[serde(borrow)]
    pub pure_phone_number: Cow<'a, str>,
    /// `86` is China's.
    #[serde(borrow)]
    pub country_code: Cow<'a, str>,
    /// When WeChat told it, Unix milliseconds.
    pub learned_at_ms: u64,
}

/// Payload of [`TYPE_REPLY_GIVEN`]. Its `id` is derived from the push's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplyGiven<'a, R> {
    /// The account's name in the configuration.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// The account's appid, `wx…`.
    #[serde(borrow)]
    pub appid: Cow<'a, str>,
    /// The `id` of the push's event, which has the same `source`.
    #[serde(borrow)]
    pub push: Cow<'a, str>,
    /// The application's name in the configuration.
    #[serde(borrow)]
    pub app: Cow<'a, str>,
    /// `CreateTime` of the reply, Unix seconds: every copy of the push gets the same.
    pub create_time: u64,
    /// The reply as rules write it: `{"text": "…"}`; `null` for none.
    pub reply: Option<R>,
    /// Why the application gave none: `timeout`, `status`, `reset`, `malformed`, `refused`; then `reply` is what the rule
    /// has for this case.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Cow<'a, str>>,
}

/// Payload of [`TYPE_REPLY_LATE`], [`TYPE_REPLY_SENT`] and [`TYPE_REPLY_UNDELIVERABLE`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplyLate<'a> {
    /// The account's name in the configuration.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// The account's appid, `wx…`.
    #[serde(borrow)]
    pub appid: Cow<'a, str>,
    /// The `id` of the push's event, which has the same `source`.
    #[serde(borrow)]
    pub push: Cow<'a, str>,
    /// Why it is undeliverable: `not_allowed` (the account sends nothing), `kind` (no send of this kind exists), `refused`
    /// (WeChat's `errcode` says why), `unknown` (the call broke off: it may have been sent).
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'a, str>>,
    /// WeChat's `errcode`, where it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errcode: Option<i64>,
}

/// Payload of [`TYPE_SEND_RESULT`]: an active message, without its content. The event's `subject` is its recipient, its `id`
/// random.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SendResult<'a> {
    /// The account's name in the configuration.
    #[serde(borrow)]
    pub account: Cow<'a, str>,
    /// The account's appid, `wx…`.
    #[serde(borrow)]
    pub appid: Cow<'a, str>,
    /// Who sent it: the client's name in the configuration.
    #[serde(borrow)]
    pub client: Cow<'a, str>,
    /// Which API: [`SendApi`].
    pub api: SendApi,
    /// The template, where there is one.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub template_id: Option<Cow<'a, str>>,
    /// Of customer-service messages: `text`, `image` …
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub msgtype: Option<Cow<'a, str>>,
    /// The application's own name for the message, where it gave one.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub client_msg_id: Option<Cow<'a, str>>,
    /// SHA-1 of the request's body, 40 lower-case hex digits.
    #[serde(borrow)]
    pub digest: Cow<'a, str>,
    /// WeChat's: 0 where it took the message; absent where there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errcode: Option<i64>,
    /// WeChat's id of the message, in digits, where it answered one. Exceeds 2^53.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub msgid: Option<Cow<'a, str>>,
    /// What became of it.
    pub outcome: SendOutcome,
    /// When WeChat answered, or the call broke off; Unix milliseconds.
    pub sent_at_ms: u64,
}

/// The APIs of active messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SendApi {
    /// `/cgi-bin/message/template/send`
    Template,
    /// `/cgi-bin/message/subscribe/send`
    Subscribe,
    /// `/cgi-bin/message/subscribe/bizsend`
    Bizsend,
    /// `/cgi-bin/message/custom/send`
    Custom,
}

/// What became of an active message, as far as the call tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SendOutcome {
    /// WeChat took it. Whether it reached the user is pushed later, for some APIs.
    Sent,
    /// WeChat refused it: the `errcode` says why.
    Refused,
    /// The call broke off: it may have been sent.
    Unknown,
}

/// The user object of `/cgi-bin/user/info`. Every field but `openid` may be absent.
///
/// WeChat stopped filling `nickname`, `sex`, `city`, `province`, `country` and `headimgurl` on 2021-12-27;
/// older records and web logins still carry them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BatchAnswer {
    /// One per event sent.
    pub results: Vec<EventResult>,
}

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventResult {
    /// The event's `id`; empty when it had none.
    pub id: String,
    /// What became of it.
    pub status: EventStatus,
    /// Why it was rejected: one plain sentence, without the event's contents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reason: Option<String>,
    /// What is known of the event's user, where the event asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub user: Option<UserFacts>,
    /// The uid of the event's user as a person, where the event asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub uid: Option<i64>,
    /// Whose the work behind the event is, where it was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub work: Option<Work>,
}

/// What became of a claim to the work behind a push.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Work {
    /// Whose it is.
    pub state: WorkState,
    /// Milliseconds since the first claim, by the store's clock.
    pub age_ms: u64,
    /// With [`WorkState::Done`]: `reply` of the push's [`ReplyGiven`] in JSON; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub reply: Option<String>,
    /// With [`WorkState::Done`]: `create_time` of the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub create_time: Option<u64>,
}

/// Whose the work behind a push is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WorkState {
    /// The claimant's, also when it asks again: do it.
    Yours,
    /// Another's: ask again for the outcome.
    Elsewhere,
    /// It is done, and this is the answer to give. By saying so of a push the store notes that an attempt of WeChat's gets
    /// the reply: a later [`TYPE_REPLY_LATE`] of that push is told `done` too, and nothing is sent.
    Done,
    /// The reply goes out as a send, or went: there is nothing to say to an attempt any more.
    Sent,
}

/// What a reply may depend on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserFacts {
    /// Nothing about this user is older than the event. The same for every copy of a push.
    pub first_push: bool,
    /// The operators' name for the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub remark: Option<String>,
    /// The user's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub nickname: Option<String>,
}

/// What became of one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum EventStatus {
    /// Durable now, and new.
    Created,
    /// Durable before: the same `source` and `id`.
    Duplicate,
    /// Can never be stored (not a CloudEvent, no id …): sending it again is pointless.
    Rejected,
}
