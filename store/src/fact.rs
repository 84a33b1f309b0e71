//! What one event tells the projections: who, when, and what changed.
//!
//! Only Weir's own types tell anything; every other event is kept in the log and no more. So is one
//! whose data is not what its type promises: nothing that arrives is lost for being unexpected.

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_store_api::{
    PushData, SessionBy, SessionStarted, TYPE_COMPONENT, TYPE_EVENT, TYPE_MESSAGE,
    TYPE_SEND_RESULT, TYPE_SESSION_STARTED, TYPE_USER_PHONE, TYPE_USER_SNAPSHOT, UserPhone,
    UserSnapshot, WechatUser,
};

use crate::event::{NAME_MAX_BYTES, is_name};
use crate::fold::Clock;
use crate::lenient::Leaf;
use crate::reply::{self, ReplyFact};
use crate::sends::{self, SendFacts};

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
}

/// A person, and what became known of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// The person.
    pub openid: String,
    /// What became known.
    pub change: Change,
}

/// What became known of a person.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// That they exist.
    Seen,
    /// They sent a message.
    Message(Message),
    /// They followed the account.
    Follow {
        /// The scene of the QR code, without its prefix.
        scene: Option<String>,
    },
    /// They unfollowed.
    Unfollow,
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
        return profile(event, data);
    }
    if kind == TYPE_SESSION_STARTED {
        return login(event, data);
    }
    if kind == TYPE_USER_PHONE {
        return phone(event, data);
    }
    if reply::concerns(kind) {
        return about_reply(event, data);
    }
    if kind == TYPE_SEND_RESULT {
        return about_send(event, data);
    }
    let is_push = [TYPE_MESSAGE, TYPE_EVENT, TYPE_COMPONENT]
        .iter()
        .any(|prefix| kind.starts_with(prefix));
    if is_push { push(event, data) } else { None }
}

/// The fields of a push that the projections use, typed or, in events of before that, as WeChat sent them. Source:
/// WeChat, receiving messages and event pushes.
#[derive(Deserialize)]
struct PushFields<'a> {
    #[serde(borrow, default, rename = "FromUserName")]
    from_user_name: Leaf<'a>,
    #[serde(borrow, default, rename = "OpenID")]
    open_id: Leaf<'a>,
    /// Apps of the Open Platform spell it so.
    #[serde(borrow, default)]
    openid: Leaf<'a>,
    /// Virtual payments spell it so.
    #[serde(borrow, default, rename = "OpenId")]
    open_id_paying: Leaf<'a>,
    #[serde(borrow, default, rename = "CreateTime")]
    create_time: Leaf<'a>,
    #[serde(borrow, default, rename = "MsgId")]
    msg_id: Leaf<'a>,
    #[serde(borrow, default, rename = "EventKey")]
    event_key: Leaf<'a>,
    #[serde(borrow, default, rename = "Content")]
    content: Leaf<'a>,
    #[serde(borrow, default, rename = "Recognition")]
    recognition: Leaf<'a>,
}

fn push(event: Attributes<'_>, text: &str) -> Option<Fact> {
    let data: PushData<'_, PushFields<'_>> = serde_json::from_str(text).ok()?;
    let push = data.push;
    let received_ms = i64::try_from(data.received_at_ms).ok()?;
    let second = event
        .at_ms
        .map(|ms| ms.div_euclid(1000))
        .or_else(|| push.create_time.int())
        .unwrap_or(received_ms.div_euclid(1000));
    let at = Clock::new(second, received_ms, event.source, event.id);

    let from = push.from_user_name;
    let sighting = if let Some(kind) = event.kind.strip_prefix(TYPE_MESSAGE) {
        let message = Message {
            kind: identifier(kind.to_ascii_lowercase())?,
            msg_id: push.msg_id.into_nonempty().and_then(identifier),
            text: push
                .content
                .into_text()
                .or_else(|| push.recognition.into_nonempty()),
        };
        Some((from, Change::Message(message)))
    } else if let Some(name) = event.kind.strip_prefix(TYPE_EVENT) {
        let name = name.to_ascii_lowercase();
        match (sender(&name), name.as_str()) {
            (Sender::Account, _) => None,
            (Sender::OpenId, _) => {
                let named = [push.open_id, push.openid, push.open_id_paying];
                let openid = named.into_iter().find(|leaf| *leaf != Leaf::None);
                openid.map(|openid| (openid, Change::Seen))
            }
            (Sender::FromUserName, "subscribe") => {
                let scene = push.event_key.into_text().and_then(scene);
                Some((from, Change::Follow { scene }))
            }
            (Sender::FromUserName, "unsubscribe") => Some((from, Change::Unfollow)),
            (Sender::FromUserName, _) => Some((from, Change::Seen)),
        }
    } else {
        None
    };
    let sighting = sighting.and_then(|(openid, change)| {
        let openid = openid.into_nonempty().and_then(identifier)?;
        Some(Sighting { openid, change })
    });
    let openid = sighting.as_ref().map(|sighting| sighting.openid.as_str());
    let sends = event
        .kind
        .strip_prefix(TYPE_EVENT)
        .filter(|name| sends::is_told_by(name))
        .and_then(|name| sends::pushed(name, text, openid));
    Some(Fact {
        account: account(&data.account)?,
        appid: identifier(data.appid.into_owned()),
        at,
        sighting,
        reply: None,
        sends: sends.map(Box::new),
    })
}

/// Which field of an event's push names the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// The usual case.
    FromUserName,
    /// `FromUserName` is an id of the platform, the person is in `OpenID`.
    OpenId,
    /// The event is about the account; `FromUserName` is the platform or an administrator.
    Account,
}

fn sender(event: &str) -> Sender {
    match event {
        "user_info_modified" => Sender::OpenId,
        _ if event.starts_with("user_authorization_") || event.starts_with("xpay_") => {
            Sender::OpenId
        }
        "card_pass_check"
        | "card_not_pass_check"
        | "card_sku_remind"
        | "card_pay_order"
        | "card_merchant_check_result"
        | "user_scan_product_verify_action"
        | "create_map_poi_audit_info"
        | "poi_check_notify"
        | "masssendjobfinish"
        | "publishjobfinish"
        | "freepublishjobfinish"
        | "annual_renew"
        | "verify_expired"
        | "add_express_path" => Sender::Account,
        _ if [
            "qualification_verify_",
            "naming_verify_",
            "weapp_audit_",
            "wxa_",
            "wx_verify_",
            "secvod_",
            "trade_manage_",
        ]
        .iter()
        .any(|prefix| event.starts_with(prefix)) =>
        {
            Sender::Account
        }
        _ => Sender::FromUserName,
    }
}

/// The scene in the `EventKey` of a follow. Other keys occur there (`last_trade_no_…`): they are no scene.
fn scene(event_key: String) -> Option<String> {
    let scene = event_key.strip_prefix("qrscene_")?;
    identifier(scene.to_owned())
}

/// A profile's fields. Source: WeChat, `/cgi-bin/user/info`.
#[derive(Deserialize)]
struct ProfileFields<'a> {
    #[serde(borrow, default)]
    openid: Leaf<'a>,
    #[serde(borrow, default)]
    subscribe: Leaf<'a>,
    #[serde(borrow, default)]
    nickname: Leaf<'a>,
    #[serde(borrow, default)]
    sex: Leaf<'a>,
    #[serde(borrow, default)]
    language: Leaf<'a>,
    #[serde(borrow, default)]
    city: Leaf<'a>,
    #[serde(borrow, default)]
    province: Leaf<'a>,
    #[serde(borrow, default)]
    country: Leaf<'a>,
    #[serde(borrow, default)]
    headimgurl: Leaf<'a>,
    #[serde(borrow, default)]
    subscribe_time: Leaf<'a>,
    #[serde(borrow, default)]
    unionid: Leaf<'a>,
    #[serde(borrow, default)]
    remark: Leaf<'a>,
    #[serde(borrow, default)]
    groupid: Leaf<'a>,
    #[serde(borrow, default)]
    tagid_list: Option<&'a RawValue>,
    #[serde(borrow, default)]
    subscribe_scene: Leaf<'a>,
    #[serde(borrow, default)]
    qr_scene: Leaf<'a>,
    #[serde(borrow, default)]
    qr_scene_str: Leaf<'a>,
}

fn profile(event: Attributes<'_>, data: &str) -> Option<Fact> {
    let data: UserSnapshot<'_, ProfileFields<'_>> = serde_json::from_str(data).ok()?;
    let user = data.user;
    let at_ms = event.at_ms.unwrap_or(event.now_ms);
    let small = |leaf: &Leaf<'_>| leaf.int().and_then(|number| u8::try_from(number).ok());
    let fields = WechatUser {
        openid: String::new(),
        subscribe: small(&user.subscribe),
        nickname: user.nickname.into_text(),
        sex: small(&user.sex),
        language: user.language.into_text(),
        city: user.city.into_text(),
        province: user.province.into_text(),
        country: user.country.into_text(),
        headimgurl: user.headimgurl.into_text(),
        subscribe_time: user
            .subscribe_time
            .int()
            .and_then(|time| u64::try_from(time).ok()),
        unionid: user.unionid.into_text().and_then(identifier),
        remark: user.remark.into_text(),
        groupid: user.groupid.int(),
        tagid_list: user
            .tagid_list
            .and_then(|list| serde_json::from_str(list.get()).ok()),
        subscribe_scene: user
            .subscribe_scene
            .into_text()
            .filter(|text| is_short(text)),
        qr_scene: user.qr_scene.int(),
        qr_scene_str: user.qr_scene_str.into_text().filter(|text| is_short(text)),
    };
    Some(Fact {
        account: account(&data.account)?,
        appid: identifier(data.appid.into_owned()),
        at: Clock::new(at_ms.div_euclid(1000), at_ms, event.source, event.id),
        sighting: Some(Sighting {
            openid: user.openid.into_nonempty().and_then(identifier)?,
            change: Change::Profile(Box::new(fields)),
        }),
        reply: None,
        sends: None,
    })
}

/// A reply is the application's: it tells nothing of the user.
fn about_reply(event: Attributes<'_>, data: &str) -> Option<Fact> {
    let told = reply::read(event.kind, data)?;
    let at_ms = event.at_ms.unwrap_or(event.now_ms);
    Some(Fact {
        account: account(&told.account)?,
        appid: identifier(told.appid.into_owned()),
        at: Clock::new(at_ms.div_euclid(1000), at_ms, event.source, event.id),
        sighting: None,
        reply: Some(Box::new(told.reply)),
        sends: None,
    })
}

fn login(event: Attributes<'_>, data: &str) -> Option<Fact> {
    let data: SessionStarted<'_> = serde_json::from_str(data).ok()?;
    let at_ms = i64::try_from(data.started_at_ms).ok()?;
    let name = |text: &str| {
        let name = identifier(text.to_owned())?;
        is_name(&name, NAME_MAX_BYTES).then_some(name)
    };
    let unionid = data.unionid.as_deref().and_then(name);
    Some(Fact {
        account: account(&data.account)?,
        appid: identifier(data.appid.into_owned()),
        at: Clock::new(at_ms.div_euclid(1000), at_ms, event.source, event.id),
        sighting: Some(Sighting {
            openid: name(event.subject?)?,
            change: Change::Login {
                to_mini_program: data.by != SessionBy::Web,
                unionid,
            },
        }),
        reply: None,
        sends: None,
    })
}

fn phone(event: Attributes<'_>, data: &str) -> Option<Fact> {
    let data: UserPhone<'_> = serde_json::from_str(data).ok()?;
    let at_ms = i64::try_from(data.learned_at_ms).ok()?;
    let name = |text: &str| {
        let name = identifier(text.to_owned())?;
        is_name(&name, NAME_MAX_BYTES).then_some(name)
    };
    let part = |text: &str| name(text).unwrap_or_default();
    Some(Fact {
        account: account(&data.account)?,
        appid: identifier(data.appid.into_owned()),
        at: Clock::new(at_ms.div_euclid(1000), at_ms, event.source, event.id),
        sighting: Some(Sighting {
            openid: name(event.subject?)?,
            change: Change::Phone(Box::new(Phone {
                number: name(&data.phone_number)?,
                pure: part(&data.pure_phone_number),
                country_code: part(&data.country_code),
            })),
        }),
        reply: None,
        sends: None,
    })
}

/// To be sent something is no sign of life: it tells nothing of the user.
fn about_send(event: Attributes<'_>, data: &str) -> Option<Fact> {
    let (data, facts) = sends::result(event.subject, data)?;
    let sent_at_ms = facts.sent.as_ref()?.sent_at_ms;
    Some(Fact {
        account: account(&data.account)?,
        appid: identifier(data.appid.into_owned()),
        at: Clock::new(
            sent_at_ms.div_euclid(1000),
            sent_at_ms,
            event.source,
            event.id,
        ),
        sighting: None,
        reply: None,
        sends: Some(Box::new(facts)),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(kind: &str, push: &str) -> Option<Fact> {
        let event = Attributes {
            source: "/accounts/demo",
            id: "e1",
            kind,
            subject: None,
            at_ms: Some(1_714_113_002_000),
            now_ms: 1_714_113_003_000,
        };
        let data = format!(
            r#"{{"account":"demo","appid":"wx0123456789abcdef","received_at_ms":1714113002345,"push":{push}}}"#
        );
        read(event, &data)
    }

    fn sighting(kind: &str, push: &str) -> Option<(String, Change)> {
        let sighting = fact(kind, push)?.sighting?;
        Some((sighting.openid, sighting.change))
    }

    #[test]
    fn a_follow_by_qr_code_names_its_scene_without_the_prefix() {
        let push = |key: &str| format!(r#"{{"FromUserName":"oA","EventKey":"{key}"}}"#);
        let scene = |key: &str| match sighting("weir.event.subscribe", &push(key)) {
            Some((_, Change::Follow { scene })) => scene,
            other => panic!("{other:?}"),
        };
        assert_eq!(scene("qrscene_123456").as_deref(), Some("123456"));
        assert_eq!(scene("qrscene_qrscene_x").as_deref(), Some("qrscene_x"));
        assert_eq!(scene(""), None);
        assert_eq!(scene("last_trade_no_1"), None);
    }

    #[test]
    fn the_person_is_in_openid_where_from_user_name_is_the_platform() {
        for kind in [
            "weir.event.user_info_modified",
            "weir.event.user_authorization_revoke",
            "weir.event.user_authorization_cancellation",
        ] {
            let push = r#"{"FromUserName":"oPlatform","OpenID":"oPerson"}"#;
            assert_eq!(
                sighting(kind, push),
                Some(("oPerson".into(), Change::Seen)),
                "{kind}"
            );
        }
    }

    #[test]
    fn a_virtual_payment_names_the_person_in_another_spelling() {
        let push = r#"{"FromUserName":"oPlatform","OpenId":"oPerson"}"#;
        let kind = "weir.event.xpay_goods_deliver_notify";
        assert_eq!(sighting(kind, push), Some(("oPerson".into(), Change::Seen)));
        assert_eq!(sighting(kind, r#"{"FromUserName":"oPlatform"}"#), None);
    }

    /// What XML and JSON were stored as before pushes were typed, and what they are stored as now.
    #[test]
    fn a_push_tells_the_same_typed_and_as_wechat_sent_it() {
        let same = |kind: &str, pushes: [&str; 3]| {
            let [typed, xml, json] = pushes.map(|push| {
                let event = Attributes {
                    source: "/accounts/demo",
                    id: "e1",
                    kind,
                    subject: None,
                    at_ms: None, // so that CreateTime is looked at
                    now_ms: 0,
                };
                let data = format!(
                    r#"{{"account":"demo","appid":"wx1","received_at_ms":1714113002345,"push":{push}}}"#
                );
                read(event, &data).unwrap()
            });
            assert_eq!(typed, xml);
            assert_eq!(typed, json);
            typed
        };
        let message = same(
            "weir.message.text",
            [
                r#"{"FromUserName":"oA","CreateTime":1714113000,"Content":"7","MsgId":"9007199254740993","Idx":1}"#,
                r#"{"FromUserName":"oA","CreateTime":"1714113000","Content":"7","MsgId":"9007199254740993","Idx":"1"}"#,
                r#"{"FromUserName":"oA","CreateTime":1714113000,"Content":7,"MsgId":9007199254740993,"Idx":"1"}"#,
            ],
        );
        assert_eq!(
            message.at,
            Clock::new(1_714_113_000, 1_714_113_002_345, "/accounts/demo", "e1")
        );
        same(
            "weir.event.subscribe",
            [
                r#"{"FromUserName":"oA","CreateTime":1714113000,"EventKey":"qrscene_7"}"#,
                r#"{"FromUserName":"oA","CreateTime":"1714113000","EventKey":"qrscene_7"}"#,
                r#"{"FromUserName":"oA","CreateTime":1714113000,"EventKey":"qrscene_7"}"#,
            ],
        );
        same(
            "weir.event.subscribe_msg_sent_event",
            [
                r#"{"FromUserName":"oA","CreateTime":1714113000,"List":[{"MsgID":"1","ErrorCode":0}]}"#,
                r#"{"FromUserName":"oA","CreateTime":"1714113000","SubscribeMsgSentEvent":{"List":{"MsgID":"1","ErrorCode":"0"}}}"#,
                r#"{"FromUserName":"oA","CreateTime":"1714113000","List":{"MsgID":"1","ErrorCode":"0"}}"#,
            ],
        );
    }

    #[test]
    fn events_about_the_account_name_no_person() {
        for kind in [
            "weir.event.masssendjobfinish",
            "weir.event.card_pass_check",
            "weir.event.weapp_audit_success",
            "weir.component.authorized",
        ] {
            let fact = fact(kind, r#"{"FromUserName":"oAdmin"}"#).unwrap();
            assert_eq!(
                (fact.account.as_str(), fact.sighting),
                ("demo", None),
                "{kind}"
            );
        }
    }

    #[test]
    fn a_message_keeps_numbers_it_was_given_digit_by_digit() {
        let push = r#"{"FromUserName":"oA","Content":"hi 😀","MsgId":9007199254740993}"#;
        let (_, change) = sighting("weir.message.text", push).unwrap();
        let message = Message {
            kind: "text".into(),
            msg_id: Some("9007199254740993".into()),
            text: Some("hi 😀".into()),
        };
        assert_eq!(change, Change::Message(message));
    }

    #[test]
    fn data_that_is_no_push_tells_nothing() {
        let event = Attributes {
            source: "/accounts/demo",
            id: "e1",
            kind: "weir.message.text",
            subject: None,
            at_ms: None,
            now_ms: 0,
        };
        for data in ["null", "[]", "{}", r#"{"account":"demo"}"#] {
            assert_eq!(read(event, data), None, "{data}");
        }
        assert_eq!(fact("com.example.other", "{}"), None);
    }
}
