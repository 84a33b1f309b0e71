use std::borrow::Cow;

use serde_json::{Map, Value, json};
use weir_protocol::push::Format;
use weir_protocol::reply::{Article, Reply};

use crate::vectors::{list, load, str};

fn text<'v>(vector: &'v Value, name: &str) -> Option<Cow<'v, str>> {
    vector[name].as_str().map(Cow::Borrowed)
}

fn reply(vector: &Value) -> Reply<'_> {
    let input = &vector["input"];
    let must = |name: &str| Cow::Borrowed(str(input, name));
    match str(vector, "type") {
        "text" => Reply::Text {
            content: must("content"),
        },
        "image" => Reply::Image {
            media_id: must("media_id"),
        },
        "voice" => Reply::Voice {
            media_id: must("media_id"),
        },
        "video" => Reply::Video {
            media_id: must("media_id"),
            title: text(input, "title"),
            description: text(input, "description"),
        },
        "music" => Reply::Music {
            title: text(input, "title"),
            description: text(input, "description"),
            music_url: text(input, "music_url"),
            hq_music_url: text(input, "hq_music_url"),
            thumb_media_id: must("thumb_media_id"),
        },
        "news" => Reply::News {
            articles: input["articles"]
                .as_array()
                .unwrap()
                .iter()
                .map(|article| Article {
                    title: str(article, "title").into(),
                    description: str(article, "description").into(),
                    pic_url: str(article, "image").into(),
                    url: str(article, "url").into(),
                })
                .collect(),
        },
        "transfer_customer_service" => Reply::TransferCustomerService {
            kf_account: text(input, "kf_account"),
        },
        other => panic!("unknown reply {other}"),
    }
}

fn encode(reply: &Reply<'_>, format: Format) -> String {
    String::from_utf8(reply.encode(
        format,
        "oAbCdEf0123456789GhIjKlMnOpQ",
        "gh_0a1b2c3d4e5f",
        1_714_112_446,
    ))
    .unwrap()
}

/// What someone else's XML parser reads, in the notation of the vectors.
fn read_xml(node: roxmltree::Node<'_, '_>) -> Value {
    if !node.children().any(|child| child.is_element()) {
        return node
            .children()
            .filter_map(|child| child.text())
            .collect::<String>()
            .into();
    }
    let mut fields = Map::new();
    for child in node.children() {
        assert!(child.is_element(), "nothing between elements");
        let (name, value) = (child.tag_name().name().to_owned(), read_xml(child));
        match fields.get_mut(&name) {
            None => drop(fields.insert(name, value)),
            Some(Value::Array(items)) => items.push(value),
            Some(first) => *first = json!([first.clone(), value]),
        }
    }
    fields.into()
}

#[test]
fn every_reply_is_read_back_by_another_xml_parser() {
    for vector in list(&load("replies.json"), "replies") {
        let body = encode(&reply(&vector), Format::Xml);
        assert!(
            body.starts_with("<xml>") && body.ends_with("</xml>"),
            "{}",
            vector["id"]
        );
        let document =
            roxmltree::Document::parse(&body).unwrap_or_else(|e| panic!("{}: {e}", vector["id"]));
        assert_eq!(
            read_xml(document.root_element()),
            vector["expect_fields"],
            "{}",
            vector["id"]
        );
    }
}

#[test]
fn every_reply_has_the_same_fields_in_json() {
    for vector in list(&load("replies.json"), "replies") {
        let mut expected = vector["expect_fields"].clone();
        expected["CreateTime"] = json!(1_714_112_446);
        if let Some(count) = expected.get("ArticleCount").and_then(Value::as_str) {
            expected["ArticleCount"] = json!(count.parse::<u64>().unwrap());
            let items = expected["Articles"]["item"].take();
            expected["Articles"] = if items.is_array() {
                items
            } else {
                json!([items])
            };
        }
        let body = encode(&reply(&vector), Format::Json);
        assert_eq!(
            serde_json::from_str::<Value>(&body).unwrap(),
            expected,
            "{}",
            vector["id"]
        );
    }
}

#[test]
fn no_reply_is_success_or_nothing_and_never_encrypted() {
    for format in [Format::Xml, Format::Json] {
        for (reply, body) in [(Reply::None, "success"), (Reply::Empty, "")] {
            assert_eq!(encode(&reply, format), body);
            assert!(reply.is_silent());
        }
    }
}

#[test]
fn what_would_show_the_user_a_fault_notice_is_sent_as_success() {
    let news = Reply::News {
        articles: Cow::Borrowed(&[]),
    };
    for reply in [
        Reply::Text { content: "".into() },
        Reply::Text {
            content: "\u{1}\u{ffff}".into(),
        },
        Reply::Text {
            content: "\0 \n".into(),
        },
        Reply::Text {
            content: (" ".repeat(2048) + "too late").into(),
        },
        news,
    ] {
        assert_eq!(encode(&reply, Format::Xml), "success");
        assert!(reply.is_silent());
    }
}

/// Every kind of reply, with something in it.
fn all(text: &'static str) -> Vec<Reply<'static>> {
    let some = || Some(Cow::Borrowed(text));
    vec![
        Reply::Text {
            content: text.into(),
        },
        Reply::Image {
            media_id: text.into(),
        },
        Reply::Voice {
            media_id: text.into(),
        },
        Reply::Video {
            media_id: text.into(),
            title: some(),
            description: some(),
        },
        Reply::Music {
            title: some(),
            description: some(),
            music_url: some(),
            hq_music_url: some(),
            thumb_media_id: text.into(),
        },
        Reply::News {
            articles: vec![Article {
                title: text.into(),
                description: text.into(),
                pic_url: text.into(),
                url: text.into(),
            }]
            .into(),
        },
        Reply::TransferCustomerService { kf_account: some() },
    ]
}

/// What WeChat's pages show: no declaration, nothing between elements, texts in CDATA, numbers bare.
#[test]
fn a_reply_looks_as_wechats_own_samples_do() {
    for reply in all("x") {
        let body = encode(&reply, Format::Xml);
        let kind = reply.msg_type().unwrap();
        let head = format!(
            "<xml><ToUserName><![CDATA[oAbCdEf0123456789GhIjKlMnOpQ]]></ToUserName><FromUserName><![CDATA[gh_0a1b2c3d4e5f]]></FromUserName><CreateTime>1714112446</CreateTime><MsgType><![CDATA[{kind}]]></MsgType>"
        );
        let rest = body.strip_prefix(&head).unwrap_or_else(|| panic!("{body}"));
        let rest = rest
            .strip_suffix("</xml>")
            .unwrap_or_else(|| panic!("{body}"));
        let rest = rest.replace("<![CDATA[x]]>", "");
        let rest = rest.replace("<ArticleCount>1</ArticleCount>", "");
        assert!(!rest.contains(['x', '1', ' ', '\n', '!']), "{rest}");
    }
    let music = encode(&all("x")[4], Format::Xml);
    assert!(
        music.contains("<MusicUrl>") && music.contains("<HQMusicUrl>"),
        "{music}"
    );
}

/// The official example.
#[test]
fn a_reply_in_json_has_the_same_keys_a_number_for_the_time_and_raw_utf8() {
    let body = encode(
        &Reply::Text {
            content: "你好😀".into(),
        },
        Format::Json,
    );
    assert_eq!(
        body,
        r#"{"ToUserName":"oAbCdEf0123456789GhIjKlMnOpQ","FromUserName":"gh_0a1b2c3d4e5f","CreateTime":1714112446,"MsgType":"text","Content":"你好😀"}"#
    );
}

#[test]
fn what_has_no_media_is_no_reply() {
    for blank in ["", " \n", "\u{1}\u{fffe}"] {
        for reply in all(blank) {
            let expected = match reply.msg_type() {
                Some("news" | "transfer_customer_service") => continue,
                _ => "success",
            };
            assert!(reply.is_silent(), "{reply:?}");
            assert_eq!(encode(&reply, Format::Xml), expected, "{reply:?}");
            assert_eq!(encode(&reply, Format::Json), expected, "{reply:?}");
        }
    }
    assert!(all("x").iter().all(|reply| !reply.is_silent()));
}

#[test]
fn markup_of_texts_goes_out_as_it_is() {
    for content in [
        "<a href=\"https://example.com/?a=1&b=2\">here</a>",
        "<a href=\"http://fallback\" data-miniprogram-appid=\"wx1\" data-miniprogram-path=\"pages/index?x=1\">go</a>",
        "<a href=\"weixin://bizmsgmenu?msgmenucontent=yes&msgmenuid=7\">yes</a>",
        "first\nsecond\r\n\tthird",
        "/:ok /::)",
    ] {
        let reply = Reply::Text {
            content: content.into(),
        };
        let xml = encode(&reply, Format::Xml);
        assert!(
            xml.contains(&format!("<Content><![CDATA[{content}]]></Content>")),
            "{xml}"
        );
        let json: Value = serde_json::from_str(&encode(&reply, Format::Json)).unwrap();
        assert_eq!(json["Content"], content);
    }
}

#[test]
fn every_character_that_xml_forbids_is_left_out_everywhere_and_no_other() {
    let forbidden = |char: char| matches!(char, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    let odd: Vec<char> = ('\0'..='\u{ff}')
        .chain('\u{d700}'..='\u{e0ff}')
        .chain('\u{fd00}'..='\u{1000f}')
        .chain(['\u{1fffe}', '\u{1ffff}', '\u{10ffff}'])
        .collect();
    for char in odd {
        let text: &'static str = format!("a{char}b").leak();
        let expected = if forbidden(char) { "ab" } else { text };
        for reply in all(text) {
            let json = encode(&reply, Format::Json);
            let json: Value =
                serde_json::from_str(&json).unwrap_or_else(|e| panic!("{char:?}: {e}"));
            let mut open = vec![json];
            let mut seen = 0;
            while let Some(value) = open.pop() {
                match value {
                    Value::Object(fields) => {
                        open.extend(fields.into_iter().map(|(_, value)| value))
                    }
                    Value::Array(items) => open.extend(items),
                    Value::String(text) if text.starts_with('a') => {
                        assert_eq!(text, expected, "{char:?}");
                        seen += 1;
                    }
                    _ => {}
                }
            }
            assert!(seen > 0, "{reply:?}");
            let xml = encode(&reply, Format::Xml);
            assert!(roxmltree::Document::parse(&xml).is_ok(), "{char:?}: {xml}");
            assert_eq!(xml.contains(char), !forbidden(char), "{char:?}: {xml}");
        }
    }
}

#[test]
fn the_end_of_a_section_may_be_where_a_text_is_cut() {
    for before in 2040..=2049 {
        let content = "a".repeat(before) + "]]>" + &"b".repeat(9);
        let reply = Reply::Text {
            content: content.as_str().into(),
        };
        let body = encode(&reply, Format::Xml);
        let document = roxmltree::Document::parse(&body).unwrap();
        assert_eq!(
            read_xml(document.root_element())["Content"],
            content[..2048],
            "{before}"
        );
    }
}

#[test]
fn a_text_is_cut_at_2048_bytes_between_two_characters() {
    let content = |text: String| {
        let body = encode(
            &Reply::Text {
                content: text.into(),
            },
            Format::Json,
        );
        serde_json::from_str::<Value>(&body).unwrap()["Content"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    for limit in list(&load("replies.json"), "limits") {
        match (str(&limit, "id"), limit["content"].as_str()) {
            ("text-2048-bytes", _) => assert_eq!(content("a".repeat(2048)), "a".repeat(2048)),
            ("text-2049-bytes", _) => assert_eq!(content("a".repeat(2049)), "a".repeat(2048)),
            ("text-683-han", Some(han)) => assert_eq!(content(han.to_owned()), "字".repeat(682)),
            ("text-empty", Some("")) => {} // above
            (other, _) => panic!("{other}"),
        }
    }
    assert_eq!(
        content("a".to_owned() + &"😀".repeat(600)),
        "a".to_owned() + &"😀".repeat(511)
    );
    assert_eq!(
        content("\u{1}".repeat(100) + &"b".repeat(2048)),
        "b".repeat(2048)
    );
}

#[test]
fn no_character_that_xml_forbids_is_sent_and_none_can_end_a_section() {
    let content = "a\u{0}b]\u{1}]\u{2}>c\u{fffe}\u{ffff}d]]\u{b}>，\t\r\n";
    let body = encode(
        &Reply::Text {
            content: content.into(),
        },
        Format::Xml,
    );
    let document = roxmltree::Document::parse(&body).unwrap();
    // XML parsers turn \r\n into \n.
    assert_eq!(
        read_xml(document.root_element())["Content"],
        "ab]]>cd]]>，\t\n"
    );
    let body = encode(
        &Reply::Text {
            content: content.into(),
        },
        Format::Json,
    );
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap()["Content"],
        "ab]]>cd]]>，\t\r\n"
    );
}

#[test]
fn at_most_eight_articles_are_sent() {
    let article = Article {
        title: "T".into(),
        description: "".into(),
        pic_url: "".into(),
        url: "u".into(),
    };
    let reply = Reply::News {
        articles: vec![article; 9].into(),
    };
    let body: Value = serde_json::from_str(&encode(&reply, Format::Json)).unwrap();
    assert_eq!(body["ArticleCount"], 8);
    assert_eq!(body["Articles"].as_array().unwrap().len(), 8);
}

#[test]
fn debug_shows_the_kind_only() {
    assert_eq!(
        format!(
            "{:?}",
            Reply::Text {
                content: "secret".into()
            }
        ),
        "Reply(text)"
    );
    assert_eq!(
        format!("{:?} {:?}", Reply::None, Reply::Empty),
        "Reply(success) Reply(empty)"
    );
}
