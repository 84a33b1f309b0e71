//! The answers of the read side: `GET /v1/accounts`, `/v1/users`, `/v1/people`, `/v1/cards`, `/v1/messages`, `/v1/replies`,
//! `/v1/deliveries`, `/v1/credits`, `/v1/events`.
//!
//! Times are RFC 3339 in UTC. A field without a value is `null`, never absent, except where its
//! documentation says so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{SendApi, WechatUser};

/// One page of a listing, newest first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// At most `limit` of them.
    pub items: Vec<T>,
    /// Pass it as `cursor` to read on; `null` on the last page. Opaque, and valid for the same filters only.
    pub next_cursor: Option<String>,
}

/// An account whose events have been seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Account {
    /// Its name in the gateway's configuration.
    pub name: String,
    /// Its appid, `wx…`; when it changed, the one that came into use last.
    pub appid: Option<String>,
    /// The time of its earliest event.
    pub first_seen_at: String,
}

/// A person, as one account knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct User {
    /// The account's name in the gateway's configuration.
    pub account: String,
    /// The person's id within the account.
    pub openid: String,
    /// The same across the accounts of one Open Platform account, where WeChat tells it.
    pub unionid: Option<String>,
    /// The operators' remark, else the nickname.
    pub name: Option<String>,
    /// The name to show: that, or where there is none `#` and the last six characters of the openid.
    pub display_name: String,
    /// The time of the earliest event about them.
    pub first_seen_at: String,
    /// What WeChat's profile said; `null` until one has arrived.
    pub profile: Option<WechatUser>,
    /// The time of the newest profile.
    pub profile_at: Option<String>,
    /// Their follow; `null` as long as nothing is known about it.
    pub follow: Option<Follow>,
    /// The tags of theirs that the store alone keeps; those at WeChat are in `profile`.
    pub local_tags: Vec<i64>,
    /// Whether the account's blacklist has them, as far as syncs told. They are not heard, and nothing can be sent to them.
    pub blacklisted: bool,
    /// Since when that is known; `null`: they are not.
    pub blacklisted_since: Option<String>,
}

/// Whether a person follows an account, since when, and how they came. Kept after they left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Follow {
    /// Now, as far as the events tell.
    pub state: FollowState,
    /// When the newest follow began; `null` when only its end is known.
    pub since: Option<String>,
    /// When it ended; where no push told, when the newest profile said that it had. `null` while it lasts.
    pub until: Option<String>,
    /// The scene of the QR code they came by, without `qrscene_`.
    pub scene: Option<String>,
    /// How they came, in WeChat's words: `ADD_SCENE_QR_CODE` … An open list.
    pub subscribe_scene: Option<String>,
    /// How often a follow was pushed.
    pub followed_times: u64,
    /// How often an unfollow was pushed.
    pub unfollowed_times: u64,
}

/// Whether a person follows an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FollowState {
    /// They do.
    Following,
    /// They did, or were never seen to.
    Unfollowed,
}

/// `GET /v1/users/{account}/{openid}`: the person, and what they did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserDetail {
    /// Their number, for `/v1/people`.
    pub uid: i64,
    /// The person.
    #[serde(flatten)]
    pub user: User,
    /// What they did.
    pub counts: UserCounts,
    /// The time of their newest message.
    pub last_message_at: Option<String>,
}

/// `GET /v1/people/{uid}`: somebody, across accounts and apps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Person {
    /// Their number. Those of their other identities find them, too, for good.
    pub uid: i64,
    /// The name to show: of the identity that was seen first, of those that have one.
    pub name: Option<String>,
    /// The time of the earliest event about them.
    pub first_seen_at: String,
    /// They follow an account and have never logged in to a Mini Program.
    pub pending: bool,
    /// The unionids that they were told to have.
    pub unionids: Vec<String>,
    /// What accounts and apps know them by, the one that was seen first in front.
    pub identities: Vec<PersonIdentity>,
    /// How the identities became one person, in the order in which WeChat told it.
    pub merges: Vec<PersonMerge>,
    /// What was decided about them last; `null`: nothing.
    pub audit: Option<Audit>,
    /// By the account's name, the fields that applications keep of them there: an object each.
    #[cfg_attr(feature = "openapi", schema(value_type = BTreeMap<String, BTreeMap<String, serde_json::Value>>))]
    pub extensions: BTreeMap<String, Fields>,
}

/// Fields by name, as applications wrote them.
pub type Fields = serde_json::Map<String, serde_json::Value>;

/// What was decided about a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Audit {
    /// `approved`, `blocked` …: the operators' words.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Who says so.
    pub by: String,
    /// When the store was told.
    pub at: String,
}

/// `PUT /v1/people/{uid}/audit`: what is decided about a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Decision {
    /// `approved`, `blocked` …: a word of 1 to 32 of `a-z 0-9 _`.
    #[cfg_attr(feature = "openapi", schema(pattern = "^[a-z0-9_]{1,32}$"))]
    pub state: String,
    /// Why: 1 to 500 characters, none of them a control character.
    #[cfg_attr(
        feature = "openapi",
        schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,500}$")
    )]
    pub reason: String,
    /// Who says so, likewise up to 100.
    #[cfg_attr(
        feature = "openapi",
        schema(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,100}$")
    )]
    pub by: String,
}

/// `GET /v1/accounts/{account}/follows/daily`: who came and went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DailyFollows {
    /// The account's name.
    pub account: String,
    /// Every day of the range, the first in front.
    pub days: Vec<FollowDay>,
}

/// A day in Beijing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FollowDay {
    /// `2024-04-26`.
    #[cfg_attr(feature = "openapi", schema(format = "date"))]
    pub day: String,
    /// Follows that were pushed; who came back counts again.
    pub new: u64,
    /// Unfollows that were pushed.
    pub lost: u64,
    /// The one less the other.
    pub net: i64,
}

/// One of a person's identities.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonIdentity {
    /// Its number.
    pub uid: i64,
    /// When it last logged in to a Mini Program; `null`: never.
    pub logged_in_at: Option<String>,
    /// The phone number that they gave last; `null`: none.
    pub phone_number: Option<String>,
    /// Until when customer-service messages may be sent to it: 48 hours after its newest message; `null`: it wrote none, has
    /// unfollowed or is blacklisted. (The minute that WeChat allows after a follow, a click and a scan is not in it.)
    pub customer_service_until: Option<String>,
    /// What the account knows.
    #[serde(flatten)]
    pub user: User,
}

/// Two people turned out to be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PersonMerge {
    /// When WeChat told it.
    pub at: String,
    /// The number that is no longer the person's.
    pub uid: i64,
    /// The number that it points to since.
    pub into: i64,
    /// What they have in common.
    pub unionid: String,
}

/// How much a person did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UserCounts {
    /// Messages they sent.
    pub messages: u64,
}

/// A message a person sent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// The id of its event.
    pub id: String,
    /// The account's name in the gateway's configuration.
    pub account: String,
    /// Who sent it.
    pub openid: String,
    /// `MsgType`, lower case: `text`, `image` …
    pub kind: String,
    /// `MsgId`, where there was one. Not always a number.
    pub msg_id: Option<String>,
    /// WeChat's `CreateTime`.
    pub at: String,
    /// When the gateway had it complete.
    pub received_at: Option<String>,
    /// `Content` of a text; what speech recognition heard in a voice message.
    pub text: Option<String>,
    /// Every field as WeChat pushed it.
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub push: Option<Box<RawValue>>,
}

/// The work behind a push that was claimed, and what became of its reply. Newest first means: claimed last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reply {
    /// The id of the push's event.
    pub push: String,
    /// The account's name in the gateway's configuration; `null` where the event named none.
    pub account: Option<String>,
    /// The user; `null` where the event was about none.
    pub openid: Option<String>,
    /// The application's name in the gateway's configuration; `null` until it has answered.
    pub app: Option<String>,
    /// What became of it.
    pub state: ReplyState,
    /// Why the application gave none: `timeout`, `status`, `reset`, `malformed`, `refused`.
    pub failed: Option<String>,
    /// With [`ReplyState::Undeliverable`]: why.
    pub reason: Option<String>,
    /// WeChat's `errcode`, where it refused a send.
    pub errcode: Option<i64>,
    /// When the work was claimed first; `null` as long as only its outcome is known.
    pub claimed_at: Option<String>,
    /// When the application's answer was stored.
    pub done_at: Option<String>,
}

/// What became of the reply to a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReplyState {
    /// The application has not answered.
    Waiting,
    /// It has: with what goes to the user in WeChat's time, or with nothing. Also while a late reply is being sent.
    Answered,
    /// It came late, and WeChat took it as a message.
    Sent,
    /// It came late, and will not reach the user.
    Undeliverable,
}

/// An active message that went through the gateway, and what became of it. Newest first means: stored last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Delivery {
    /// The id of its event.
    pub id: String,
    /// The account's name in the gateway's configuration.
    pub account: String,
    /// The account's appid, `wx…`.
    pub appid: Option<String>,
    /// Who was to get it; `null` where the request named nobody.
    pub openid: Option<String>,
    /// Who sent it: the client's name in the gateway's configuration.
    pub client: String,
    /// Which API it was sent by.
    pub api: SendApi,
    /// The template, where there is one.
    pub template_id: Option<String>,
    /// Of customer-service messages: `text`, `image` …
    pub msgtype: Option<String>,
    /// The application's own name for the message, where it gave one.
    pub client_msg_id: Option<String>,
    /// SHA-1 of the request's body, 40 hex digits.
    pub digest: String,
    /// WeChat's id of the message, where it answered one.
    pub msgid: Option<String>,
    /// WeChat's: 0 where it took the message; `null` where there was no answer.
    pub errcode: Option<i64>,
    /// What became of it.
    pub state: DeliveryState,
    /// With [`DeliveryState::Failed`]: why, in WeChat's words: `user block`, `system failed` …
    pub reason: Option<String>,
    /// When WeChat answered the send.
    pub sent_at: String,
    /// When WeChat said whether it was delivered.
    pub reported_at: Option<String>,
}

/// What became of an active message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// WeChat took it, and has not said more.
    Sent,
    /// WeChat refused it.
    Refused,
    /// The call broke off: it may have been sent.
    Unknown,
    /// WeChat says that it reached the user.
    Delivered,
    /// WeChat says that it did not.
    Failed,
}

/// How many subscribe messages of one template may still be sent to a user, as far as events tell. Newest first means:
/// heard of last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Credit {
    /// The account's name in the gateway's configuration.
    pub account: String,
    /// The user.
    pub openid: String,
    /// The template, as if it were a one-time one.
    pub template_id: String,
    /// What is left: one for each time the user accepted, less the messages sent; nothing after a refusal.
    pub balance: u64,
    /// Whether the balance is all there is. `false`: no accept or refusal of this user was heard, or WeChat took a message that
    /// nothing allowed, so there were accepts that nobody told of, or the template is a long-term one.
    pub certain: bool,
    /// The time of the newest event about it.
    pub changed_at: String,
}

/// A card that a user took: a member card, a coupon. Newest first means: stored last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Card {
    /// The account's name in the gateway's configuration.
    pub account: String,
    /// Which sort of card.
    pub card_id: String,
    /// The code of this user's card.
    pub code: String,
    /// Who has it, or had it last.
    pub openid: Option<String>,
    /// Where it is.
    pub state: CardState,
    /// What WeChat said of it; `null` as long as it was not asked. Member cards only.
    pub member: Option<CardMember>,
    /// Points: what WeChat told, and what was pushed since. `null`: not known.
    pub bonus: Option<i64>,
    /// Fen, likewise.
    pub balance: Option<i64>,
    /// The time of the earliest event about it.
    pub first_seen_at: String,
    /// How it was taken last.
    pub taken: Option<CardTaken>,
    /// To whom it goes or went, while that is its state.
    pub given: Option<CardGiven>,
    /// Its last use.
    pub used: Option<CardUsed>,
    /// When its form was filled in last.
    pub form_submitted_at: Option<String>,
    /// When it was first known to be active.
    pub activated_at: Option<String>,
    /// When its user last looked at it.
    pub viewed_at: Option<String>,
    /// The question to WeChat that is open, or was refused; `null`: neither.
    pub asking: Option<CardAsking>,
}

/// What WeChat said of a member card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CardMember {
    /// When WeChat said so.
    pub at: String,
    /// `user_card_status`: `NORMAL`, `EXPIRE` … An open list.
    pub status: Option<String>,
    /// Whether the card is active.
    pub active: Option<bool>,
    /// The member's number.
    pub membership_number: Option<String>,
    /// What the member is called.
    pub nickname: Option<String>,
    /// `MALE`, `FEMALE` …
    pub sex: Option<String>,
    /// WeChat's own fields of the form, without `USER_FORM_INFO_FLAG_` and in lower case: `mobile`, `name`, `birthday` …
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub common_fields: FormFields,
    /// The fields of the form that the account made up.
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub custom_fields: FormFields,
}

/// A form's fields by name.
pub type FormFields = BTreeMap<String, FormValue>;

/// What was filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum FormValue {
    /// One value.
    One(String),
    /// Several, where several can be chosen.
    Many(Vec<String>),
}

/// How a card was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CardTaken {
    /// When.
    pub at: String,
    /// The openid of the friend who gave it; `null`: nobody did.
    pub friend: Option<String>,
    /// The code that it had there.
    pub old_code: Option<String>,
    /// The channel, as it was named when the card was handed out.
    pub channel: Option<String>,
    /// Where: `SOURCE_SCENE_…`.
    pub scene: Option<String>,
    /// It was got back after it had been deleted.
    pub restored: bool,
}

/// To whom a card goes or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CardGiven {
    /// Their openid; `null`: a group, or it was not told.
    pub openid: Option<String>,
    /// The code that it has there.
    pub code: Option<String>,
}

/// The last use of a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CardUsed {
    /// When.
    pub at: String,
    /// By what: `FROM_API`, `FROM_MP`, `FROM_MOBILE_HELPER`; `null`: it paid.
    pub by: Option<String>,
}

/// Where a card is. The newest event that tells decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CardState {
    /// Its user has it.
    Held,
    /// Its user gives it away, and nobody has taken it.
    Offered,
    /// A friend has taken it.
    Given,
    /// Its user deleted it.
    Deleted,
    /// Its time is over.
    Expired,
    /// WeChat says that it cannot be used.
    Unavailable,
    /// No event told.
    Unknown,
}

/// A question to WeChat about a card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CardAsking {
    /// How far it is.
    pub state: CardAskingState,
    /// WeChat's last answer, where it refused.
    pub errcode: Option<i64>,
    /// That, or what else was in the way, in words.
    pub reason: Option<String>,
}

/// How far a question to WeChat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CardAskingState {
    /// It will be asked, or asked again.
    Open,
    /// WeChat refuses it: it is asked again with the next push about the card, or on demand.
    Refused,
}

/// `GET /v1/cards/{card_id}/{code}`: a card, and whether it is as new as was wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CardDetail {
    /// The card.
    #[serde(flatten)]
    pub card: Card,
    /// Why it is not as new as was wanted: this is what is stored.
    pub warning: Option<String>,
}

/// An event as it was stored. Newest first means: stored last.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StoredEvent {
    /// The CloudEvent's `source`.
    pub source: String,
    /// The CloudEvent's `id`.
    pub id: String,
    /// The CloudEvent's `type`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The CloudEvent's `time`, if it had one.
    pub time: Option<String>,
    /// The CloudEvent's `subject`, if it had one.
    pub subject: Option<String>,
    /// When the store took it.
    pub stored_at: String,
    /// The CloudEvent's `data`, byte for byte, if it had one.
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub data: Option<Box<RawValue>>,
}

/// What every refusal carries, as `application/problem+json`. Source: RFC 9457.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// A name for the kind of problem that does not change: `urn:weir:store:queue-full` …
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong this time, and what to do about it; never the contents of an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub detail: Option<String>,
    /// WeChat's, where it was WeChat who refused.
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errcode: Option<i64>,
}

/// Media type of a [`Problem`].
pub const CONTENT_TYPE_PROBLEM: &str = "application/problem+json";
