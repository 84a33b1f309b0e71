//! Reads the conditions of a rule.

use serde_json::Value;

use super::shapes;
use crate::node::Node;
use weir_engine::rules::pattern::Pattern;
use weir_engine::rules::{Anchor, Hours, Keyword, Share, Texts, When, lower};

/// Days of the week, by bit.
pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The conditions; problems of values that are of the right shape are noted.
pub(super) fn read(node: &Node<'_>) -> When {
    let words = |name: &str| -> Vec<String> {
        let Some(node) = node.at(name) else {
            return Vec::new();
        };
        let words = node.one_or_more();
        words.iter().filter_map(Node::word).collect()
    };
    let when = When {
        messages: words("message"),
        events: words("event"),
        keywords: node.at("keyword").map(|n| keywords(&n)).unwrap_or_default(),
        patterns: node.at("pattern").map(|n| patterns(&n)).unwrap_or_default(),
        event_key: node.at("event_key").and_then(|n| texts(&n)),
        scene: node.at("scene").and_then(|n| texts(&n)),
        fields: node.at("field").map(|n| fields(&n)).unwrap_or_default(),
        hours: node.at("time").map(|n| hours(&n)),
        first_push: node.value.get("first_push").and_then(Value::as_bool),
        share: node.at("share").map(|n| share(&n)),
    };
    check(node, &when);
    when
}

/// What contradicts itself would never apply: the operator meant something else.
fn check(node: &Node<'_>, when: &When) {
    let texts_only = !when.keywords.is_empty() || !when.patterns.is_empty();
    let events_only = when.event_key.is_some() || when.scene.is_some();
    if texts_only && (!when.events.is_empty() || events_only) {
        node.wrong("\"keyword\" and \"pattern\" go with text messages, not with events");
    }
    if texts_only
        && when
            .messages
            .iter()
            .any(|message| message != "text" && message != "*")
    {
        node.wrong("\"keyword\" and \"pattern\" go with the message \"text\" alone");
    }
    if events_only && !when.messages.is_empty() {
        node.wrong("\"scene\" and \"event_key\" go with events, not with messages");
    }
    let scanned = ["subscribe", "scan", "*"];
    let has_no_scene = |event: &String| !scanned.iter().any(|e| e.eq_ignore_ascii_case(event));
    if when.scene.is_some() && when.events.iter().any(has_no_scene) {
        node.wrong("\"scene\" goes with the events \"subscribe\" and \"SCAN\"");
    }
    if when.messages.iter().any(|message| message == "event") {
        node.wrong("events are chosen by \"event\"; \"*\" is any");
    }
}

/// `"word"`, a list of them, or an object of `exact`, `prefix`, `contains`.
fn keywords(node: &Node<'_>) -> Vec<Keyword> {
    let mut keywords = Vec::new();
    let mut add = |node: &Node<'_>, anchor| {
        for word in node.one_or_more().iter().filter_map(Node::word) {
            let word = lower(word.trim());
            if !word.is_empty() {
                keywords.push(Keyword { anchor, word });
            }
        }
    };
    if !node.value.is_object() {
        add(node, Anchor::Exact);
        return keywords;
    }
    for (name, anchor) in [
        ("exact", Anchor::Exact),
        ("prefix", Anchor::Prefix),
        ("contains", Anchor::Contains),
    ] {
        if let Some(node) = node.at(name) {
            add(&node, anchor);
        }
    }
    if keywords.is_empty() {
        node.wrong("expected \"exact\", \"prefix\" or \"contains\"");
    }
    keywords
}

fn patterns(node: &Node<'_>) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for node in node.one_or_more() {
        let Some(text) = node.value.as_str() else {
            continue;
        };
        match Pattern::parse(text.trim()) {
            Ok(pattern) => patterns.push(pattern),
            Err(problem) => node.wrong(problem),
        }
    }
    patterns
}

fn texts(node: &Node<'_>) -> Option<Texts> {
    let prefix = node.at("prefix");
    let (anchor, node) = match &prefix {
        Some(node) => (Anchor::Prefix, node),
        None if node.value.is_object() => return None,
        None => (Anchor::Exact, node),
    };
    let texts = node.one_or_more().iter().filter_map(Node::word).collect();
    Some(Texts { anchor, texts })
}

fn fields(node: &Node<'_>) -> Vec<(String, String)> {
    let Some(map) = node.value.as_object() else {
        return Vec::new();
    };
    map.iter()
        .filter_map(|(path, value)| Some((path.clone(), node.child(path, value).word()?)))
        .collect()
}

fn hours(node: &Node<'_>) -> Hours {
    let table = shapes::TIME.fields();
    let minute = |name| node.text(table, name).and_then(minutes).unwrap_or(0);
    let (from, to) = (minute("from"), minute("to"));
    if from == to {
        node.wrong("begins when it ends: it would never apply");
    }
    let days = node.at("days").map_or(0b111_1111, |days| {
        days.items()
            .filter_map(|day| DAYS.iter().position(|d| day.value.as_str() == Some(d)))
            .fold(0, |days, day| days | 1 << day)
    });
    let offset = node
        .text(table, "utc_offset")
        .and_then(offset_minutes)
        .unwrap_or(0);
    Hours {
        from,
        to,
        days,
        offset,
    }
}

fn share(node: &Node<'_>) -> Share {
    let hundredths = |value: Option<&Value>| {
        let percent = value.and_then(Value::as_f64).unwrap_or(0.0);
        // The shape keeps it within 0 to 100: the cast keeps every bit.
        (percent * 100.0).round().clamp(0.0, 10_000.0) as u32
    };
    let (percent, from, of) = if node.value.is_object() {
        (
            hundredths(node.value.get("percent")),
            hundredths(node.value.get("from")),
            node.text(shapes::SLICE.fields(), "of").unwrap_or_default(),
        )
    } else {
        (hundredths(Some(node.value)), 0, "")
    };
    if from + percent > 10_000 {
        node.wrong("reaches beyond 100 percent");
    }
    Share {
        of: of.to_owned(),
        from,
        to: from + percent,
    }
}

/// The minute of the day of `09:30`, up to `24:00`.
pub(super) fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let right = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
        right.then(|| digits.parse::<u32>().ok())?
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 60 + minutes)
}

/// The minutes of `+08:00`.
pub(super) fn offset_minutes(text: &str) -> Option<i64> {
    let sign = match text.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return None,
    };
    let minutes = i64::from(minutes(text.get(1..)?)?);
    (minutes < 15 * 60).then_some(sign * minutes)
}
