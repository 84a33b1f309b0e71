//! What the profile in `weir_protocol::push` says must be accepted, point by point.

use weir_protocol::envelope::Envelope;
use weir_protocol::fields::Value;
use weir_protocol::push::{Format, Kind, Push};

/// An XML push with something in it, or around it.
fn xml(inner: &str) -> String {
    format!(
        "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType>{inner}</xml>"
    )
}

fn json(inner: &str) -> String {
    format!(
        r#"{{"ToUserName":"gh_1","FromUserName":"o1","CreateTime":1,"MsgType":"text",{inner}}}"#
    )
}

/// The value of an element with this content.
fn leaf(content: &str, expected: &str) {
    let body = xml(&format!("<X>{content}</X>"));
    let push = Push::parse(body.as_bytes()).unwrap_or_else(|e| panic!("{content}: {e}"));
    assert_eq!(push.fields().text("X"), Some(expected), "{content}");
}

fn accepted(body: &str) {
    let push = Push::parse(body.as_bytes()).unwrap_or_else(|e| panic!("{body}: {e}"));
    assert_eq!(
        (
            push.to_user_name(),
            push.from_user_name(),
            push.create_time()
        ),
        ("gh_1", "o1", 1),
        "{body}"
    );
}

/// The fields as JSON.
fn fields(body: &str) -> String {
    serde_json::to_string(Push::parse(body.as_bytes()).unwrap().fields()).unwrap()
}

#[test]
fn a_byte_order_mark_a_declaration_and_blanks_may_surround_the_root() {
    let body = xml("");
    accepted(&format!("\u{feff}{body}"));
    accepted(&format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{body}"));
    accepted(&format!(
        "\u{feff}<?xml version='1.0' encoding='utf-8' standalone='yes' ?>\r\n{body}\n \t"
    ));
    accepted(&format!("<?xml version=\"1.1\"?>{body}"));
    accepted(&format!("\n\n{body}"));
    accepted(&format!("<!-- a --><?b c?>{body}<!-- d --><?e?>"));
    let body = json("\"X\":1");
    accepted(&format!("\u{feff} {body} \r\n"));
}

#[test]
fn attributes_comments_and_instructions_are_skipped() {
    leaf("a<!-- c -->b<?pi x?>c", "abc");
    leaf("<!-- only -->", "");
    accepted(&xml("<a b='1' c=\"<>\" d = '2'/>").replacen("<xml>", "<xml x='1' y=\"2\">", 1));
    accepted(&xml("<!-- <!DOCTYPE a> -->"));
}

#[test]
fn the_root_and_elements_may_have_any_name() {
    accepted(&xml("<用户 />").replace("xml>", "XML>"));
    accepted(&xml("<a:b-c.d_1/>"));
}

#[test]
fn references_are_resolved_in_text_and_literal_in_cdata() {
    leaf("&lt;&gt;&amp;&quot;&apos;", "<>&\"'");
    leaf("&#20320;&#x597D;&#x1F600;", "你好😀");
    leaf("a&#9;b", "a\tb");
    leaf("&amp;lt;", "&lt;");
    leaf("<![CDATA[&lt;&amp;&#65;]]>", "&lt;&amp;&#65;");
    leaf("<![CDATA[<!DOCTYPE html><b>]]>", "<!DOCTYPE html><b>");
}

#[test]
fn cdata_amid_blanks_is_the_value_exactly() {
    leaf("<![CDATA[ a ]]>", " a ");
    leaf("\n  <![CDATA[ a ]]>\n", " a ");
    leaf(" <![CDATA[]]> ", "");
    leaf("<![CDATA[ ]]>", " ");
    leaf("<![CDATA[a]]]]><![CDATA[>b]]>", "a]]>b");
    leaf(" <![CDATA[a]]> <![CDATA[b]]> ", "ab");
    leaf("<![CDATA[a]]>&#32;<!-- c --> ", "a");
    leaf("<![CDATA[a\r\nb]]>", "a\r\nb");
}

#[test]
fn other_leaves_are_text_and_cdata_without_outer_blanks() {
    leaf("  a b\n", "a b");
    leaf(" \r\n\t ", "");
    leaf("a<![CDATA[ b ]]>", "a b ");
    leaf(" <![CDATA[ a]]> b ", " a b");
    leaf(" a <![CDATA[b]]> ", "a b");
    leaf(" a &amp; b ", "a & b");
    leaf("<![CDATA[ a ]]>&amp;<![CDATA[ b ]]>", " a & b ");
    leaf("&#32;a&#32;", "a");
    leaf(" <![CDATA[]]> a", "a");
    leaf("a <![CDATA[]]> ", "a ");
    leaf("\u{3000}a\u{a0}", "\u{3000}a\u{a0}");
}

#[test]
fn control_characters_that_users_send_are_data() {
    leaf("<![CDATA[ \u{1d}c\u{2}]]>", " \u{1d}c\u{2}");
    leaf("a\u{10}", "a\u{10}");
    assert!(fields(&xml("<X>\u{1d}</X>")).contains(r#""X":"\u001d""#));
}

#[test]
fn an_empty_element_is_an_empty_text() {
    leaf("", "");
    let body = xml("<X/><Y />");
    let push = Push::parse(body.as_bytes()).unwrap();
    assert_eq!(
        (push.fields().text("X"), push.fields().text("Y")),
        (Some(""), Some(""))
    );
}

#[test]
fn repeated_elements_are_a_list_in_their_order() {
    let body = xml("<L><a>1</a></L><M/><L><a>2</a><a>3</a><a>4</a></L><L>5</L>");
    assert!(
        fields(&body).ends_with(r#""L":[{"a":"1"},{"a":["2","3","4"]},"5"],"M":""}"#),
        "{}",
        fields(&body)
    );
    let push = Push::parse(body.as_bytes()).unwrap();
    assert_eq!(push.fields().list("L").count(), 3);
    assert_eq!(push.fields().list("M").count(), 1);
    assert_eq!(push.fields().list("N").count(), 0);
}

#[test]
fn text_beside_elements_is_skipped() {
    assert!(
        fields(&xml("<L> x <a>1</a> &amp; <![CDATA[y]]> <a>2</a>z</L>"))
            .ends_with(r#""L":{"a":["1","2"]}}"#)
    );
}

#[test]
fn routing_names_mean_nothing_deeper_down() {
    accepted(&xml(
        "<L><MsgId>1</MsgId><MsgId>2</MsgId><Event><a/></Event><ToUserName/></L>",
    ));
    accepted(&json(r#""L":{"MsgId":[1],"Event":{}}"#));
}

#[test]
fn numbers_may_be_bare_or_in_cdata_with_blanks_around() {
    for time in [
        "1714112401",
        " 1714112401\n",
        "<![CDATA[1714112401]]>",
        " <![CDATA[ 1714112401 ]]> ",
        "001714112401",
    ] {
        let body = xml("").replace("<CreateTime>1<", &format!("<CreateTime>{time}<"));
        assert_eq!(
            Push::parse(body.as_bytes()).unwrap().create_time(),
            1_714_112_401,
            "{time}"
        );
    }
    let body = json("\"MsgId\":1").replace(
        "\"CreateTime\":1,",
        "\"CreateTime\":\" 9007199254740992 \",",
    );
    assert_eq!(Push::parse(body.as_bytes()).unwrap().create_time(), 1 << 53);
    let body = xml("<MsgId><![CDATA[ 12 ]]></MsgId>");
    assert_eq!(Push::parse(body.as_bytes()).unwrap().msg_id(), Some("12"));
    let body = xml("<MsgId> </MsgId>");
    assert_eq!(Push::parse(body.as_bytes()).unwrap().msg_id(), None);
}

#[test]
fn events_are_known_by_any_case_and_kept_as_sent() {
    for (event, expected) in [
        ("SCAN", "scan"),
        ("scan", "scan"),
        ("Subscribe", "subscribe"),
        ("UNSUBSCRIBE", "unsubscribe"),
        ("x", "event"),
    ] {
        let body = xml(&format!("<Event>{event}</Event>")).replace(">text<", ">event<");
        let push = Push::parse(body.as_bytes()).unwrap();
        assert_eq!((push.event(), push.kind().name()), (Some(event), expected));
    }
    let body = xml("<Event>subscribe</Event><Content>c</Content>");
    let push = Push::parse(body.as_bytes()).unwrap();
    assert_eq!(
        (push.event(), push.kind()),
        (None, Kind::Text { content: "c" }),
        "an Event in a message is but a field"
    );
    let body = xml("").replace(">text<", ">TEXT<");
    assert_eq!(
        Push::parse(body.as_bytes()).unwrap().kind(),
        Kind::OtherMessage("TEXT")
    );
}

#[test]
fn a_scene_is_what_follows_the_first_prefix() {
    for (key, expected) in [
        ("<EventKey><![CDATA[qrscene_123]]></EventKey>", Some("123")),
        ("<EventKey>qrscene_qrscene_a</EventKey>", Some("qrscene_a")),
        ("<EventKey>qrscene_</EventKey>", None),
        ("<EventKey>last_trade_no_1</EventKey>", None),
        ("<EventKey/>", None),
        ("", None),
    ] {
        let body = xml(&format!("<Event>subscribe</Event>{key}<Ticket></Ticket>"))
            .replace(">text<", ">event<");
        let push = Push::parse(body.as_bytes()).unwrap();
        assert_eq!(
            push.kind(),
            Kind::Subscribe {
                scene: expected,
                ticket: None
            },
            "{key}"
        );
    }
    let body = xml("<Event>SCAN</Event><EventKey>qrscene_1</EventKey><Ticket>T</Ticket>")
        .replace(">text<", ">event<");
    assert_eq!(
        Push::parse(body.as_bytes()).unwrap().kind(),
        Kind::Scan {
            scene: "qrscene_1",
            ticket: Some("T")
        }
    );
}

#[test]
fn json_numbers_keep_their_literal() {
    let body = json(
        r#""A":18446744073709551615,"B":1864323726461255681123,"C":-9223372036854775809,"D":39.90,"E":1e2,"F":-0,"G":0,"H":-7"#,
    );
    let push = Push::parse(body.as_bytes()).unwrap();
    assert_eq!(push.fields().text("B"), Some("1864323726461255681123"));
    assert_eq!(push.fields().text("D"), Some("39.90"));
    let Some(Value::Number(number)) = push.fields().get("A") else {
        panic!("not a number")
    };
    assert_eq!(number.as_u64(), Some(u64::MAX));
    assert_eq!(fields(&body), body);
}

#[test]
fn json_null_is_absent_and_the_last_of_a_name_counts() {
    assert!(
        fields(&json(
            r#""A":null,"B":[null,1,{"C":null}],"D":1,"D":"2","E":true,"F":[],"G":{}"#
        ))
        .ends_with(r#""MsgType":"text","B":[1,{}],"D":"2","E":true,"F":[],"G":{}}"#)
    );
    let body = json(r#""MsgId":null,"MsgId":"7""#);
    assert_eq!(Push::parse(body.as_bytes()).unwrap().msg_id(), Some("7"));
}

#[test]
fn json_strings_are_unescaped() {
    let body = json(r#""X":"\"\\\/\b\f\n\r\t\u4f60\ud83d\ude00\u0000z","\u0058\u0059":"""#);
    let push = Push::parse(body.as_bytes()).unwrap();
    assert_eq!(
        push.fields().text("X"),
        Some("\"\\/\u{8}\u{c}\n\r\t你😀\0z")
    );
    assert_eq!(push.fields().text("XY"), Some(""));
    assert_eq!(push.format(), Format::Json);
}

#[test]
fn nesting_up_to_the_bound_is_accepted() {
    accepted(&xml(&format!("{}{}", "<a>".repeat(31), "</a>".repeat(31))));
    accepted(&json(&format!(
        r#""X":{}{}"#,
        "[".repeat(31),
        "]".repeat(31)
    )));
    accepted(&xml(&"<a/>".repeat(8000)));
}

#[test]
fn an_envelope_takes_the_outer_fields_alone() {
    let body = xml(
        "<AppId>wx1</AppId><AgentID>7</AgentID><L><Encrypt/><Encrypt/></L><Encrypt> <![CDATA[a+/=]]> </Encrypt><L/>",
    );
    let envelope = Envelope::parse(body.as_bytes()).unwrap();
    assert_eq!(envelope.encrypt, "a+/=");
    assert_eq!(envelope.to_user_name.as_deref(), Some("gh_1"));
    assert_eq!(
        (envelope.app_id.as_deref(), envelope.agent_id.as_deref()),
        (Some("wx1"), Some("7"))
    );
    let envelope = Envelope::parse(
        br#"{"ToUserName":"gh_1","AgentID":7,"L":[{"Encrypt":1}],"Encrypt":"x\/y"}"#,
    )
    .unwrap();
    assert_eq!(
        (envelope.encrypt.as_ref(), envelope.agent_id.as_deref()),
        ("x/y", Some("7"))
    );
    assert!(!format!("{envelope:?}").contains("gh_1"));
}

fn identity(body: &str) -> Vec<u8> {
    let mut out = b"account".to_vec();
    Push::parse(body.as_bytes())
        .unwrap()
        .write_identity(&mut out);
    assert!(out.starts_with(b"account"), "appends");
    out
}

#[test]
fn copies_share_an_identity_and_twins_do_not() {
    let event = |event: &str, inner: &str| {
        xml(&format!("<Event>{event}</Event>{inner}")).replace(">text<", ">event<")
    };
    assert_eq!(
        identity(&xml("<MsgId>1</MsgId>")),
        identity(&xml("<Content>other</Content><MsgId> 1</MsgId>"))
    );
    assert_ne!(
        identity(&xml("<MsgId>1</MsgId>")),
        identity(&xml("<MsgId>2</MsgId>"))
    );
    assert_ne!(
        identity(&xml("<Content>a</Content>")),
        identity(&xml("<Content>b</Content>")),
        "without MsgId the body tells"
    );
    let twins = [
        event(
            "user_get_card",
            "<CardId>a</CardId><UserCardCode>1</UserCardCode>",
        ),
        event(
            "user_get_card",
            "<CardId>a</CardId><UserCardCode>2</UserCardCode>",
        ),
        event(
            "user_get_card",
            "<CardId>a1</CardId><UserCardCode></UserCardCode>",
        ),
        event(
            "user_view_card",
            "<CardId>a</CardId><UserCardCode>1</UserCardCode>",
        ),
        event("CLICK", "<EventKey>a</EventKey>"),
        event("CLICK", "<EventKey>b</EventKey>"),
        event("TEMPLATESENDJOBFINISH", "<MsgID>1</MsgID>"),
        event("TEMPLATESENDJOBFINISH", "<MsgID>2</MsgID>"),
        event(
            "subscribe_msg_sent_event",
            "<SubscribeMsgSentEvent><List><TemplateId>a</TemplateId><MsgID>1</MsgID></List></SubscribeMsgSentEvent>",
        ),
        event(
            "subscribe_msg_sent_event",
            "<SubscribeMsgSentEvent><List><TemplateId>a</TemplateId><MsgID>2</MsgID></List></SubscribeMsgSentEvent>",
        ),
        event(
            "subscribe_msg_sent_event",
            "<List><TemplateId>b</TemplateId><MsgID>2</MsgID></List>",
        ),
        event("nobody_knows", "<a>1</a>"),
        event("nobody_knows", "<a>2</a>"),
    ];
    for (index, twin) in twins.iter().enumerate() {
        assert_eq!(identity(twin), identity(twin));
        for other in &twins[..index] {
            assert_ne!(identity(twin), identity(other), "{twin}\n{other}");
        }
    }
}

#[test]
fn an_identity_survives_fields_that_do_not_matter_for_a_known_event() {
    let event =
        |inner: &str| xml(&format!("<Event>subscribe</Event>{inner}")).replace(">text<", ">event<");
    assert_eq!(
        identity(&event("<EventKey/>")),
        identity(&event("<New>1</New>"))
    );
}

#[test]
fn notices_to_a_platform_are_told_apart_by_account_and_unknown_ones_by_all_they_hold() {
    let notice = |info_type: &str, inner: &str| {
        format!(
            "<xml><AppId>wx1</AppId><CreateTime>7</CreateTime><InfoType>{info_type}</InfoType>{inner}</xml>"
        )
    };
    let account = |appid: &str| format!("<AuthorizerAppid>{appid}</AuthorizerAppid>");
    assert_eq!(
        identity(&notice("authorized", &account("wx2"))),
        identity(&notice(
            "authorized",
            &(account("wx2") + "<AuthorizationCode>1</AuthorizationCode>")
        ))
    );
    let twins = [
        notice("authorized", &account("wx2")),
        notice("authorized", &account("wx3")),
        notice("unauthorized", &account("wx2")),
        notice("component_verify_ticket", "").replace("wx1", "wx2"),
        notice("component_verify_ticket", "").replace(">7<", ">8<"),
        notice("notify_third_fasteregister", "<appid>wx2</appid>"),
        notice("notify_third_fasteregister", "<appid>wx3</appid>"),
    ];
    for (index, twin) in twins.iter().enumerate() {
        assert_eq!(identity(twin), identity(twin));
        for other in &twins[..index] {
            assert_ne!(identity(twin), identity(other), "{twin}\n{other}");
        }
    }
}

#[test]
fn one_user_of_wecom_follows_two_applications_in_one_second() {
    let follow = |agent: &str| {
        xml(&format!(
            "<Event>subscribe</Event><AgentID>{agent}</AgentID>"
        ))
        .replace(">text<", ">event<")
    };
    assert_ne!(identity(&follow("1")), identity(&follow("2")));
}

#[test]
fn a_section_of_any_length_is_read_to_its_end() {
    for len in (0..8).chain(56..80).chain([811, 812, 4000]) {
        for odd in ["", "]", "]]", "]>", "] ]>", "é", "]]]"] {
            for at in [0, len / 2, len] {
                let text = format!("{}{odd}{}", "a".repeat(at), "b".repeat(len - at));
                leaf(&format!("<![CDATA[{text}]]>"), &text);
                leaf(&format!(" <![CDATA[{text}]]> "), &text);
            }
        }
    }
}
