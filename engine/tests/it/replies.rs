//! Which reply a push gets.

use crate::world::{ACCOUNT, USER, World, document, event, message, text, unseal};

fn reply(body: &str) -> String {
    let mut world = World::new(1);
    let stream = world.push(0, body);
    world.run(100);
    world.body(stream).expect("an answer")
}

#[test]
fn the_first_rule_that_matches_decides() {
    let qr = event(
        "subscribe",
        "<EventKey><![CDATA[qrscene_123456]]></EventKey><Ticket><![CDATA[t]]></Ticket>",
    );
    let other_qr = event(
        "subscribe",
        "<EventKey><![CDATA[qrscene_7]]></EventKey><Ticket><![CDATA[t]]></Ticket>",
    );
    let scan = event(
        "SCAN",
        "<EventKey><![CDATA[shop-1]]></EventKey><Ticket><![CDATA[t]]></Ticket>",
    );
    for (push, content) in [
        (qr, "by 123456".to_owned()),
        (other_qr, format!("hi {USER}")),
        (event("subscribe", ""), format!("hi {USER}")),
        (scan, "scanned shop-1".to_owned()),
        (text(1, "anything"), "default".to_owned()),
        (
            message("voice", "<MediaId><![CDATA[m]]></MediaId><MsgId>2</MsgId>"),
            "default".to_owned(),
        ),
    ] {
        let reply = reply(&push);
        assert!(
            reply.contains(&format!("<Content><![CDATA[{content}]]></Content>")),
            "{reply}"
        );
        assert!(
            reply.contains(&format!("<ToUserName><![CDATA[{USER}]]></ToUserName>")),
            "{reply}"
        );
        assert!(
            reply.contains(&format!(
                "<FromUserName><![CDATA[{ACCOUNT}]]></FromUserName>"
            )),
            "{reply}"
        );
    }
}

#[test]
fn a_keyword_is_the_whole_text_blanks_and_case_aside() {
    assert!(reply(&text(1, " hELLO ")).contains("<ArticleCount>1</ArticleCount>"));
    assert!(reply(&text(1, "hello you")).contains("default"));
}

#[test]
fn what_no_rule_matches_is_acknowledged() {
    assert_eq!(
        reply(&message(
            "image",
            "<PicUrl>http://e.com/1</PicUrl><MediaId>m</MediaId><MsgId>3</MsgId>"
        )),
        "success"
    );
    assert_eq!(reply(&event("unsubscribe", "")), "success");
    assert_eq!(
        reply(&event("some_new_event", "<What><Ever>1</Ever></What>")),
        "success"
    );
}

#[test]
fn a_reply_is_sealed_for_an_encrypted_account_and_success_never_is() {
    let mut world = World::with(
        1,
        &document(|d| d["accounts"][0]["mode"] = "encrypted".into()),
    );
    let said = world.push_encrypted(0, &text(1, "x"));
    let left = world.push_encrypted(0, &event("unsubscribe", ""));
    world.run(100);
    assert!(unseal(&world.body(said).unwrap()).contains("<![CDATA[default]]>"));
    assert_eq!(world.body(left).as_deref(), Some("success"));
}

#[test]
fn an_echo_of_nothing_but_control_characters_is_success_and_not_sealed() {
    let document = document(|d| {
        d["accounts"][0]["mode"] = "encrypted".into();
        d["accounts"][0]["rules"] = serde_json::json!([{"reply": {"text": "{content}"}}]);
    });
    let mut world = World::with(1, &document);
    let answers: Vec<_> = ["\u{1}", "\u{1} \u{2}"]
        .iter()
        .zip(1..)
        .map(|(content, id)| world.push_encrypted(0, &text(id, content)))
        .collect();
    world.run(100);
    for stream in answers {
        assert_eq!(world.body(stream).as_deref(), Some("success"));
    }
}

#[test]
fn user_text_in_a_reply_cannot_break_out_of_it() {
    let document = document(|d| {
        d["accounts"][0]["rules"] = serde_json::json!([{"reply": {"text": "you said {content}"}}]);
    });
    let mut world = World::with(1, &document);
    let stream = world.push(0, &text(1, "a]]]]><![CDATA[>b<Content>"));
    world.run(100);
    let body = world.body(stream).unwrap();
    assert!(
        body.contains("you said a]]]]><![CDATA[>b<Content>"),
        "{body}"
    );
}
