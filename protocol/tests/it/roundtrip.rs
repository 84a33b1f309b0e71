//! Random pushes of every known kind, written as XML and as JSON: what is read is what was written, and both give the
//! same typed JSON.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::cipher::{decrypt, encrypt};
use weir_protocol::kinds::{Area, Carrier, Field, PushKind, Shape};
use weir_protocol::push::Push;

/// One value in three notations.
#[derive(Debug, Clone)]
struct Said {
    typed: Value,
    /// What stands between the tags; of a list one for each element.
    xml: Vec<String>,
    json: String,
}

/// One field of a push or an object, in three notations.
#[derive(Debug, Clone)]
struct Written {
    name: &'static str,
    typed: Value,
    /// Elements, with their tags.
    xml: String,
    json: String,
}

/// Texts with what is special in XML, JSON and Unicode. U+0000 alone is not a character of any push.
fn text() -> impl Strategy<Value = String> {
    let odd = prop::sample::select(vec![
        "]]>",
        "]]",
        "]",
        ">",
        "<",
        "&",
        "&amp;",
        "<a>",
        "</a>",
        "<![CDATA[",
        "\"",
        "\\",
        "\\u0041",
        "'",
        "{",
        "}",
        "[",
        ",",
        " ",
        "\t",
        "\n",
        "\r\n",
        "\u{1}",
        "\u{8}",
        "\u{b}",
        "\u{1f}",
        "\u{7f}",
        "\u{85}",
        "\u{a0}",
        "\u{feff}",
        "\u{fffe}",
        "\u{ffff}",
        "😀",
        "👨‍👩‍👧",
        "你好",
        "é",
        "0",
        "-1",
        "null",
        "true",
    ]);
    let piece = prop_oneof![
        3 => odd.prop_map(str::to_owned),
        1 => "[^\u{0}]{0,8}",
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}

/// A text by entities and references instead.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn one(typed: Value, xml: String, json: String) -> Said {
    Said {
        typed,
        xml: vec![xml],
        json,
    }
}

fn text_said() -> BoxedStrategy<Said> {
    (text(), 0..3u8)
        .prop_map(|(text, how)| {
            // Blanks outside CDATA would be lost at the ends.
            let bare = text.trim_matches([' ', '\t', '\r', '\n']) == text;
            let xml = match how {
                0 if bare => escaped(&text),
                1 => format!("\n  {}\n", cdata(&text)),
                _ => cdata(&text),
            };
            one(json!(text), xml, quoted(&text))
        })
        .boxed()
}

/// A number by its literal, bare or not.
fn number_said(literal: String, typed: Value, how: u8) -> Said {
    let xml = match how % 3 {
        0 => literal.clone(),
        1 => cdata(&literal),
        _ => format!(" {literal}\n"),
    };
    let json = if how.is_multiple_of(2) {
        literal
    } else {
        quoted(&literal)
    };
    one(typed, xml, json)
}

fn said(shape: &'static Shape) -> BoxedStrategy<Said> {
    const SAFE: i64 = 1 << 53;
    match shape {
        Shape::Text => text_said(),
        Shape::Id => prop_oneof![
            (any::<u128>(), any::<u8>()).prop_map(|(id, how)| number_said(id.to_string(), json!(id.to_string()), how)),
            "[A-Za-z0-9_@|-]{1,30}".prop_map(|id| one(json!(id), cdata(&id), quoted(&id))),
        ]
        .boxed(),
        Shape::Integer | Shape::Seconds => prop_oneof![
            3 => (-SAFE..=SAFE, any::<u8>()).prop_map(|(number, how)| number_said(number.to_string(), json!(number), how)),
            1 => (SAFE + 1.., any::<u8>()).prop_map(|(number, how)| number_said(number.to_string(), json!(number.to_string()), how)),
            1 => "[a-z]{0,9}".prop_map(|text| one(json!(text), cdata(&text), quoted(&text))),
        ]
        .boxed(),
        Shape::Flag => (any::<bool>(), any::<bool>(), any::<u8>())
            .prop_map(|(set, word, how)| {
                let literal = if word { set.to_string() } else { u8::from(set).to_string() };
                number_said(literal, json!(u8::from(set)), how)
            })
            .boxed(),
        Shape::Decimal => (-180..=180i16, "[0-9]{1,6}", any::<u8>())
            .prop_map(|(whole, fraction, how)| {
                let literal = format!("{whole}.{fraction}");
                let typed = serde_json::from_str(&literal).unwrap();
                number_said(literal, typed, how)
            })
            .boxed(),
        Shape::Object(fields) => object(fields)
            .prop_map(|fields| {
                let typed: Map<_, _> = fields.iter().map(|field| (field.name.to_owned(), field.typed.clone())).collect();
                let xml = fields.iter().map(|field| field.xml.as_str()).collect();
                one(typed.into(), xml, json_object(&fields))
            })
            .boxed(),
        Shape::List(_) | Shape::Items(_) | Shape::Lifted(_) => {
            let item = shape.item().unwrap();
            (vec(said(item), 0..4), any::<bool>())
                .prop_filter("one element without anything is a list of none", |(items, _)| {
                    items.len() != 1 || !items[0].xml[0].trim_ascii().is_empty() && items[0].typed != json!("")
                })
                .prop_map(|(items, bare)| {
                    let json: Vec<_> = items.iter().map(|item| item.json.as_str()).collect();
                    let json = match json.as_slice() {
                        [one] if bare => (*one).to_owned(),
                        many => format!("[{}]", many.join(",")),
                    };
                    Said {
                        typed: items.iter().map(|item| item.typed.clone()).collect(),
                        xml: items.into_iter().flat_map(|item| item.xml).collect(),
                        json,
                    }
                })
                .boxed()
        }
    }
}

fn elements(name: &str, contents: &[String]) -> String {
    contents
        .iter()
        .map(|content| format!("<{name}>{content}</{name}>"))
        .collect()
}

fn written(field: &'static Field) -> BoxedStrategy<Written> {
    said(&field.shape)
        .prop_map(|said| {
            let xml = match &field.shape {
                Shape::Items(items) => elements(field.name, &[elements(items.wrapper, &said.xml)]),
                Shape::Lifted(items) => elements(items.wrapper, &[elements(field.name, &said.xml)]),
                Shape::List(_) if said.xml.is_empty() => elements(field.name, &[String::new()]),
                _ => elements(field.name, &said.xml),
            };
            Written {
                name: field.name,
                typed: said.typed,
                xml,
                json: said.json,
            }
        })
        .boxed()
}

/// Some of the fields, at least one, in any order.
fn object(fields: &'static [Field]) -> impl Strategy<Value = Vec<Written>> {
    let all: Vec<_> = fields.iter().map(written).collect();
    (
        all,
        vec(any::<bool>(), fields.len()),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(fields, keep, always)| {
            let always = always.index(fields.len());
            let kept = |index: usize| keep[index] || index == always;
            fields
                .into_iter()
                .enumerate()
                .filter(|(index, _)| kept(*index))
                .map(|(_, field)| field)
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
}

fn json_object(fields: &[Written]) -> String {
    let members: Vec<_> = fields
        .iter()
        .map(|field| format!("{}:{}", quoted(field.name), field.json))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// A push: the same in XML and JSON, and what it should be typed as.
#[derive(Debug, Clone)]
struct Sample {
    xml: String,
    json: String,
    typed: Value,
}

/// Its own fields, and the common ones that it may have.
fn sample(carrier: Carrier, kind: &'static PushKind) -> BoxedStrategy<Sample> {
    const ROUTING: [&str; 6] = [
        "ToUserName",
        "FromUserName",
        "CreateTime",
        "MsgType",
        "Event",
        "InfoType",
    ];
    let beside = move |field: &&'static Field| {
        !ROUTING.contains(&field.name) && kind.fields.iter().all(|own| own.name != field.name)
    };
    // A notice's AppId cannot be empty.
    let optional = |field: &&'static Field| carrier != Carrier::Component && beside(field);
    let fields: Vec<_> = kind
        .fields
        .iter()
        .chain(carrier.fields().iter().filter(optional))
        .map(written)
        .collect();
    let count = fields.len();
    let own_event = kind.fields.iter().any(|field| field.name == "Event");
    (
        fields,
        vec(any::<bool>(), count),
        0..1u64 << 53,
        "[a-zA-Z0-9_-]{1,28}",
        text(),
    )
        .prop_map(move |(fields, keep, time, user, new)| {
            let plain = |name, value: &str| Written {
                name,
                typed: json!(value),
                xml: elements(name, &[cdata(value)]),
                json: quoted(value),
            };
            let mut all = vec![Written {
                name: "CreateTime",
                typed: json!(time),
                xml: elements("CreateTime", &[time.to_string()]),
                json: time.to_string(),
            }];
            all.extend(
                fields
                    .into_iter()
                    .zip(keep)
                    .filter(|(_, keep)| *keep)
                    .map(|(field, _)| field),
            );
            match carrier {
                Carrier::Component => {
                    all.extend([plain("AppId", &user), plain("InfoType", kind.name)])
                }
                Carrier::Message => all.push(plain("MsgType", kind.name)),
                Carrier::Event => {
                    all.extend([plain("MsgType", "event"), plain("Event", kind.name)])
                }
            }
            if carrier != Carrier::Component {
                all.extend([plain("ToUserName", "gh_1"), plain("FromUserName", &user)]);
            }
            all.push(plain("NewField", &new));
            all
        })
        .prop_filter("an empty Event of a device is no Event", move |all| {
            !own_event
                || all
                    .iter()
                    .all(|field| field.name != "Event" || field.typed != json!(""))
        })
        .prop_shuffle()
        .prop_map(|all| Sample {
            xml: elements(
                "xml",
                &[all.iter().map(|field| field.xml.as_str()).collect()],
            ),
            json: json_object(&all),
            typed: all
                .iter()
                .map(|field| (field.name.to_owned(), field.typed.clone()))
                .collect::<Map<_, _>>()
                .into(),
        })
        .boxed()
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let kinds: Vec<_> = Area::ALL
        .into_iter()
        .flat_map(|area| area.kinds().iter().map(move |kind| (area.carrier(), kind)))
        .collect();
    prop::sample::select(kinds).prop_flat_map(|(carrier, kind)| sample(carrier, kind))
}

fn typed(body: &str) -> Value {
    let push = Push::parse(body.as_bytes()).unwrap_or_else(|e| panic!("{body}: {e}"));
    assert!(push.known().is_some(), "{body}");
    serde_json::to_value(push.typed()).unwrap()
}

/// The plain values of a tree, with their paths.
fn leaves(at: &str, value: &Value, found: &mut Vec<(String, String)>) {
    let below = |step: &str| {
        if at.is_empty() {
            step.to_owned()
        } else {
            format!("{at}.{step}")
        }
    };
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| leaves(&below(name), value, found)),
        Value::Array(items) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, item)| leaves(&below(&index.to_string()), item, found));
        }
        Value::String(text) => found.push((at.to_owned(), text.clone())),
        other => found.push((at.to_owned(), other.to_string())),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn a_push_is_typed_the_same_as_xml_and_as_json(sample in any_sample()) {
        prop_assert_eq!(typed(&sample.xml), sample.typed.clone(), "{}", sample.xml);
        prop_assert_eq!(typed(&sample.json), sample.typed, "{}", sample.json);
    }

    #[test]
    fn what_is_typed_already_stays_as_it_is(sample in any_sample()) {
        let once = serde_json::to_string(&sample.typed).unwrap();
        prop_assert_eq!(typed(&once), sample.typed);
    }

    #[test]
    fn every_plain_value_is_at_its_path(sample in any_sample()) {
        let mut expected = Vec::new();
        leaves("", &sample.typed, &mut expected);
        for body in [&sample.xml, &sample.json] {
            let push = Push::parse(body.as_bytes()).unwrap();
            for (path, value) in &expected {
                let found = push.field(path).unwrap_or_else(|| panic!("{path} is not in {body}"));
                // A decimal's last zeros and a flag's words are not in the tree.
                let same = found == value
                    || found.parse::<f64>().ok() == value.parse().ok()
                    || matches!((found, value.as_str()), ("true", "1") | ("false", "0"));
                prop_assert!(same, "{}: {:?} {:?}", path, found, value);
            }
        }
    }

    #[test]
    fn a_push_survives_encryption(sample in any_sample(), random: [u8; 16]) {
        let key = EncodingAesKey::parse("eSd7q1YbuOdflnt5Jhd3HlPAIO255XcyPzFrdbLQqHB").unwrap();
        let opened = decrypt(&key, &encrypt(&key, sample.json.as_bytes(), "wx1", &random), "wx1").unwrap();
        prop_assert_eq!(typed(std::str::from_utf8(&opened).unwrap()), sample.typed);
    }
}
