//! The profile of [`weir_protocol::push`], rule by rule: what must be read, how, and what must be refused.
//!
//! XML 1 to 13, then JSON. More of each in `profile.rs` (accepted) and `malformed.rs` (refused).

use serde_json::{Value, json};
use weir_protocol::error::ParseError::{self, *};
use weir_protocol::fields;
use weir_protocol::limits::{MAX_BODY_BYTES, MAX_DEPTH};
use weir_protocol::push::{Kind, Push};

const BROKEN: ParseError = Malformed { offset: 0 };

/// A push in XML with something more in it.
fn xml(inner: &str) -> String {
    format!(
        "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>7</CreateTime><MsgType>text</MsgType>{inner}</xml>"
    )
}

/// A push in JSON with something more in it.
fn json(inner: &str) -> String {
    format!(
        r#"{{"ToUserName":"gh_1","FromUserName":"o1","CreateTime":7,"MsgType":"text"{}{inner}}}"#,
        if inner.is_empty() { "" } else { "," }
    )
}

fn read(body: impl AsRef<[u8]>) {
    let body = body.as_ref();
    let push = Push::parse(body).unwrap_or_else(|e| panic!("{}: {e}", body.escape_ascii()));
    assert_eq!(
        (push.to_user_name(), push.create_time()),
        ("gh_1", 7),
        "{}",
        body.escape_ascii()
    );
}

fn refused(body: impl AsRef<[u8]>, expected: ParseError) {
    let body = body.as_ref();
    let error = Push::parse(body).map(|_| ()).map_err(|error| match error {
        Malformed { .. } => BROKEN,
        other => other,
    });
    assert_eq!(error, Err(expected), "{}", body.escape_ascii());
}

/// What an element with this content is worth.
fn leaf(content: &str, expected: &str) {
    let body = xml(&format!("<X>{content}</X>"));
    let push = Push::parse(body.as_bytes()).unwrap_or_else(|e| panic!("{content}: {e}"));
    assert_eq!(push.fields().text("X"), Some(expected), "{content}");
}

fn fields(body: &str) -> Value {
    let push = Push::parse(body.as_bytes()).unwrap_or_else(|e| panic!("{body}: {e}"));
    serde_json::to_value(push.fields()).unwrap()
}

#[test]
fn rule_1_utf8_perhaps_a_mark_perhaps_a_declaration_and_blanks_around_one_root() {
    let push = xml("");
    read(&push);
    read(format!("\u{feff}{push}"));
    read(format!("\u{feff}<?xml version=\"1.0\"?>{push}"));
    read(format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n{push}"
    ));
    read(format!(
        "<?xml version='1.0' encoding='utf-8' standalone='yes' ?> {push}"
    ));
    read(format!(" \t\r\n{push}\n \t\r"));
    refused(
        format!("<?xml version=\"1.0\" encoding=\"GBK\"?>{push}"),
        Encoding,
    );
    refused(
        format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{push}"),
        Encoding,
    );
    refused([push.as_bytes(), b"\xff"].concat(), NotUtf8);
    refused(format!("\u{feff}\u{feff}{push}"), UnknownFormat);
    refused(format!("{push}\u{feff}"), BROKEN);
    refused(format!("{push}x"), BROKEN);
    refused(format!("x{push}"), UnknownFormat);
    refused(format!("{push}{push}"), BROKEN);
    refused(format!("{push}\0"), BROKEN);
}

#[test]
fn rule_2_no_document_type_whatever_its_letter_case_or_place() {
    for doctype in [
        "<!DOCTYPE xml>",
        "<!doctype xml>",
        "<!DocType xml [<!ENTITY a 'b'>]>",
        "<!DOCTYPE",
    ] {
        refused(format!("{doctype}{}", xml("")), Doctype);
        refused(
            format!(
                "\u{feff} <?xml version='1.0'?><!-- c -->{doctype}{}",
                xml("")
            )
            .replace(" <?", "<?"),
            Doctype,
        );
        refused(xml(doctype), Doctype);
        refused(format!("{}{doctype}", xml("")), Doctype);
    }
    leaf("<![CDATA[<!DOCTYPE xml>]]>", "<!DOCTYPE xml>");
    // Neither its own entities nor anyone else's.
    refused(xml("<X>&own;</X>"), BROKEN);
    refused(xml("<!ENTITY own 'x'>"), BROKEN);
}

#[test]
fn rule_3_comments_instructions_and_attributes_are_ignored() {
    read("<!-- before --><?pi?>".to_owned() + &xml("<!-- in -->") + "<!-- after --><?pi x?>");
    leaf("a<!-- b -->c", "ac");
    leaf("<![CDATA[a]]><?pi b?><![CDATA[c]]>", "ac");
    leaf("<!-- only -->", "");
    read(xml("").replace("<xml>", "<xml version=\"1\" ToUserName='gh_2'>"));
    assert_eq!(fields(&xml("<X a='1' b=\"&amp;\">c</X>"))["X"], "c");
    assert_eq!(
        fields(&xml("<!-- <ToUserName>gh_2</ToUserName> -->")),
        fields(&xml(""))
    );
}

#[test]
fn rule_4_five_entities_and_references_to_characters_that_xml_has() {
    leaf("&amp;&lt;&gt;&quot;&apos;", "&<>\"'");
    leaf("&#65;&#x42;&#x1F600;&#10;b&#xd;&#9;c", "AB😀\nb\r\tc");
    for reference in [
        "&nbsp;",
        "&copy;",
        "&#0;",
        "&#8;",
        "&#xB;",
        "&#xD800;",
        "&#xFFFE;",
        "&#x110000;",
        "&#;",
        "&",
        "&amp",
    ] {
        refused(xml(&format!("<X>{reference}</X>")), BROKEN);
    }
    leaf("<![CDATA[&amp;&#65;<b>]]>", "&amp;&#65;<b>");
    leaf("a<![CDATA[b]]>c&amp;<![CDATA[d]]>", "abc&d");
    leaf("<![CDATA[a]]]]><![CDATA[>b]]>", "a]]>b");
}

#[test]
fn rule_5_cdata_among_blanks_is_exactly_itself_and_other_text_is_trimmed_outside_it() {
    leaf("\n  <![CDATA[ a ]]>\t\n", " a ");
    leaf("<![CDATA[ ]]>", " ");
    leaf(" <![CDATA[]]> ", "");
    leaf(" <![CDATA[a ]]> <![CDATA[ b]]> ", "a  b");
    leaf("&#32;<![CDATA[ a ]]>&#10;", " a ");
    leaf("  a  b  ", "a  b");
    leaf(" a <![CDATA[ b ]]> ", "a  b ");
    leaf(" <![CDATA[ b ]]> a ", " b  a");
    leaf("\u{3000}a\u{3000}", "\u{3000}a\u{3000}"); // no blank of XML
    leaf("\n", "");
}

#[test]
fn rule_6_an_element_without_content_is_an_empty_text() {
    for element in [
        "<X/>",
        "<X></X>",
        "<X />",
        "<X a='b'/>",
        "<X><![CDATA[]]></X>",
        "<X> </X>",
    ] {
        assert_eq!(fields(&xml(element))["X"], "", "{element}");
    }
}

#[test]
fn rule_7_repeated_elements_are_a_list_and_one_is_a_list_of_one() {
    for (count, expected) in [(0, 0), (1, 1), (2, 2), (7, 7)] {
        for inner in ["<List>1</List>", "<List><a>1</a></List>"] {
            let body = xml(&inner.repeat(count));
            let push = Push::parse(body.as_bytes()).unwrap();
            assert_eq!(push.fields().list("List").count(), expected, "{body}");
            for item in push.fields().list("List") {
                assert_eq!(
                    item.text().or(item.get("a").and_then(fields::Value::text)),
                    Some("1")
                );
            }
        }
    }
    // Also when something stands between.
    assert_eq!(fields(&xml("<a>1</a><b/><a>2</a>"))["a"], json!(["1", "2"]));
    // And to whoever reads events: one shape.
    let event = |inner: &str| {
        let body =
            xml(&format!("<Event>add_express_path</Event>{inner}")).replace(">text<", ">event<");
        serde_json::to_value(Push::parse(body.as_bytes()).unwrap().typed()).unwrap()["Actions"]
            .clone()
    };
    let action = "<Actions><ActionMsg>a</ActionMsg></Actions>";
    assert_eq!(event(action), json!([{"ActionMsg": "a"}]));
    assert_eq!(
        event(&action.repeat(2)),
        json!([{"ActionMsg": "a"}, {"ActionMsg": "a"}])
    );
}

#[test]
fn rule_8_what_decides_what_a_push_is_must_be_there_once_and_plain() {
    for name in [
        "ToUserName",
        "FromUserName",
        "CreateTime",
        "MsgType",
        "MsgId",
        "Event",
    ] {
        let once = if ["MsgId", "Event"].contains(&name) {
            format!("<{name}>1</{name}>")
        } else {
            String::new()
        };
        read(xml(&once));
        refused(xml(&format!("{once}<{name}>1</{name}>")), Duplicate(name));
        refused(xml(&format!("{once}<{name}/>")), Duplicate(name));
        refused(xml(&format!("<{name}><a>1</a></{name}>")), NotPlain(name));
        refused(json(&format!(r#""{name}":1,"{name}":1"#)), Duplicate(name));
        refused(json(&format!(r#""{name}":{{"a":1}}"#)), NotPlain(name));
        refused(json(&format!(r#""{name}":[1]"#)), NotPlain(name));
        // Inside something else they mean nothing.
        read(xml(&format!("<X><{name}>1</{name}><{name}>2</{name}></X>")));
    }
}

#[test]
fn rule_9_what_is_not_known_is_kept_and_never_an_error() {
    let body =
        xml("<New><deep><er>1</er></deep></New><Other>2</Other>").replace(">text<", ">hologram<");
    let push = Push::parse(body.as_bytes()).unwrap();
    assert_eq!(push.kind(), Kind::OtherMessage("hologram"));
    assert_eq!(
        serde_json::to_value(push.typed()).unwrap()["New"],
        json!({"deep": {"er": "1"}})
    );
    assert_eq!(push.field("Other"), Some("2"));
    let body = xml("<Event>nobody_knows</Event><New>1</New>").replace(">text<", ">event<");
    let push = Push::parse(body.as_bytes()).unwrap();
    assert_eq!(push.kind(), Kind::OtherEvent("nobody_knows"));
    assert_eq!(push.field("New"), Some("1"));
}

#[test]
fn rule_10_depth_and_size_are_bounded_and_nothing_recurses() {
    let nest = |levels: usize| format!("{}{}", "<a>".repeat(levels), "</a>".repeat(levels));
    read(xml(&nest(MAX_DEPTH as usize - 1)));
    refused(xml(&nest(MAX_DEPTH as usize)), TooDeep);
    refused(xml(&"<a>".repeat(300_000)), TooDeep);
    refused(json(&format!("\"a\":{}", "[".repeat(1_000_000))), TooDeep);
    let long = |len: usize| xml(&format!("<X>{}</X>", "x".repeat(len)));
    let around = long(0).len();
    read(long(MAX_BODY_BYTES - around));
    refused(long(MAX_BODY_BYTES - around + 1), TooLarge);
    // Three times what WeChat may send in plain text, in compatible mode.
    const { assert!(MAX_BODY_BYTES >= 3 * 256 * 1024) };
}

#[test]
fn rule_11_numbers_may_be_bare_or_in_cdata_among_blanks() {
    for time in [
        "7",
        " 7 ",
        "\n7\n",
        "<![CDATA[7]]>",
        " <![CDATA[ 7 ]]> ",
        "0007",
    ] {
        read(xml("").replace(">7<", &format!(">{time}<")));
    }
    let time = |time: &str| xml("").replace(">7<", &format!(">{time}<"));
    assert_eq!(
        Push::parse(time("9007199254740992").as_bytes())
            .unwrap()
            .create_time(),
        1 << 53
    );
    for wrong in [
        "9007199254740993",
        "-7",
        "+7",
        "7.0",
        "7e0",
        "0x7",
        "7 7",
        "seven",
        "７",
        "99999999999999999999999",
    ] {
        refused(time(wrong), BadCreateTime);
    }
    let body = xml("<MsgId> <![CDATA[ 18446744073709551615 ]]> </MsgId>");
    assert_eq!(
        Push::parse(body.as_bytes()).unwrap().msg_id(),
        Some("18446744073709551615")
    );
}

#[test]
fn rule_12_four_fields_are_required_of_events_a_fifth_and_of_notices_three() {
    for name in ["ToUserName", "FromUserName", "CreateTime", "MsgType"] {
        refused(xml("").replace(name, "Another"), Missing(name));
    }
    refused(xml("").replace(">7<", "><"), Missing("CreateTime"));
    refused(xml("").replace(">o1<", "><"), Missing("FromUserName"));
    refused(xml("").replace(">text<", ">event<"), Missing("Event"));
    refused(
        xml("<Event/>").replace(">text<", ">event<"),
        Missing("Event"),
    );
    read(xml("<Event>x</Event>").replace(">text<", ">event<"));
    let notice =
        "<xml><AppId>wx1</AppId><CreateTime>7</CreateTime><InfoType>authorized</InfoType></xml>";
    let push = Push::parse(notice.as_bytes()).unwrap();
    assert_eq!(
        push.kind(),
        Kind::Component {
            info_type: "authorized"
        }
    );
    assert_eq!(
        (push.app_id(), push.create_time(), push.info_type()),
        (Some("wx1"), 7, Some("authorized"))
    );
    for name in ["AppId", "CreateTime"] {
        refused(notice.replace(name, "Another"), Missing(name));
    }
    refused(notice.replace("InfoType", "Another"), Missing("ToUserName"));
}

#[test]
fn rule_13_an_event_is_compared_without_regard_to_case_and_kept_as_it_was() {
    for (event, same) in [
        ("SCAN", "scan"),
        ("Subscribe", "subscribe"),
        ("UNSUBSCRIBE", "unsubscribe"),
        ("click", "CLICK"),
    ] {
        let [push, other] = [event, same].map(|event| {
            xml(&format!("<Event>{event}</Event><EventKey>k</EventKey>"))
                .replace(">text<", ">event<")
        });
        let [push, other] = [&push, &other].map(|body| Push::parse(body.as_bytes()).unwrap());
        assert_eq!(push.event(), Some(event));
        assert_eq!(push.kind().name(), other.kind().name());
        assert!(
            push.known()
                .is_some_and(|kind| std::ptr::eq(kind, other.known().unwrap())),
            "{event}"
        );
    }
    let body = xml("<Content>c</Content>").replace(">text<", ">TEXT<");
    let push = Push::parse(body.as_bytes()).unwrap();
    assert_eq!(
        (push.kind(), push.known().is_none()),
        (Kind::OtherMessage("TEXT"), true)
    );
}

#[test]
fn rule_json_one_object_in_utf8_whose_numbers_may_be_texts() {
    read(json(""));
    read(format!("\u{feff}\n {} \n", json("")));
    refused([json("").as_bytes(), b"\xc3"].concat(), NotUtf8);
    refused(format!("[{}]", json("")), UnknownFormat);
    refused(json("") + &json(""), BROKEN);
    // Numbers or strings alike.
    let typed =
        |body: &str| serde_json::to_value(Push::parse(body.as_bytes()).unwrap().typed()).unwrap();
    assert_eq!(
        typed(&json(r#""MsgId":"23456789012345701","Idx":"1""#)),
        typed(&json(r#""MsgId":23456789012345701,"Idx":1"#))
    );
    read(json("").replace(":7,", ":\"7\","));
    let event = |list: &str| {
        json(&format!(
            r#""Event":"subscribe_msg_sent_event","List":{list}"#
        ))
        .replace("\"text\"", "\"event\"")
    };
    let item = r#"{"TemplateId":"t","MsgID":1864323726461255680,"ErrorCode":0,"PopupScene":0}"#;
    let texts =
        r#"{"TemplateId":"t","MsgID":"1864323726461255680","ErrorCode":"0","PopupScene":"0"}"#;
    assert_eq!(
        typed(&event(item))["List"][0]["MsgID"],
        typed(&event(texts))["List"][0]["MsgID"]
    );
    assert_eq!(
        typed(&event(item))["List"][0]["ErrorCode"],
        typed(&event(texts))["List"][0]["ErrorCode"]
    );
    // An object, an array, or absent.
    assert_eq!(typed(&event(item)), typed(&event(&format!("[{item}]"))));
    assert_eq!(typed(&event("[]"))["List"], json!([]));
    assert!(typed(&event("null")).get("List").is_none());
    // 64 bits do not pass through a double.
    for id in [
        "18446744073709551615",
        "9223372036854775807",
        "9007199254740993",
        "1864323726461255681123",
    ] {
        let body = json(&format!(r#""MsgId":{id},"New":{id}"#));
        let push = Push::parse(body.as_bytes()).unwrap();
        assert_eq!(push.msg_id(), Some(id));
        assert_eq!(push.field("New"), Some(id));
        assert!(
            serde_json::to_string(&push.typed())
                .unwrap()
                .ends_with(&format!(r#""MsgId":"{id}","New":{id}}}"#))
        );
    }
    // `null` is absent, unknown keys are kept.
    refused(json("").replace("\"o1\"", "null"), Missing("FromUserName"));
    let body = json(r#""MsgId":null,"New":{"a":[1,{"b":null}]}"#);
    assert_eq!(fields(&body)["New"], json!({"a": [1, {}]}));
    assert!(fields(&body).get("MsgId").is_none());
}
