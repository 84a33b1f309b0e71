use std::collections::BTreeSet;
use std::path::PathBuf;

use jsonschema::Validator;
use serde_json::{Value, json};
use weir_protocol::kinds::Carrier;
use weir_protocol::push::Push;
use weir_store_api::docs::schemas;
use weir_store_api::{
    CardSnapshot, CloudEvent, PushData, SendApi, SendOutcome, SendResult, SessionBy,
    SessionStarted, TYPE_COMPONENT, TYPE_EVENT, TYPE_MESSAGE, UserPhone,
};

fn compile(schema: &Value) -> Validator {
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(schema)
        .unwrap_or_else(|e| panic!("{}: {e}", schema["title"]))
}

/// The event that the gateway makes of a push.
fn event(push: &Push<'_>) -> Value {
    let kind = match push.carrier() {
        Carrier::Message => TYPE_MESSAGE.to_owned() + push.msg_type(),
        Carrier::Event => TYPE_EVENT.to_owned() + push.event().unwrap(),
        Carrier::Component => TYPE_COMPONENT.to_owned() + push.info_type().unwrap(),
    };
    let subject = push.openid();
    serde_json::to_value(CloudEvent {
        specversion: "1.0".into(),
        id: "a9993e364706816aba3e25717850c26c9cd0d89d".into(),
        source: "/accounts/demo".into(),
        kind: kind.to_ascii_lowercase().into(),
        time: Some("2024-04-26T06:30:02Z".into()),
        subject: (!subject.is_empty()).then(|| subject.into()),
        datacontenttype: Some("application/json".into()),
        weirask: None,
        weirclaim: None,
        weirleasems: None,
        data: PushData {
            account: "demo".into(),
            appid: "wx0123456789abcdef".into(),
            received_at_ms: 1_714_113_002_345,
            push: push.typed(),
        },
    })
    .unwrap()
}

/// Every sample of a push that there is.
fn samples() -> Vec<(String, Vec<u8>)> {
    let folder =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/vectors/callbacks");
    let mut samples: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.ends_with("index.json"))
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                std::fs::read(path).unwrap(),
            )
        })
        .collect();
    samples.sort();
    assert!(samples.len() > 100);
    samples
}

fn push(body: &str) -> Value {
    event(&Push::parse(body.as_bytes()).unwrap())
}

fn schema(kind: &str) -> Validator {
    let all = schemas();
    let found = all.iter().find(|event| event.kind == kind);
    compile(
        &found
            .unwrap_or_else(|| panic!("no schema of {kind}"))
            .schema,
    )
}

#[test]
fn every_schema_is_one_and_every_type_has_one() {
    let mut seen = BTreeSet::new();
    for event in schemas() {
        assert!(
            jsonschema::draft202012::meta::is_valid(&event.schema),
            "{}",
            event.kind
        );
        compile(&event.schema);
        assert_eq!(event.schema["title"], json!(event.kind));
        assert!(
            event.schema["description"]
                .as_str()
                .is_some_and(|doc| doc.ends_with('.')),
            "{}",
            event.kind
        );
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.*".contains(c);
        assert!(event.kind.chars().all(plain), "{}", event.kind);
        assert!(
            seen.insert(event.kind.clone()),
            "{} is there twice",
            event.kind
        );
    }
    for kind in [
        "weir.message.text",
        "weir.event.scan",
        "weir.component.authorized",
        "weir.user.snapshot",
        "weir.event.*",
    ] {
        assert!(seen.contains(kind), "{kind}");
    }
}

#[test]
fn every_sample_is_an_event_of_its_schema() {
    let all = schemas();
    for (file, body) in samples() {
        let event = event(&Push::parse(&body).unwrap());
        let kind = event["type"].as_str().unwrap();
        let schema = all.iter().find(|schema| schema.kind == kind);
        let schema = schema.unwrap_or_else(|| panic!("{file}: no schema of {kind}"));
        let validator = compile(&schema.schema);
        let problems: Vec<_> = validator
            .iter_errors(&event)
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(problems.is_empty(), "{file}: {problems:?}");
        // The schema is not one that anything is valid by.
        let mut wrong = event.clone();
        wrong["data"]["push"]["CreateTime"] = json!("1714113002");
        assert!(!validator.is_valid(&wrong), "{file}");
    }
}

#[test]
fn a_push_of_an_unknown_kind_has_the_schema_of_its_sort() {
    let body = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>7</CreateTime><MsgType>event</MsgType><Event>Nobody_Knows</Event><a><b>1</b></a></xml>";
    assert!(schema("weir.event.*").is_valid(&push(body)));
    assert!(!schema("weir.message.*").is_valid(&push(body)));
    assert!(!schema("weir.event.click").is_valid(&push(body)));
    let message = body.replace(">event<", ">hologram<");
    assert!(
        !schema("weir.message.*").is_valid(&push(&message)),
        "all messages have a MsgId"
    );
    let message = message.replace("</xml>", "<MsgId>1</MsgId></xml>");
    assert!(schema("weir.message.*").is_valid(&push(&message)));
}

#[test]
fn a_schema_tells_right_from_wrong() {
    let body = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>7</CreateTime><MsgType>event</MsgType><Event>update_member_card</Event><CardId>c</CardId><UserCardCode>1</UserCardCode><ModifyBonus>3</ModifyBonus><ModifyBalance></ModifyBalance></xml>";
    let right = push(body);
    let schema = schema("weir.event.update_member_card");
    assert!(schema.is_valid(&right));
    let change = |path: &str, value: Value| {
        let mut changed = right.clone();
        *changed
            .pointer_mut(path)
            .unwrap_or_else(|| panic!("{path}")) = value;
        changed
    };
    assert!(schema.is_valid(&change("/data/push/ModifyBonus", json!(-3))));
    for (path, value) in [
        ("/type", json!("weir.event.click")),
        ("/specversion", json!("0.3")),
        ("/source", json!("/elsewhere")),
        ("/time", json!("yesterday")),
        ("/data/account", json!("Demo")),
        ("/data/received_at_ms", json!("1")),
        ("/data/push", json!([])),
        ("/data/push/MsgType", json!("text")),
        ("/data/push/UserCardCode", json!(1)),
        ("/data/push/ModifyBonus", json!([3])),
        ("/data/push/ModifyBonus", json!(1.5)),
        ("/data/push/ModifyBonus", json!(9_007_199_254_740_993_i64)),
    ] {
        assert!(
            !schema.is_valid(&change(path, value.clone())),
            "{path} {value}"
        );
    }
    for path in ["type", "data", "id"] {
        let mut lacking = right.clone();
        lacking.as_object_mut().unwrap().remove(path);
        assert!(!schema.is_valid(&lacking), "without {path}");
    }
    let mut without_subject = right.clone();
    without_subject.as_object_mut().unwrap().remove("subject");
    assert!(schema.is_valid(&without_subject));
    let mut asking = right.clone();
    asking["weirask"] = json!("user");
    assert!(schema.is_valid(&asking));
    asking["weirask"] = json!("everything");
    assert!(!schema.is_valid(&asking));
    let mut lacking = right.clone();
    lacking["data"]["push"]
        .as_object_mut()
        .unwrap()
        .remove("CardId");
    assert!(!schema.is_valid(&lacking));
    let mut more = right.clone();
    more["data"]["push"]["New"] = json!({"a": 1});
    assert!(schema.is_valid(&more), "WeChat may send more");
}

#[test]
fn a_snapshot_has_a_schema() {
    let schema = schema("weir.user.snapshot");
    let snapshot = json!({
        "specversion": "1.0", "id": "a", "source": "/accounts/demo", "type": "weir.user.snapshot",
        "time": "2024-04-26T06:30:02Z", "subject": "o1", "datacontenttype": "application/json",
        "data": {"account": "demo", "appid": "wx1", "user": {"openid": "o1", "subscribe": 0}},
    });
    assert!(schema.is_valid(&snapshot));
    let mut wrong = snapshot.clone();
    wrong["data"]["user"] = json!({"subscribe": 1});
    assert!(!schema.is_valid(&wrong));
}

#[test]
fn a_send_result_is_an_event_of_its_schema() {
    let schema = schema("weir.send.result");
    let result = SendResult {
        account: "demo".into(),
        appid: "wx0123456789abcdef".into(),
        client: "shop".into(),
        api: SendApi::Template,
        template_id: Some("T".into()),
        msgtype: None,
        client_msg_id: None,
        digest: "a9993e364706816aba3e25717850c26c9cd0d89d".into(),
        errcode: Some(0),
        msgid: Some("24000000000000001".into()),
        outcome: SendOutcome::Sent,
        sent_at_ms: 1_714_113_002_345,
    };
    let event = json!({
        "specversion": "1.0", "id": "a", "source": "/accounts/demo", "type": "weir.send.result",
        "time": "2024-04-26T06:30:02Z", "subject": "o1", "datacontenttype": "application/json", "data": result,
    });
    assert!(schema.is_valid(&event));
    for (field, value) in [
        ("api", json!("mass")),
        ("outcome", json!("lost")),
        ("msgid", json!(24)),
        ("digest", json!("abc")),
        ("errcode", json!("0")),
        ("client", Value::Null),
    ] {
        let mut wrong = event.clone();
        wrong["data"][field] = value;
        assert!(!schema.is_valid(&wrong), "{field}");
    }
}

#[test]
fn a_login_is_an_event_of_its_schema() {
    let schema = schema("weir.session.started");
    let login = |by, unionid: Option<&'static str>| {
        let login = SessionStarted {
            account: "mini".into(),
            appid: "wx0123456789abcdef".into(),
            by,
            unionid: unionid.map(Into::into),
            nickname: None,
            headimgurl: None,
            started_at_ms: 1_714_113_002_345,
        };
        json!({
            "specversion": "1.0", "id": "a", "source": "/accounts/mini", "type": "weir.session.started",
            "time": "2024-04-26T06:30:02Z", "subject": "o1", "datacontenttype": "application/json", "data": login,
        })
    };
    for by in [SessionBy::MiniProgram, SessionBy::Web, SessionBy::OpenData] {
        assert!(schema.is_valid(&login(by, None)));
        assert!(schema.is_valid(&login(by, Some("u"))));
    }
    let mut nowhere = login(SessionBy::Web, None);
    nowhere["data"]["by"] = json!("door");
    assert!(!schema.is_valid(&nowhere));
}

#[test]
fn a_member_card_is_an_event_of_its_schema() {
    let schema = schema("weir.card.snapshot");
    let card = CardSnapshot {
        account: "demo".into(),
        appid: "wx0123456789abcdef".into(),
        card_id: "p1".into(),
        code: "226009850808".into(),
        card: json!({"openid": "o1", "bonus": 100, "user_info": {"common_field_list": []}, "has_active": true}),
    };
    let event = json!({
        "specversion": "1.0", "id": "a", "source": "/accounts/demo", "type": "weir.card.snapshot",
        "time": "2024-04-26T06:30:02Z", "subject": "o1", "datacontenttype": "application/json", "data": card,
    });
    assert!(schema.is_valid(&event));
    for (field, value) in [
        ("code", json!("")),
        ("card", json!([])),
        ("card_id", json!(1)),
    ] {
        let mut wrong = event.clone();
        wrong["data"][field] = value;
        assert!(!schema.is_valid(&wrong), "{field}");
    }
}

#[test]
fn a_phone_number_is_an_event_of_its_schema() {
    let schema = schema("weir.user.phone");
    let phone = UserPhone {
        account: "mini".into(),
        appid: "wx0123456789abcdef".into(),
        phone_number: "+85255".into(),
        pure_phone_number: "55".into(),
        country_code: "852".into(),
        learned_at_ms: 1_714_113_002_345,
    };
    let event = json!({
        "specversion": "1.0", "id": "a", "source": "/accounts/mini", "type": "weir.user.phone",
        "time": "2024-04-26T06:30:02Z", "subject": "o1", "datacontenttype": "application/json", "data": phone,
    });
    assert!(schema.is_valid(&event));
    let mut nothing = event.clone();
    nothing["data"]["phone_number"] = json!("");
    assert!(!schema.is_valid(&nothing));
}
