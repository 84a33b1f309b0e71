//! What holds for every input, tried on random ones.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::Value;
use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::api::{TokenAnswer, check, parse_user_batch};
use weir_protocol::cipher::{decrypt, encrypt};
use weir_protocol::envelope::Envelope;
use weir_protocol::error::ParseError;
use weir_protocol::push::{Format, Push};
use weir_protocol::query::CallbackQuery;
use weir_protocol::reply::Reply;
use weir_protocol::signature::{Token, verify_encrypted};
use weir_protocol::{fields, open_data};

use crate::vectors::folder;

fn key() -> EncodingAesKey {
    EncodingAesKey::parse("eSd7q1YbuOdflnt5Jhd3HlPAIO255XcyPzFrdbLQqHB").unwrap()
}

/// Nothing but that it returns.
fn swallow(bytes: &[u8]) {
    if let Ok(push) = Push::parse(bytes) {
        let mut identity = Vec::new();
        push.write_identity(&mut identity);
        assert!(!identity.is_empty());
        let _ = (
            push.kind(),
            push.create_time(),
            serde_json::to_string(push.fields()).unwrap(),
        );
        let typed = serde_json::to_string(&push.typed()).unwrap();
        for (name, _) in push.fields().iter() {
            let _ = push.field(name);
            let _ = push.field(&format!("{name}.0.{name}"));
        }
        assert!(Push::parse(typed.as_bytes()).is_ok(), "{typed}");
    }
    let _ = Envelope::parse(bytes);
    let _ = (
        check(bytes).is_ok(),
        TokenAnswer::parse(bytes).is_ok(),
        parse_user_batch(bytes).is_ok(),
    );
    let text = String::from_utf8_lossy(bytes);
    let _ = CallbackQuery::parse(&text).map(|query| query.stamp().is_ok());
    let _ = (
        EncodingAesKey::parse(&text).is_ok(),
        Token::parse(&text).is_ok(),
    );
    let _ = decrypt(&key(), &text, "wx1");
    let _ = open_data::decrypt(
        "tiihtNczf5v6AKRyjwEUhQ==",
        "r7BXXKkLb8qrSNn05n0qiA==",
        &text,
        "wx1",
    );
    let _ = open_data::decrypt(&text, &text, &text, &text);
}

/// Pieces of XML that mostly fit together.
fn xml_soup() -> impl Strategy<Value = String> {
    let whole = prop::sample::select(vec![
        "<a/>",
        "<b x='1'/>",
        "<c>w0rd</c>",
        "<c></c>",
        "<c>two words</c>",
        "<c><![CDATA[ y]] ]]></c>",
        "<c><![CDATA[much, more than sixty four bytes of text 你好 with a ] in it, and another ]] here]]></c>",
        "&amp;",
        "&lt;",
        "&#65;",
        "&#x1F600;",
        "&#32;",
        "text",
        "你",
        " ",
        "\n",
        "\t",
        "]]",
        "<!-- c -->",
        "<?pi x?>",
        "<![CDATA[ x ]]>",
        "<![CDATA[]]>",
        "<![CDATA[]]]]><![CDATA[>]]>",
    ]);
    let broken = prop::sample::select(vec![
        "<a>",
        "</a>",
        "<b>",
        "</b>",
        "<![CDATA[",
        "]]>",
        ">",
        "&",
        ";",
        "&x;",
        "<!--",
        "-->",
        "<",
        "</",
        "/>",
        "<!",
    ]);
    let piece = prop_oneof![30 => whole, 1 => broken].prop_map(str::to_owned);
    piece.prop_recursive(4, 24, 6, |inner| {
        (vec(inner, 0..6), prop::sample::select(vec!["", "a", "b"])).prop_map(|(pieces, name)| {
            if name.is_empty() {
                pieces.concat()
            } else {
                format!("<{name}>{}</{name}>", pieces.concat())
            }
        })
    })
}

/// Pieces of JSON that fit together now and then.
fn json_soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\":",
        "\"",
        "\\",
        "\\n",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\ud83d",
        "0",
        "1",
        "-",
        "12",
        ".",
        "5",
        "e",
        "E+1",
        "true",
        "false",
        "null",
        " ",
        "\n",
        "你",
        "{}",
        "[]",
        "\"x\":1",
        "\"y\":[2]",
    ]);
    vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

fn xml_push(inner: &str) -> String {
    format!(
        "<xml><ToUserName>a</ToUserName><FromUserName>b</FromUserName><CreateTime>1</CreateTime><MsgType>c</MsgType><X>{inner}</X></xml>"
    )
}

fn json_push(inner: &str) -> String {
    format!(r#"{{"ToUserName":"a","FromUserName":"b","CreateTime":1,"MsgType":"c","X":{inner}}}"#)
}

/// The profile over the tree of another XML parser: slow and plain.
fn model(node: roxmltree::Node<'_, '_>) -> Value {
    let children: Vec<_> = node.children().filter(|child| child.is_element()).collect();
    if children.is_empty() {
        let text: String = node
            .children()
            .filter_map(|child| child.text().filter(|_| child.is_text()))
            .collect();
        return Value::String(text);
    }
    let mut fields = serde_json::Map::new();
    for child in children {
        let (name, value) = (child.tag_name().name().to_owned(), model(child));
        match fields.get_mut(&name) {
            None => drop(fields.insert(name, value)),
            Some(Value::Array(items)) => items.push(value),
            Some(first) => *first = Value::Array(vec![first.clone(), value]),
        }
    }
    Value::Object(fields)
}

/// Leaves without the blanks that the model, which cannot tell text from CDATA, keeps.
fn trimmed(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.split_ascii_whitespace().collect()),
        Value::Array(items) => items.into_iter().map(trimmed).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, trimmed(value)))
            .collect(),
        other => other,
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(
                any::<String>().prop_map(|name| name.chars().take(20).collect()),
                inner,
                0..6
            )
            .prop_map(|fields: std::collections::BTreeMap<String, Value>| {
                Value::Object(fields.into_iter().collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..600)) {
        swallow(&bytes);
    }

    #[test]
    fn no_soup_makes_it_panic(xml in xml_soup(), json in json_soup()) {
        for body in [&xml, &json, &xml_push(&xml), &json_push(&json), &format!("<{xml}"), &format!("{{{json}")] {
            swallow(body.as_bytes());
        }
    }

    #[test]
    fn no_damage_to_a_sample_makes_it_panic(which: prop::sample::Index, at: prop::sample::Index, cut in 0..8usize, put in vec(any::<u8>(), 0..6)) {
        let mut files: Vec<_> = std::fs::read_dir(folder().join("callbacks")).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let mut body = std::fs::read(&files[which.index(files.len())]).unwrap();
        let start = at.index(body.len());
        let end = body.len().min(start + cut);
        body.splice(start..end, put);
        swallow(&body);
    }

    #[test]
    fn xml_is_accepted_when_another_parser_accepts_it_and_read_alike(soup in xml_soup()) {
        let body = xml_push(&soup);
        let ours = Push::parse(body.as_bytes());
        let theirs = roxmltree::Document::parse(&body);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}: {:?} {:?}", soup, ours.err(), theirs.err());
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            let ours = serde_json::to_value(ours.fields()).unwrap();
            prop_assert_eq!(trimmed(ours), trimmed(model(theirs.root_element())), "{}", soup);
        }
    }

    #[test]
    fn json_is_accepted_exactly_when_serde_json_accepts_it(soup in json_soup()) {
        let body = json_push(&soup);
        let ours = Push::parse(body.as_bytes()).map(|_| ());
        let theirs = serde_json::from_str::<Value>(&body).map(|_| ());
        let routing = matches!(ours, Err(ParseError::Missing(_) | ParseError::Duplicate(_)));
        prop_assert_eq!(ours.is_ok() || routing, theirs.is_ok(), "{}: {:?} {:?}", soup, ours, theirs);
    }

    #[test]
    fn json_values_are_read_as_serde_json_reads_them(value in json_value(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        prop_assume!(text.len() < 4000);
        let body = json_push(&text);
        match Push::parse(body.as_bytes()) {
            Ok(push) => prop_assert_eq!(serde_json::to_value(push.fields()).unwrap()["X"].take(), value),
            Err(error) => prop_assert!(false, "{}: {}", text, error),
        }
    }

    #[test]
    fn what_is_encrypted_is_decrypted(msg in vec(any::<u8>(), 0..300), id in "[a-z0-9_]{0,40}", random: [u8; 16]) {
        let encrypted = encrypt(&key(), &msg, &id, &random);
        prop_assert_eq!(decrypt(&key(), &encrypted, &id), Ok(msg));
        prop_assert!(decrypt(&key(), &encrypted, "another").is_err());
    }

    #[test]
    fn a_text_reply_is_read_back_as_it_was(content in "\\PC{0,40}(\\]\\]>|[\\]>\u{0}-\u{20}\"\\\\&<你😀\u{fffd}\u{ffff}]){0,20}", json: bool) {
        let allowed: String = content.chars().filter(|c| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')).collect();
        prop_assume!(!allowed.trim().is_empty());
        let format = if json { Format::Json } else { Format::Xml };
        let body = Reply::Text { content: content.into() }.encode(format, "o1", "gh_1", 7);
        let push = Push::parse(&body).unwrap();
        prop_assert_eq!(push.fields().text("Content"), Some(allowed.as_str()));
        prop_assert_eq!((push.to_user_name(), push.from_user_name(), push.create_time()), ("o1", "gh_1", 7));
        prop_assert_eq!(push.fields().len(), 5);
    }

    #[test]
    fn a_sealed_reply_is_opened(reply in vec(any::<u8>(), 1..200), nonce in "[ -~]{1,20}", timestamp in 1_000_000_000..10_000_000_000u64, random: [u8; 16]) {
        let token = Token::parse("weixinToken1").unwrap();
        for format in [Format::Xml, Format::Json] {
            let sealed = Envelope::seal(format, &key(), &token, "wx1", &reply, timestamp, &nonce, &random);
            let envelope = Envelope::parse(&sealed).unwrap();
            // The sealed body has no routing fields; with them it can be read like a push.
            let readable = match format {
                Format::Xml => xml_push("").replace("</xml>", &String::from_utf8_lossy(&sealed)[5..]),
                Format::Json => json_push("1").replace(",\"X\":1}", &(",".to_owned() + &String::from_utf8_lossy(&sealed)[1..])),
            };
            let push = Push::parse(readable.as_bytes()).unwrap();
            let signature = push.fields().text("MsgSignature").unwrap();
            prop_assert_eq!(push.fields().text("Nonce"), Some(nonce.as_str()));
            prop_assert!(verify_encrypted(&token, &timestamp.to_string(), &nonce, &envelope.encrypt, signature));
            prop_assert_eq!(decrypt(&key(), &envelope.encrypt, "wx1"), Ok(reply.clone()));
        }
    }

    #[test]
    fn fields_written_as_json_are_read_back_as_the_same_fields(soup in json_soup()) {
        if let Ok(push) = Push::parse(json_push(&soup).as_bytes()) {
            let written = serde_json::to_string(push.fields()).unwrap();
            let again = Push::parse(written.as_bytes()).unwrap();
            prop_assert_eq!(again.fields().get("X").map(fields::Value::text), push.fields().get("X").map(fields::Value::text));
            prop_assert_eq!(again.fields(), push.fields());
        }
    }
}
