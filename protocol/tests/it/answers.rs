//! What applications answer, read; and what a late answer is sent as.

use std::borrow::Cow;

use serde_json::{Value, json};
use weir_protocol::api::write_custom_message;
use weir_protocol::push::Format;
use weir_protocol::reply::{Article, ReadError, Reply};

fn article(title: &'static str) -> Article<'static> {
    Article {
        title: title.into(),
        description: "under it".into(),
        pic_url: "https://img.example/a.png".into(),
        url: "https://shop.example/?a=1&b=2".into(),
    }
}

/// One of each kind that says something.
fn replies() -> Vec<Reply<'static>> {
    vec![
        Reply::Text {
            content: "hello ]]> <b> \"\\\n你好".into(),
        },
        Reply::Image {
            media_id: "picture".into(),
        },
        Reply::Voice {
            media_id: "voice".into(),
        },
        Reply::Video {
            media_id: "film".into(),
            title: Some("seen".into()),
            description: None,
        },
        Reply::Music {
            title: Some("song".into()),
            description: Some("sung".into()),
            music_url: Some("https://m.example/1".into()),
            hq_music_url: None,
            thumb_media_id: "thumb".into(),
        },
        Reply::News {
            articles: Cow::Owned(vec![article("one")]),
        },
        Reply::News {
            articles: Cow::Owned(vec![article("one"), article("two")]),
        },
        Reply::TransferCustomerService { kf_account: None },
        Reply::TransferCustomerService {
            kf_account: Some("anna@shop".into()),
        },
    ]
}

#[test]
fn every_reply_is_read_back_from_every_way_of_writing_it() {
    for reply in replies() {
        for format in [Format::Xml, Format::Json] {
            let body = reply.encode(format, "oUser", "gh_account", 1);
            assert_eq!(Reply::parse(&body), Ok(reply.clone()), "{format:?}");
        }
        let body = reply.to_json().unwrap();
        assert_eq!(Reply::parse(&body), Ok(reply.clone()));
        let value: Value = serde_json::from_slice(&body).unwrap();
        let wrapped = json!({ "reply": value }).to_string();
        assert_eq!(Reply::parse(wrapped.as_bytes()), Ok(reply));
    }
}

#[test]
fn nothing_to_say_is_said_in_many_ways() {
    for body in [
        "",
        " \r\n",
        "success",
        "success\n",
        "{}",
        r#"{"reply": null}"#,
        r#"{"reply": "none"}"#,
        r#"{"reply": {}}"#,
    ] {
        assert_eq!(Reply::parse(body.as_bytes()), Ok(Reply::None), "{body}");
    }
    let blank = Reply::parse(br#"{"text": " "}"#).unwrap();
    assert!(blank.is_silent());
    assert_eq!(blank.to_json(), None);
    assert_eq!(Reply::None.to_json(), None);
}

#[test]
fn what_is_not_a_reply_is_refused() {
    for body in [
        "ok",
        "[]",
        "<html><body>502</body></html>",
        r#"{"error": "no"}"#,
        r#"{"text": "a", "image": "b"}"#,
        r#"{"text": {"content": "a"}}"#,
        r#"{"video": {"title": "no media id"}}"#,
        r#"{"news": [{"url": "no title"}]}"#,
        r#"{"transfer_customer_service": true}"#,
        r#"{"reply": "later"}"#,
        r#"{"reply": 1}"#,
        "<xml><MsgType>text</MsgType></xml>",
        "<xml><MsgType>hologram</MsgType><Content>a</Content></xml>",
        "<xml><MsgType>text</MsgType><MsgType>image</MsgType><Content>a</Content></xml>",
        "<xml><MsgType>text</MsgType><Content>a",
        "\u{0}",
    ] {
        assert!(Reply::parse(body.as_bytes()).is_err(), "{body}");
    }
    assert_eq!(
        Reply::parse(br#"{"error": "no"}"#),
        Err(ReadError::NotAReply)
    );
    assert!(matches!(
        Reply::parse(&[b'{', 0xff]),
        Err(ReadError::Malformed(_))
    ));
}

#[test]
fn a_reply_becomes_the_customer_service_message_that_says_the_same() {
    let sent: Vec<_> = replies()
        .iter()
        .map(|reply| {
            write_custom_message("oUser", reply)
                .map(|body| serde_json::from_slice::<Value>(&body).unwrap())
        })
        .collect();
    let one = json!([{
        "title": "one", "description": "under it",
        "url": "https://shop.example/?a=1&b=2", "picurl": "https://img.example/a.png",
    }]);
    let message =
        |kind: &str, of: Value| Some(json!({"touser": "oUser", "msgtype": kind, kind: of}));
    assert_eq!(
        sent,
        [
            message("text", json!({"content": "hello ]]> <b> \"\\\n你好"})),
            message("image", json!({"media_id": "picture"})),
            message("voice", json!({"media_id": "voice"})),
            None,
            message(
                "music",
                json!({"title": "song", "description": "sung", "musicurl": "https://m.example/1", "thumb_media_id": "thumb"})
            ),
            message("news", json!({"articles": one})),
            message("news", json!({"articles": one})),
            None,
            None,
        ]
    );
    assert_eq!(write_custom_message("oUser", &Reply::None), None);
    let raw = write_custom_message("oUser", &replies()[0]).unwrap();
    assert!(
        String::from_utf8(raw).unwrap().contains("你好"),
        "no escapes"
    );
}
