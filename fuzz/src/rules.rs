//! `rules`: a configuration's rules, a push, and what becomes of them: a decision, a reply to WeChat, an event to the
//! store.
//!
//! The input is flags, the push, then a rule a piece: see [`push`] and [`rule`]. Every reply carries the number of its rule,
//! so that a model can tell which it should have been.

use std::rc::Rc;

use serde_json::{Value, json};
use weir_engine::config::AccountId;
use weir_engine::rules::{Decision, Facts};
use weir_engine::template::Template;
use weir_protocol::push::{Format, Push};

use crate::model::{self, Expected};
use crate::pieces::Pieces;
use crate::push::REQUIRED;
use crate::worker::{self, APPID, KEY, NOW, TOKEN, Worker};

/// Longest text that users get, bytes of UTF-8.
const MAX_TEXT: usize = 2048;
/// Between texts of a rule.
const BETWEEN: char = '\u{1}';

/// The target.
///
/// # Panics
/// What must hold does not.
pub fn check(data: &[u8]) {
    let mut pieces = Pieces::new(data);
    let flags = pieces.byte();
    let has = |flag: u8| flags & flag != 0;
    let (encrypted, in_json, at_once) = (has(1), has(2), has(4));
    let body = push(&mut pieces);
    let rules: Vec<Value> = std::iter::from_fn(|| pieces.next())
        .enumerate()
        .map(|(number, piece)| rule(number, &mut Pieces::new(piece), !at_once))
        .collect();
    let document = json!({
        "accounts": [{
            "name": "demo", "path": "/", "original_id": REQUIRED[0].1, "appid": APPID,
            "mode": if encrypted { "encrypted" } else { "plain" },
            "format": if in_json { "json" } else { "xml" },
            "token_env": "TOKEN", "encoding_aes_key_env": "KEY", "app_secret_env": "SECRET", "rules": rules
        }],
        "store": {"cluster": "store", "ack": if at_once { "at_once" } else { "after_store" }},
        "wechat_api": {"cluster": "api"},
        "limits": {"dedup_slots": 16, "batch_wait_ms": 0},
    });
    let parsed = weir_config::parse(document.to_string().as_bytes(), &|name| {
        Some(if name == "KEY" { KEY } else { TOKEN }.to_owned())
    });
    let (Ok(config), Ok(push)) = (parsed, Push::parse(body.as_bytes())) else {
        return;
    };
    let facts = Facts {
        first_push: has(8),
        remark: "小明".to_owned(),
        nickname: "Ming".to_owned(),
    };

    // The decision.
    let account = config.account(AccountId(0)).expect("the account");
    let expected = model::decide(&rules, &push, &facts);
    let decide = |facts| account.rules.decide(&push, body.as_bytes(), facts);
    let decision = decide(Some(&facts)).expect("all is known");
    assert!(
        decide(Some(&facts)).as_ref() == Ok(&decision),
        "another decision"
    );
    match decide(None) {
        Ok(without) => assert!(
            without == decision && !expected.asked,
            "it should have asked"
        ),
        Err(_) => assert!(!at_once, "it asked what it cannot know"),
    }
    assert_eq!(decision.tags, expected.tags);
    check_decision(&decision, &expected, &rules, &push);

    // The way through an engine; a copy gets the same.
    let mut worker = Worker::new(Rc::new(config), facts);
    let events = [worker.push(&body, encrypted), worker.push(&body, encrypted)].map(|answered| {
        let answer = answered.body;
        if decision.reply.is_silent() {
            assert_eq!(answer, b"success");
        } else {
            let opened = if encrypted {
                worker::open(&answer, in_json)
            } else {
                answer
            };
            let format = if in_json { Format::Json } else { Format::Xml };
            let reply = read(&opened, format);
            let number = check_reply(&push, &reply, &rules);
            // A choice by weight hangs on what the engine takes for the push's identity, not on ours.
            assert_eq!(Some(number), expected.answered_by);
        }
        answered.events
    });
    check_events(&push, &events.concat());
}

fn check_decision(decision: &Decision, expected: &Expected, rules: &[Value], push: &Push<'_>) {
    if decision.reply.is_silent() {
        // A rule may say "none", or its text may come out blank.
        return;
    }
    let encoded = decision.reply.encode(
        Format::Json,
        push.from_user_name(),
        push.to_user_name(),
        NOW,
    );
    let number = check_reply(push, &read(&encoded, Format::Json), rules);
    assert_eq!(Some(number), expected.answered_by, "another rule's reply");
}

/// A push: kind, key and text from the input.
fn push(pieces: &mut Pieces<'_>) -> String {
    let (kind, hour, text) = (pieces.byte(), pieces.byte(), pieces.text());
    let [to, from, ..] = REQUIRED;
    let time = NOW - u64::from(hour) * 3_607;
    let mut push =
        json!({to.0: to.1, from.0: from.1, "CreateTime": time, "Label": {"A": [&*text, 7]}});
    let (msg_type, event) = match kind % 8 {
        0..=2 => ("text", None),
        3 => ("image", None),
        4 => ("event", Some("subscribe")),
        5 => ("event", Some("SCAN")),
        6 => ("event", Some("CLICK")),
        _ => ("event", Some("x")),
    };
    push["MsgType"] = msg_type.into();
    if let Some(event) = event {
        push["Event"] = event.into();
        push["EventKey"] = if event == "subscribe" {
            format!("qrscene_{text}").into()
        } else {
            (&*text).into()
        };
    } else {
        push["Content"] = (&*text).into();
        push["MsgId"] = 24_000_000_000_000_001_u64.into();
    }
    push.to_string()
}

/// A rule: a byte for the condition, one for the answer, one for the rest; then words and the reply's text.
fn rule(number: usize, pieces: &mut Pieces<'_>, knows_users: bool) -> Value {
    let (condition, answer, more) = (pieces.byte(), pieces.byte(), pieces.byte());
    let texts = pieces.text();
    let mut texts: Vec<&str> = texts.split(BETWEEN).collect();
    let template = if texts.len() > 1 {
        texts.pop().unwrap_or_default()
    } else {
        "yes"
    };
    for text in &mut texts {
        if text.trim().is_empty() {
            *text = "x";
        }
    }
    let one = texts[0];
    let mut when = match condition % 18 {
        0 => json!({}),
        1 => json!({"message": texts}),
        2 => json!({"message": ["text", one]}),
        3 => json!({"event": texts}),
        4 => json!({"event": ["subscribe", "scan", one]}),
        5 => json!({"keyword": texts}),
        6 => json!({"keyword": {"prefix": texts}}),
        7 => json!({"keyword": {"contains": texts}}),
        8 => json!({"keyword": {"exact": one, "contains": texts}, "message": "text"}),
        9 => json!({"pattern": texts}),
        10 => json!({"pattern": one, "keyword": {"contains": texts}}),
        11 => json!({"event_key": texts}),
        12 => json!({"event_key": {"prefix": texts}}),
        13 => json!({"event_key": one, "event": "click"}),
        14 => json!({"scene": texts}),
        15 => json!({"scene": {"prefix": one}, "event": "subscribe"}),
        16 => json!({"field": {"Label.A": one}}),
        _ => json!({"field": {"Label.A": one, "MsgType": "event"}, "event": "*"}),
    };
    if more & 1 == 1 {
        when["time"] = match condition >> 5 & 3 {
            0 => json!({"from": "08:00", "to": "20:00"}),
            1 => json!({"from": "22:00", "to": "06:00", "days": ["fri", "sat"]}),
            2 => json!({"to": "12:30"}),
            _ => json!({"days": ["mon", "thu"]}),
        };
    }
    if more & 2 == 2 {
        when["share"] = (u32::from(more & 4) * 25).into();
    }
    if more & 8 == 8 && knows_users {
        when["first_push"] = (more & 4 == 4).into();
    }
    let mut rule = json!({"when": when});
    if more & 16 == 16 {
        rule["continue"] = true.into();
    }
    if more & 32 == 32 {
        rule["tag"] = json!([1 + u32::from(answer >> 4), 2]);
    }
    if let Some(reply) = reply(number, answer, template) {
        rule["reply"] = reply;
    }
    rule
}

/// A reply of some type, marked with the number of its rule.
fn reply(number: usize, answer: u8, template: &str) -> Option<Value> {
    let marked = format!("{number}:{template}");
    let names_users = ["{remark}", "{nickname}", "{name}"];
    let usable = Template::parse(&marked).is_ok_and(|template| !template.asks_facts());
    let text = if usable && marked.len() <= MAX_TEXT {
        marked
    } else if answer & 128 == 0 {
        format!("{number}:{{push.Label.A}}{{content}}{{scene}}{{event_key}}")
    } else {
        // Only where the store is asked; elsewhere the configuration is refused, rightly.
        format!("{number}:{}", names_users[usize::from(answer) % 3])
    };
    let media = number.to_string();
    Some(match answer % 12 {
        0 => return None,
        1 => json!("none"),
        2..=4 => json!({"text": text}),
        5 => json!({"image": media}),
        6 => json!({"voice": media}),
        7 => json!({"video": {"media_id": media, "title": text}}),
        8 => json!({"music": {"thumb_media_id": media, "title": text, "music_url": text}}),
        9 => {
            json!({"news": [{"title": text, "description": text, "url": "https://example.com/{content}"}]})
        }
        10 => json!({"transfer_customer_service": {"kf_account": format!("{number}@a")}}),
        _ => json!({"one_of": [{"text": text, "weight": 3}, {"image": media}]}),
    })
}

/// A reply as an outsider reads it.
fn read(reply: &[u8], format: Format) -> Value {
    let text = std::str::from_utf8(reply).expect("UTF-8");
    match format {
        Format::Xml => xml(roxmltree::Document::parse(text)
            .expect("XML")
            .root_element()),
        Format::Json => serde_json::from_str(text).expect("JSON"),
    }
}

/// A reply is to the one who wrote, from the account, of now, and has what its type must have. The number of its rule.
fn check_reply(push: &Push<'_>, reply: &Value, rules: &[Value]) -> usize {
    let text = |name: &str| reply[name].as_str().unwrap_or_default();
    assert_eq!(text("ToUserName"), push.from_user_name());
    assert_eq!(text("FromUserName"), push.to_user_name());
    let number = |name: &str| match &reply[name] {
        Value::String(digits) => digits.parse().ok(),
        other => other.as_u64(),
    };
    assert_eq!(number("CreateTime"), Some(NOW));
    let inner =
        |outer: &str, name: &str| reply[outer][name].as_str().unwrap_or_default().to_owned();
    let marked = match text("MsgType") {
        "text" => {
            let content = text("Content");
            assert!(
                (1..=MAX_TEXT).contains(&content.len()),
                "{} bytes",
                content.len()
            );
            assert!(!content.trim().is_empty(), "a blank text");
            content.to_owned()
        }
        "image" => inner("Image", "MediaId"),
        "voice" => inner("Voice", "MediaId"),
        "video" => inner("Video", "MediaId"),
        "music" => inner("Music", "ThumbMediaId"),
        "news" => {
            let articles = match &reply["Articles"] {
                Value::Array(articles) => articles.clone(),
                wrapped => match &wrapped["item"] {
                    Value::Array(items) => items.clone(),
                    one => vec![one.clone()],
                },
            };
            assert_eq!(number("ArticleCount"), Some(articles.len() as u64));
            assert!((1..=8).contains(&articles.len()));
            for article in &articles {
                for name in ["Title", "Description", "PicUrl", "Url"] {
                    assert!(article[name].is_string(), "an article without {name}");
                }
            }
            articles[0]["Title"].as_str().unwrap_or_default().to_owned()
        }
        "transfer_customer_service" => inner("TransInfo", "KfAccount"),
        other => panic!("no rule says to send {other:?}"),
    };
    let digits = marked.split([':', '@']).next().unwrap_or_default();
    let number: usize = digits.parse().expect("the number of a rule");
    check_text(&marked, &rules[number]["reply"]["text"], push);
    number
}

/// A text without placeholders is sent as it is, less what XML cannot hold and what is too long.
fn check_text(sent: &str, template: &Value, push: &Push<'_>) {
    let Some(template) = template.as_str() else {
        return;
    };
    let expected = match template.strip_suffix("{openid}") {
        Some(before) => format!("{before}{}", push.openid()),
        None => template.to_owned(),
    };
    if expected.contains(['{', '}']) {
        return;
    }
    let is_kept = |char: &char| {
        !char.is_control() || matches!(char, '\t' | '\r' | '\n' | '\u{7f}'..='\u{9f}')
    };
    let kept: String = expected
        .chars()
        .filter(|char| is_kept(char) && !matches!(char, '\u{fffe}' | '\u{ffff}'))
        .collect();
    // XML has one kind of line end, for its readers.
    let lines = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
    assert!(lines(&kept).starts_with(&lines(sent)), "another text");
    assert!(
        kept.len() == sent.len() || kept.len() > MAX_TEXT || kept.contains('\r'),
        "a cut text"
    );
}

/// The store gets one event of a push and its copy, and all of the push is in it.
fn check_events(push: &Push<'_>, events: &[Value]) {
    let [event, copies @ ..] = events else {
        panic!("no event");
    };
    // Where the store has to be asked, it is asked for the copy too, about the same event.
    assert!(copies.len() <= 1 && copies.iter().all(|copy| copy["id"] == event["id"]));
    for name in ["id", "source", "type", "time"] {
        assert!(
            event[name].as_str().is_some_and(|text| !text.is_empty()),
            "{name}"
        );
    }
    assert_eq!(event["source"], "/accounts/demo");
    assert_eq!(event["subject"], push.openid());
    let typed = serde_json::to_value(push.typed()).expect("fields can be written");
    assert_eq!(event["data"]["push"], typed);
}

/// An element as JSON, repeated children as a list.
fn xml(element: roxmltree::Node<'_, '_>) -> Value {
    let mut object = serde_json::Map::new();
    for child in element.children().filter(roxmltree::Node::is_element) {
        let value = xml(child);
        match object.get_mut(child.tag_name().name()) {
            None => {
                object.insert(child.tag_name().name().to_owned(), value);
            }
            Some(Value::Array(items)) => items.push(value),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    if object.is_empty() {
        let texts = element.children().filter_map(|child| child.text());
        Value::String(texts.collect())
    } else {
        Value::Object(object)
    }
}
