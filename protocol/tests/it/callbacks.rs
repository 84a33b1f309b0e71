use std::collections::HashMap;

use serde_json::Value;
use weir_protocol::push::{Format, Kind, Push};

use crate::vectors::{list, load, read, str};

struct Sample {
    file: String,
    expected: Value,
    body: Vec<u8>,
}

fn samples() -> Vec<Sample> {
    let index = load("callbacks/index.json");
    let samples: Vec<_> = list(&index, "callbacks")
        .into_iter()
        .map(|expected| {
            let file = str(&expected, "file").to_owned();
            Sample {
                body: read(&format!("callbacks/{file}")),
                file,
                expected,
            }
        })
        .collect();
    assert_eq!(samples.len() as u64, index["count"].as_u64().unwrap());
    samples
}

/// Leaves out what JSON says is null, which to WeChat means absent.
fn without_null(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, v)| !v.is_null())
            .map(|(k, v)| (k, without_null(v)))
            .collect(),
        Value::Array(items) => items
            .into_iter()
            .filter(|v| !v.is_null())
            .map(without_null)
            .collect(),
        other => other,
    }
}

#[test]
fn every_sample_is_read_as_the_index_says() {
    for Sample {
        file,
        expected,
        body,
    } in samples()
    {
        let push = Push::parse(&body).unwrap_or_else(|e| panic!("{file}: {e}"));
        let text = |name: &str| expected[name].as_str();
        assert_eq!(
            push.format() == Format::Json,
            text("format") == Some("json"),
            "{file}"
        );
        assert_eq!(push.to_user_name(), text("to").unwrap_or(""), "{file}");
        assert_eq!(push.from_user_name(), text("from").unwrap_or(""), "{file}");
        assert_eq!(
            Some(push.create_time()),
            expected["create_time"].as_u64(),
            "{file}"
        );
        assert_eq!(push.msg_type(), text("msg_type").unwrap_or(""), "{file}");
        assert_eq!(push.event(), text("event"), "{file}");
        assert_eq!(push.msg_id(), text("msg_id"), "{file}");
        if let Some(app_id) = text("app_id") {
            assert_eq!(push.app_id(), Some(app_id), "{file}");
        }
        if let Some(info_type) = text("info_type") {
            assert_eq!(push.kind(), Kind::Component { info_type }, "{file}");
        }
        let fields = match &expected["fields"] {
            Value::Null => without_null(serde_json::from_slice(&body).unwrap()),
            fields => fields.clone(),
        };
        assert_eq!(
            serde_json::to_value(push.fields()).unwrap(),
            fields,
            "{file}"
        );
        assert_eq!(push.fields().clone().into_owned(), *push.fields(), "{file}");
    }
}

#[test]
fn identities_are_as_distinct_as_the_pushes() {
    let mut seen: HashMap<Vec<u8>, (String, String)> = HashMap::new();
    let mut copies = 0;
    for Sample {
        file,
        expected,
        body,
    } in samples()
    {
        let mut identity = Vec::new();
        Push::parse(&body).unwrap().write_identity(&mut identity);
        let key = format!("{} {}", expected["account"], expected["dedup"]["key"]);
        if let Some((other, same)) = seen.insert(identity, (key.clone(), file.clone())) {
            assert_eq!(other, key, "{file} has the identity of {same}");
            copies += 1;
        }
    }
    // Four pushes come as XML and as JSON: the same push, so the same identity.
    assert_eq!(copies, 4);
}

#[test]
fn no_debug_output_holds_anything_of_a_push() {
    for Sample { file, body, .. } in samples() {
        let push = Push::parse(&body).unwrap();
        let shown = format!("{push:?} {:?} {:?}", push.kind(), push.fields());
        let content = push.fields().iter().filter(|(name, _)| *name != "Event");
        for text in content
            .filter_map(|(_, value)| value.text())
            .filter(|text| text.len() > 9)
        {
            assert!(!shown.contains(text), "{file}: {shown}");
        }
    }
}

#[test]
fn kinds_are_told_apart() {
    let sample = |file: &str| read(&format!("callbacks/{file}"));
    let check = |file: &str, expected: Kind<'_>| {
        let body = sample(file);
        assert_eq!(Push::parse(&body).unwrap().kind(), expected, "{file}");
    };
    check(
        "oa_text.xml",
        Kind::Text {
            content: "this is a test 你好😀",
        },
    );
    check(
        "mini_text.json",
        Kind::Text {
            content: "hello \"引号\" \\ 反斜杠",
        },
    );
    check(
        "oa_text_cdata_end.xml",
        Kind::Text {
            content: "a]]>b & <c>",
        },
    );
    check(
        "oa_subscribe.xml",
        Kind::Subscribe {
            scene: None,
            ticket: None,
        },
    );
    check("oa_unsubscribe.xml", Kind::Unsubscribe);
    check("oa_image.xml", Kind::OtherMessage("image"));
    check("oa_view.xml", Kind::OtherEvent("VIEW"));
    check(
        "component_authorized.xml",
        Kind::Component {
            info_type: "authorized",
        },
    );
    let body = sample("oa_subscribe_qr.xml");
    let push = Push::parse(&body).unwrap();
    let key = push.event_key().unwrap();
    assert_eq!(
        push.kind(),
        Kind::Subscribe {
            scene: key.strip_prefix("qrscene_"),
            ticket: push.fields().text("Ticket")
        }
    );
    let body = sample("oa_scan.xml");
    let push = Push::parse(&body).unwrap();
    assert_eq!(
        push.kind(),
        Kind::Scan {
            scene: push.event_key().unwrap(),
            ticket: push.fields().text("Ticket")
        }
    );
}

#[test]
fn the_user_is_the_one_named_where_the_platform_is_the_sender() {
    for Sample { file, body, .. } in samples() {
        let push = Push::parse(&body).unwrap();
        let about_a_user =
            file.contains("user_info_modified") || file.contains("user_authorization");
        let expected = if about_a_user {
            push.fields().text("OpenID")
        } else {
            Some(push.from_user_name())
        };
        assert_eq!(Some(push.openid()), expected, "{file}");
    }
    let body = read("callbacks/oa_user_info_modified.xml");
    assert_eq!(
        Push::parse(&body).unwrap().openid(),
        "oZyXwVu9876543210TsRqPoNmLk1"
    );
    for (event, field, expected) in [
        ("USER_INFO_MODIFIED", r#""openid":"oUser""#, "oUser"),
        (
            "user_authorization_revoke",
            r#""OpenID":"","openid":"oUser""#,
            "oUser",
        ),
        ("user_info_modified", r#""OpenID":"""#, "oPlatform"),
        ("xpay_goods_deliver_notify", r#""OpenId":"oUser""#, "oUser"),
        // Without the blanks, as it is written in events.
        (
            "xpay_goods_deliver_notify",
            r#""OpenId":" oUser\n""#,
            "oUser",
        ),
        ("xpay_refund_notify", r#""OpenId":" ""#, "oPlatform"),
        ("xpay_refund_notify", r#""Other":"oUser""#, "oPlatform"),
        ("CLICK", r#""OpenID":"oUser""#, "oPlatform"),
        ("é", r#""OpenID":"oUser""#, "oPlatform"),
    ] {
        let body = format!(
            r#"{{"ToUserName":"gh_1","FromUserName":"oPlatform","CreateTime":1,"MsgType":"event","Event":"{event}",{field}}}"#
        );
        assert_eq!(
            Push::parse(body.as_bytes()).unwrap().openid(),
            expected,
            "{body}"
        );
    }
}

#[test]
fn one_element_and_a_list_of_one_are_the_same_to_the_caller() {
    let templates = |file: &str| {
        let body = read(&format!("callbacks/{file}"));
        let push = Push::parse(&body).unwrap();
        let fields = push.fields();
        match fields.get("SubscribeMsgPopupEvent") {
            Some(weir_protocol::fields::Value::Object(wrapper)) => wrapper.list("List").count(),
            _ => fields
                .list("List")
                .filter(|item| item.get("TemplateId").is_some())
                .count(),
        }
    };
    assert_eq!(templates("oa_subscribe_msg_popup_one.xml"), 1);
    assert_eq!(templates("oa_subscribe_msg_popup_two.xml"), 2);
    assert_eq!(templates("mini_subscribe_msg_popup_object.json"), 1);
    assert!(templates("mini_subscribe_msg_popup_array.json") >= 1);
    let body = read("callbacks/oa_text.xml");
    assert_eq!(Push::parse(&body).unwrap().fields().list("List").count(), 0);
}
