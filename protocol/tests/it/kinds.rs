//! Pushes written by the table of kinds.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_protocol::kinds::{Area, Carrier, Field, Shape};
use weir_protocol::push::Push;

use crate::vectors::{folder, list, load, read, str};

fn typed(body: &str) -> Value {
    let push = Push::parse(body.as_bytes()).unwrap_or_else(|e| panic!("{body}: {e}"));
    serde_json::to_value(push.typed()).unwrap()
}

/// An event in XML.
fn event(name: &str, inner: &str) -> String {
    format!(
        "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>7</CreateTime><MsgType>event</MsgType><Event>{name}</Event>{inner}</xml>"
    )
}

/// The same in JSON.
fn json_event(name: &str, inner: &str) -> String {
    format!(
        r#"{{"ToUserName":"gh_1","FromUserName":"o1","CreateTime":"7","MsgType":"event","Event":"{name}"{}{inner}}}"#,
        if inner.is_empty() { "" } else { "," }
    )
}

/// What is written beyond the common fields, whatever the format.
fn check(name: &str, xml: &str, json: &str, expected: Value) {
    for body in [event(name, xml), json_event(name, json)] {
        let mut all = json!({"ToUserName":"gh_1","FromUserName":"o1","CreateTime":7,"MsgType":"event","Event":name});
        for (name, value) in expected.as_object().unwrap() {
            all[name] = value.clone();
        }
        assert_eq!(typed(&body), all, "{body}");
    }
}

#[test]
fn every_sample_is_of_a_known_kind_and_written_as_recorded() {
    let recorded = load("typed.json");
    let mut seen = BTreeMap::new();
    for sample in list(&load("callbacks/index.json"), "callbacks") {
        let file = str(&sample, "file").to_owned();
        let body = read(&format!("callbacks/{file}"));
        let push = Push::parse(&body).unwrap();
        assert!(push.known().is_some(), "{file}");
        seen.insert(file, serde_json::to_value(push.typed()).unwrap());
    }
    if std::env::var_os("WEIR_REWRITE").is_some() {
        let text = serde_json::to_string_pretty(&seen).unwrap() + "\n";
        std::fs::write(folder().join("typed.json"), text).unwrap();
        return;
    }
    for (file, value) in &seen {
        assert_eq!(value, &recorded[file], "{file}");
    }
    assert_eq!(seen.len(), recorded.as_object().unwrap().len());
}

#[test]
fn no_value_of_a_sample_is_changed_or_left_out() {
    for sample in list(&load("callbacks/index.json"), "callbacks") {
        let file = str(&sample, "file");
        let body = read(&format!("callbacks/{file}"));
        let push = Push::parse(&body).unwrap();
        let leaves = |value: Value| {
            let mut found = Vec::new();
            let mut open = vec![value];
            while let Some(value) = open.pop() {
                match value {
                    Value::Object(fields) => open.extend(fields.into_values()),
                    Value::Array(items) => open.extend(items),
                    // `serde_json::Value` does not keep a fraction's last zeros.
                    Value::String(text) if text.contains('.') => {
                        found.push(text.parse().map_or(text, |number: f64| number.to_string()));
                    }
                    Value::String(text) => found.push(text),
                    other => found.push(other.to_string()),
                }
            }
            found.sort();
            found
        };
        assert_eq!(
            leaves(serde_json::to_value(push.typed()).unwrap()),
            leaves(serde_json::to_value(push.fields()).unwrap()),
            "{file}"
        );
    }
}

#[test]
fn integers_are_numbers_and_what_is_none_is_a_text() {
    for (sent, written) in [
        ("0", json!(0)),
        ("-7", json!(-7)),
        (" 12 ", json!(12)),
        ("9007199254740992", json!(9_007_199_254_740_992_i64)),
        ("-9007199254740992", json!(-9_007_199_254_740_992_i64)),
        ("9007199254740993", json!("9007199254740993")),
        ("99999999999999999999", json!("99999999999999999999")),
        ("18446744073709551617", json!("18446744073709551617")),
        ("", json!("")),
        ("-", json!("-")),
        ("-0", json!("-0")),
        ("007", json!("007")),
        ("+7", json!("+7")),
        ("1.0", json!("1.0")),
        ("1e3", json!("1e3")),
        ("seven", json!("seven")),
        ("７", json!("７")),
    ] {
        let xml = format!("<ModifyBonus><![CDATA[{sent}]]></ModifyBonus>");
        let text = format!(r#""ModifyBonus":"{sent}""#);
        check(
            "update_member_card",
            &xml,
            &text,
            json!({"ModifyBonus": written}),
        );
        if serde_json::from_str::<f64>(sent).is_ok() {
            let number = format!(r#""ModifyBonus":{sent}"#);
            check(
                "update_member_card",
                &xml,
                &number,
                json!({"ModifyBonus": written}),
            );
        }
    }
}

#[test]
fn decimals_keep_their_digits() {
    for (sent, written) in [
        ("23.134521", "23.134521"),
        ("119.385040", "119.385040"),
        ("-0.10", "-0.10"),
        ("23", "23"),
        ("1e3", "\"1e3\""),
        ("1.", "\"1.\""),
        (".5", "\".5\""),
        ("01.5", "\"01.5\""),
        ("1.2.3", "\"1.2.3\""),
        ("1-2", "\"1-2\""),
        ("", "\"\""),
        (
            "0.123456789012345678901234567890",
            "0.123456789012345678901234567890",
        ),
        (
            "0.1234567890123456789012345678901",
            "\"0.1234567890123456789012345678901\"",
        ),
    ] {
        for body in [
            event("LOCATION", &format!("<Latitude>{sent}</Latitude>")),
            json_event("LOCATION", &format!(r#""Latitude":"{sent}""#)),
        ] {
            let push = Push::parse(body.as_bytes()).unwrap();
            let text = serde_json::to_string(&push.typed()).unwrap();
            assert!(
                text.ends_with(&format!(r#""Latitude":{written}}}"#)),
                "{text}"
            );
        }
    }
}

#[test]
fn a_flag_is_one_or_zero_however_it_was_said() {
    for (xml, json, written) in [
        ("1", "1", json!(1)),
        ("0", r#""0""#, json!(0)),
        ("true", "true", json!(1)),
        ("false", "false", json!(0)),
        ("true", r#""true""#, json!(1)),
        ("2", "2", json!(2)),
        ("yes", r#""yes""#, json!("yes")),
    ] {
        check(
            "giftcard_user_accept",
            &format!("<IsChatRoom>{xml}</IsChatRoom>"),
            &format!(r#""IsChatRoom":{json}"#),
            json!({"IsChatRoom": written}),
        );
    }
}

#[test]
fn ids_and_texts_are_strings_whatever_their_digits() {
    check(
        "TEMPLATESENDJOBFINISH",
        "<MsgID> <![CDATA[ 18446744073709551616 ]]> </MsgID><Status><![CDATA[ 1 ]]></Status>",
        r#""MsgID":18446744073709551616,"Status":" 1 ""#,
        json!({"MsgID": "18446744073709551616", "Status": " 1 "}),
    );
    check(
        "TEMPLATESENDJOBFINISH",
        "<MsgID>7</MsgID><Status>true</Status>",
        r#""MsgID":7,"Status":true"#,
        json!({"MsgID": "7", "Status": "true"}),
    );
}

#[test]
fn a_list_is_an_array_be_it_one_or_many_bare_or_wrapped() {
    let item = |n: u8| format!("<item><PicMd5Sum>{n}</PicMd5Sum></item>");
    let json_item = |n: u8| format!(r#"{{"PicMd5Sum":{n}}}"#);
    for (xml, json, list) in [
        (item(1), json_item(1), json!([{"PicMd5Sum": "1"}])),
        (
            item(1),
            format!("[{}]", json_item(1)),
            json!([{"PicMd5Sum": "1"}]),
        ),
        (
            item(1),
            format!(r#"{{"item":{}}}"#, json_item(1)),
            json!([{"PicMd5Sum": "1"}]),
        ),
        (
            item(1) + &item(2),
            format!("[{},{}]", json_item(1), json_item(2)),
            json!([{"PicMd5Sum": "1"}, {"PicMd5Sum": "2"}]),
        ),
        (
            item(1) + &item(2),
            format!(r#"{{"item":[{},{}]}}"#, json_item(1), json_item(2)),
            json!([{"PicMd5Sum": "1"}, {"PicMd5Sum": "2"}]),
        ),
        (String::new(), "[]".into(), json!([])),
        (" ".into(), "{}".into(), json!([])),
    ] {
        check(
            "pic_weixin",
            &format!(
                "<SendPicsInfo><Count>{}</Count><PicList>{xml}</PicList></SendPicsInfo>",
                1
            ),
            &format!(r#""SendPicsInfo":{{"Count":"1","PicList":{json}}}"#),
            json!({"SendPicsInfo": {"Count": 1, "PicList": list}}),
        );
    }
    check(
        "add_express_path",
        "<Actions><ActionTime>1</ActionTime></Actions>",
        r#""Actions":{"ActionTime":"1"}"#,
        json!({"Actions": [{"ActionTime": 1}]}),
    );
    check(
        "PUBLISHJOBFINISH",
        "<PublishEventInfo><publish_id>1</publish_id><fail_idx>1</fail_idx><fail_idx>2</fail_idx></PublishEventInfo>",
        r#""PublishEventInfo":{"publish_id":1,"fail_idx":[1,"2"]}"#,
        json!({"PublishEventInfo": {"publish_id": "1", "fail_idx": [1, 2]}}),
    );
}

#[test]
fn subscriptions_are_one_list_with_or_without_a_wrapper() {
    let name = "subscribe_msg_popup_event";
    let item = "<List><TemplateId>t</TemplateId><PopupScene>2</PopupScene></List>";
    let wrapped = |inner: &str| format!("<SubscribeMsgPopupEvent>{inner}</SubscribeMsgPopupEvent>");
    let one = json!([{"TemplateId": "t", "PopupScene": 2}]);
    check(
        name,
        &wrapped(item),
        r#""List":{"TemplateId":"t","PopupScene":"2"}"#,
        json!({"List": one}),
    );
    check(
        name,
        item,
        r#""List":[{"TemplateId":"t","PopupScene":2}]"#,
        json!({"List": one}),
    );
    check(
        name,
        &wrapped(&(item.to_owned() + item)),
        r#""SubscribeMsgPopupEvent":{"List":[{"TemplateId":"t","PopupScene":2},{"TemplateId":"t","PopupScene":2}]}"#,
        json!({"List": [one[0], one[0]]}),
    );
    check(name, &wrapped(""), r#""List":[]"#, json!({"List": []}));
    // What else is in the wrapper stays there.
    check(
        name,
        &wrapped(&format!("<New>1</New>{item}")),
        r#""SubscribeMsgPopupEvent":{"New":"1","List":{"TemplateId":"t","PopupScene":2}}"#,
        json!({"List": one, "SubscribeMsgPopupEvent": {"New": "1"}}),
    );
    // Both: neither takes the other's place.
    check(
        name,
        &format!(
            "{item}{}",
            wrapped("<List><TemplateId>u</TemplateId></List>")
        ),
        r#""List":{"TemplateId":"t","PopupScene":2},"SubscribeMsgPopupEvent":{"List":{"TemplateId":"u"}}"#,
        json!({"List": one, "SubscribeMsgPopupEvent": {"List": {"TemplateId": "u"}}}),
    );
    check(
        name,
        "<SubscribeMsgPopupEvent>x</SubscribeMsgPopupEvent>",
        r#""SubscribeMsgPopupEvent":"x""#,
        json!({"SubscribeMsgPopupEvent": "x"}),
    );
}

#[test]
fn what_does_not_have_its_shape_is_kept_as_it_came() {
    check(
        "pic_weixin",
        "<EventKey><a>1</a></EventKey><SendPicsInfo>none</SendPicsInfo>",
        r#""EventKey":{"a":"1"},"SendPicsInfo":"none""#,
        json!({"EventKey": {"a": "1"}, "SendPicsInfo": "none"}),
    );
    check(
        "pic_weixin",
        "<SendPicsInfo><PicList><item>1</item><other>2</other></PicList></SendPicsInfo>",
        r#""SendPicsInfo":{"PicList":{"item":"1","other":"2"}}"#,
        json!({"SendPicsInfo": {"PicList": [{"item": "1", "other": "2"}]}}),
    );
    check(
        "pic_weixin",
        "<SendPicsInfo/>",
        r#""SendPicsInfo":{}"#,
        json!({"SendPicsInfo": {}}),
    );
    // A field that should be there once.
    check(
        "update_member_card",
        "<ModifyBonus>1</ModifyBonus><ModifyBonus>2</ModifyBonus>",
        r#""ModifyBonus":[1,"2"]"#,
        json!({"ModifyBonus": [1, 2]}),
    );
}

#[test]
fn fields_and_kinds_that_are_not_known_are_kept_as_they_came() {
    check(
        "CLICK",
        "<New><a>1</a><a>2</a></New><EventKey>7</EventKey>",
        r#""New":{"a":["1","2"]},"EventKey":7"#,
        json!({"New": {"a": ["1", "2"]}, "EventKey": "7"}),
    );
    assert_eq!(
        typed(&json_event("CLICK", r#""New":1.50,"Also":[true,null]"#))["New"],
        json!(1.50)
    );
    check(
        "nobody_knows",
        "<Count>1</Count><List><a>1</a></List>",
        r#""Count":"1","List":{"a":"1"}"#,
        json!({"Count": "1", "List": {"a": "1"}}),
    );
    let message = r#"{"ToUserName":"gh_1","FromUserName":"o1","CreateTime":"7","MsgType":"hologram","MsgId":1,"X":2}"#;
    assert_eq!(
        typed(message),
        json!({"ToUserName":"gh_1","FromUserName":"o1","CreateTime":7,"MsgType":"hologram","MsgId":"1","X":2})
    );
    let notice = "<xml><AppId>wx1</AppId><CreateTime>7</CreateTime><InfoType>nobody_knows</InfoType><status>0</status></xml>";
    assert_eq!(
        typed(notice),
        json!({"AppId":"wx1","CreateTime":7,"InfoType":"nobody_knows","status":"0"})
    );
}

#[test]
fn the_time_is_the_one_that_was_checked() {
    for time in ["7", " 7 ", "0007", "<![CDATA[7]]>"] {
        let body = event("CLICK", "").replace(">7<", &format!(">{time}<"));
        assert_eq!(typed(&body)["CreateTime"], 7, "{time}");
    }
}

#[test]
fn fields_in_any_order_are_found() {
    let body = "<xml><Idx>1</Idx><MsgId>2</MsgId><Content>3</Content><MsgType>text</MsgType><CreateTime>7</CreateTime><FromUserName>o1</FromUserName><ToUserName>gh_1</ToUserName><bizmsgmenuid>4</bizmsgmenuid></xml>";
    let push = Push::parse(body.as_bytes()).unwrap();
    assert_eq!(
        serde_json::to_string(&push.typed()).unwrap(),
        r#"{"Idx":1,"MsgId":"2","Content":"3","MsgType":"text","CreateTime":7,"FromUserName":"o1","ToUserName":"gh_1","bizmsgmenuid":"4"}"#
    );
}

#[test]
fn a_kind_is_found_by_its_name_and_events_without_regard_to_case() {
    for area in Area::ALL {
        for kind in area.kinds() {
            let found = area.carrier().kind(kind.name).unwrap();
            assert!(std::ptr::eq(found, kind), "{} is there twice", kind.name);
            let shouted = area.carrier().kind(&kind.name.to_uppercase()).is_some();
            let same = kind.name == kind.name.to_uppercase();
            assert_eq!(
                shouted,
                same || area.carrier() == Carrier::Event,
                "{}",
                kind.name
            );
        }
    }
    assert!(Carrier::Message.kind("subscribe").is_none());
    assert!(Carrier::Event.kind("text").is_none());
    assert!(Carrier::Event.kind("").is_none());
    for name in ["PUBLISHJOBFINISH", "FREEPUBLISHJOBFINISH"] {
        assert!(Carrier::Event.kind(name).is_some(), "{name}");
    }
}

#[test]
fn the_table_is_sound() {
    fn sound(kind: &str, fields: &[Field]) {
        for (at, field) in fields.iter().enumerate() {
            let name = field.name;
            assert!(!name.is_empty() && !name.contains('.'), "{kind}.{name}");
            assert!(
                fields[..at].iter().all(|other| other.name != name),
                "{kind}.{name} is there twice"
            );
            let mut shape = &field.shape;
            loop {
                shape = match shape {
                    Shape::List(item) => item,
                    Shape::Items(items) | Shape::Lifted(items) => &items.item,
                    Shape::Object(inner) => break sound(kind, inner),
                    _ => break,
                };
            }
        }
    }
    for area in Area::ALL {
        let routing = match area.carrier() {
            Carrier::Message => "MsgType",
            Carrier::Event => "Event",
            Carrier::Component => "InfoType",
        };
        assert!(
            area.carrier()
                .fields()
                .iter()
                .any(|field| field.name == routing)
        );
        for kind in area.kinds() {
            sound(kind.name, kind.fields);
        }
    }
}

#[test]
fn a_path_leads_to_a_plain_value() {
    let pictures = event(
        "pic_weixin",
        "<EventKey> k </EventKey><SendPicsInfo><Count> 2 </Count><PicList><item><PicMd5Sum>a</PicMd5Sum></item><item><PicMd5Sum>b</PicMd5Sum></item></PicList></SendPicsInfo><New><a>1</a><a>2</a></New>",
    );
    let push = Push::parse(pictures.as_bytes()).unwrap();
    for (path, expected) in [
        ("Event", Some("pic_weixin")),
        ("CreateTime", Some("7")),
        ("CreateTime.0", Some("7")),
        ("EventKey", Some("k")),
        ("SendPicsInfo.Count", Some("2")),
        ("SendPicsInfo.0.Count", Some("2")),
        ("SendPicsInfo.PicList.0.PicMd5Sum", Some("a")),
        ("SendPicsInfo.PicList.1.PicMd5Sum", Some("b")),
        ("SendPicsInfo.PicList.PicMd5Sum", Some("a")),
        ("SendPicsInfo.PicList.2.PicMd5Sum", None),
        ("SendPicsInfo.PicList.item.PicMd5Sum", None),
        ("SendPicsInfo.PicList", None),
        ("SendPicsInfo", None),
        ("New.a", Some("1")),
        ("New.a.1", Some("2")),
        ("New.0.a.0", Some("1")),
        ("New.b", None),
        ("eventkey", None),
        ("", None),
        (".", None),
        ("EventKey.", None),
        ("EventKey.1", None),
        ("EventKey.99999999999999999999", None),
    ] {
        assert_eq!(push.field(path), expected, "{path}");
    }
}

#[test]
fn a_path_is_the_same_in_xml_and_json() {
    let item = r#"{"TemplateId":"t","MsgID":1700827132819554304,"ErrorCode":0,"ok":true}"#;
    for body in [
        event(
            "subscribe_msg_sent_event",
            "<SubscribeMsgSentEvent><List><TemplateId>t</TemplateId><MsgID>1700827132819554304</MsgID><ErrorCode>0</ErrorCode><ok>true</ok></List></SubscribeMsgSentEvent>",
        ),
        json_event("subscribe_msg_sent_event", &format!(r#""List":[{item}]"#)),
        json_event("subscribe_msg_sent_event", &format!(r#""List":{item}"#)),
    ] {
        let push = Push::parse(body.as_bytes()).unwrap();
        for path in ["List.0.TemplateId", "List.TemplateId"] {
            assert_eq!(push.field(path), Some("t"), "{body}");
        }
        assert_eq!(push.field("List.0.MsgID"), Some("1700827132819554304"));
        assert_eq!(push.field("List.0.ErrorCode"), Some("0"));
        assert_eq!(push.field("List.0.ok"), Some("true"));
        assert_eq!(push.field("List.1.TemplateId"), None);
    }
}

#[test]
fn debug_shows_nothing_of_a_push() {
    let body = event("CLICK", "<EventKey>secret</EventKey>");
    let push = Push::parse(body.as_bytes()).unwrap();
    assert!(!format!("{:?}", push.typed()).contains("secret"));
}
