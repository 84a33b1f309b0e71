//! What a push tells: a message, a follow, an unfollow, or that somebody exists.

use serde::Deserialize;
use weir_store_api::{PushData, TYPE_EVENT, TYPE_MESSAGE};

use super::{Attributes, Change, Fact, Message, Sighting, account, identifier, word};
use crate::fold::Clock;
use crate::lenient::Leaf;
use crate::{cards, sends};

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
    /// Of who takes a card or a gift card.
    #[serde(borrow, default, rename = "UnionId")]
    union_id: Leaf<'a>,
}

pub(super) fn read(event: Attributes<'_>, text: &str) -> Option<Fact> {
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
            (Sender::FromUserName, _) => {
                let unionid = push.union_id.into_nonempty();
                let unionid = unionid.as_deref().and_then(word);
                Some((from, unionid.map_or(Change::Seen, Change::Named)))
            }
        }
    } else {
        None
    };
    let sighting = sighting.and_then(|(openid, change)| {
        let openid = openid.into_nonempty().and_then(identifier)?;
        Some(Sighting { openid, change })
    });
    let openid = sighting.as_ref().map(|sighting| sighting.openid.as_str());
    let name = event.kind.strip_prefix(TYPE_EVENT);
    let name = name.map(str::to_ascii_lowercase);
    let sends = name
        .as_deref()
        .filter(|name| sends::is_told_by(name))
        .and_then(|name| sends::pushed(name, text, openid));
    let cards = name
        .as_deref()
        .filter(|name| cards::is_told_by(name))
        .and_then(|name| cards::pushed(name, text, openid));
    Some(Fact {
        account: account(&data.account)?,
        appid: identifier(data.appid.into_owned()),
        at,
        sighting,
        reply: None,
        sends: sends.map(Box::new),
        cards: cards.unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact;

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
        fact::read(event, &data)
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
                fact::read(event, &data).unwrap()
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
    fn who_takes_a_card_is_named_where_wechat_names_them() {
        for kind in [
            "weir.event.user_get_card",
            "weir.event.giftcard_user_accept",
        ] {
            let told = |unionid: &str| {
                let push = format!(r#"{{"FromUserName":"oA","UnionId":{unionid}}}"#);
                sighting(kind, &push).unwrap().1
            };
            assert_eq!(told(r#""uA""#), Change::Named("uA".into()), "{kind}");
            for nothing in ["null", "[]", "{}"] {
                assert_eq!(told(nothing), Change::Seen, "{kind} {nothing}");
            }
        }
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
            assert_eq!(fact::read(event, data), None, "{data}");
        }
        assert_eq!(fact("com.example.other", "{}"), None);
    }
}
