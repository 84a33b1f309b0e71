//! What rules mean: the document's words, one rule after the other, without an index, without haste.

use std::collections::HashSet;

use serde_json::Value;
use weir_engine::rules::Facts;
use weir_protocol::push::Push;

/// What should be decided.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The number of the rule whose reply is sent.
    pub(crate) answered_by: Option<usize>,
    pub(crate) tags: Vec<u32>,
    /// It hung on what the store knows of the user.
    pub(crate) asked: bool,
}

/// What the rules should decide about a push.
pub(crate) fn decide(rules: &[Value], push: &Push<'_>, facts: &Facts) -> Expected {
    let subject = Subject::of(push);
    let mut expected = Expected::default();
    if push.kind().name() == "component" {
        return expected;
    }
    for (number, rule) in rules.iter().enumerate() {
        if !subject.fits(&rule["when"]) {
            continue;
        }
        if let Some(first) = rule["when"]["first_push"].as_bool() {
            expected.asked = true;
            if first != facts.first_push {
                continue;
            }
        }
        for tag in words(&rule["tag"]) {
            let tag = tag.parse().expect("a tag is a number");
            if !expected.tags.contains(&tag) {
                expected.tags.push(tag);
            }
        }
        if !rule["reply"].is_null() && expected.answered_by.is_none() {
            expected.answered_by = Some(number);
        }
        if rule["continue"] != true {
            break;
        }
    }
    expected
}

/// A push, as conditions see it.
struct Subject {
    msg_type: String,
    /// In lower case; none in a message.
    event: Option<String>,
    event_key: String,
    scene: String,
    /// What the user wrote, in lower case and without blanks around it; none unless it is a text.
    text: Option<String>,
    fields: Value,
    create_time: u64,
}

impl Subject {
    fn of(push: &Push<'_>) -> Self {
        let fields = serde_json::to_value(push.fields()).expect("fields can be written");
        let msg_type = text_of(&fields["MsgType"]);
        let event = (msg_type == "event").then(|| text_of(&fields["Event"]).to_ascii_lowercase());
        let event_key = text_of(&fields["EventKey"]);
        let scene = match event.as_deref() {
            Some("subscribe") => event_key.strip_prefix("qrscene_").unwrap_or("").to_owned(),
            Some("scan") => event_key.clone(),
            _ => String::new(),
        };
        let text = (msg_type == "text").then(|| lower(text_of(&fields["Content"]).trim()));
        Self {
            create_time: text_of(&fields["CreateTime"]).trim().parse().unwrap_or(0),
            msg_type,
            event,
            event_key,
            scene,
            text,
            fields,
        }
    }

    /// Whether everything holds but what the store knows.
    fn fits(&self, when: &Value) -> bool {
        self.is_kind(when)
            && (when["keyword"].is_null() || self.has_keyword(&when["keyword"]))
            && (when["pattern"].is_null() || self.is_like(&when["pattern"]))
            && (when["event_key"].is_null() || is_one(&self.event_key, &when["event_key"]))
            && (when["scene"].is_null() || is_one(&self.scene, &when["scene"]))
            && self.has_fields(&when["field"])
            && (when["time"].is_null() || self.is_time(&when["time"]))
            && when["share"] != 0
    }

    /// A rule is for the messages and events it names; for messages if it says nothing, for both if it asks for fields
    /// alone, for events if it asks for what only they have.
    fn is_kind(&self, when: &Value) -> bool {
        let (messages, events) = (words(&when["message"]), words(&when["event"]));
        let named =
            |names: &[String], name: &str| names.iter().any(|known| known == "*" || known == name);
        let says_nothing = messages.is_empty() && events.is_empty();
        let for_events = !when["event_key"].is_null() || !when["scene"].is_null();
        match &self.event {
            Some(_) if says_nothing => for_events || !when["field"].is_null(),
            Some(event) => {
                let events: Vec<_> = events
                    .iter()
                    .map(|name| name.to_ascii_lowercase())
                    .collect();
                named(&events, event)
            }
            None if says_nothing => !for_events,
            None => named(&messages, &self.msg_type),
        }
    }

    fn has_keyword(&self, keyword: &Value) -> bool {
        let Some(text) = &self.text else {
            return false;
        };
        let any = |words_of: &Value, fits: &dyn Fn(&str) -> bool| {
            words(words_of).iter().any(|word| fits(&lower(word.trim())))
        };
        let exact = |word: &str| text == word;
        if !keyword.is_object() {
            return any(keyword, &exact);
        }
        any(&keyword["exact"], &exact)
            || any(&keyword["prefix"], &|word| text.starts_with(word))
            || any(&keyword["contains"], &|word| text.contains(word))
    }

    fn is_like(&self, patterns: &Value) -> bool {
        let Some(text) = &self.text else {
            return false;
        };
        let text: Vec<char> = text.chars().collect();
        words(patterns).iter().any(|pattern| {
            let pattern: Vec<char> = pattern.trim().chars().collect();
            is_like(&text, &pattern)
        })
    }

    fn has_fields(&self, fields: &Value) -> bool {
        let Some(fields) = fields.as_object() else {
            return true;
        };
        fields.iter().all(|(path, expected)| {
            let mut value = &self.fields;
            for name in path.split('.') {
                value = match &value[name] {
                    Value::Array(items) => items.first().unwrap_or(&Value::Null),
                    one => one,
                };
            }
            text_of(value) == text_of(expected)
        })
    }

    fn is_time(&self, time: &Value) -> bool {
        let minute = |name: &str, absent: u64| -> u64 {
            let Some((hours, minutes)) = time[name].as_str().and_then(|text| text.split_once(':'))
            else {
                return absent;
            };
            let number = |digits: &str| digits.parse::<u64>().expect("digits");
            number(hours) * 60 + number(minutes)
        };
        let (from, to) = (minute("from", 0), minute("to", 24 * 60));
        // Every rule is told by China's clock.
        let now = self.create_time / 60 + 8 * 60;
        let minute = now % (24 * 60);
        // Went by since it began, in a day that begins with it.
        let since = (minute + 24 * 60 - from) % (24 * 60);
        let lasts = if from < to {
            to - from
        } else {
            to + 24 * 60 - from
        };
        let began = now.saturating_sub(since) / (24 * 60);
        // The first of January 1970 was a Thursday.
        let day = ["thu", "fri", "sat", "sun", "mon", "tue", "wed"][(began % 7) as usize];
        let days = &time["days"];
        since < lasts && (days.is_null() || words(days).iter().any(|known| known == day))
    }
}

/// Whether the text is one of these, or begins with one.
fn is_one(text: &str, expected: &Value) -> bool {
    match expected.get("prefix") {
        Some(prefixes) => words(prefixes)
            .iter()
            .any(|prefix| text.starts_with(prefix)),
        None => words(expected).iter().any(|exact| text == exact),
    }
}

/// `*` is any run of characters, `?` any one, `\` makes the next one plain. Each state of the pattern is tried.
fn is_like(text: &[char], pattern: &[char]) -> bool {
    let mut seen = HashSet::new();
    let mut states = vec![(0, 0)];
    while let Some((at, in_pattern)) = states.pop() {
        if !seen.insert((at, in_pattern)) {
            continue;
        }
        let rest = &text[at..];
        match &pattern[in_pattern..] {
            [] if rest.is_empty() => return true,
            [] => {}
            ['*', ..] => {
                states.push((at, in_pattern + 1));
                if !rest.is_empty() {
                    states.push((at + 1, in_pattern));
                }
            }
            ['?', ..] => {
                if !rest.is_empty() {
                    states.push((at + 1, in_pattern + 1));
                }
            }
            ['\\', plain, ..] => plain_char(*plain, rest, at, in_pattern + 2, &mut states),
            [plain, ..] => plain_char(*plain, rest, at, in_pattern + 1, &mut states),
        }
    }
    false
}

fn plain_char(
    plain: char,
    rest: &[char],
    at: usize,
    next: usize,
    states: &mut Vec<(usize, usize)>,
) {
    let lower: Vec<char> = plain.to_lowercase().collect();
    if rest.starts_with(&lower) {
        states.push((at + lower.len(), next));
    }
}

/// A value, or the values of a list, as texts; none where there is nothing.
fn words(value: &Value) -> Vec<String> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().map(text_of).collect(),
        one => vec![text_of(one)],
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(items) => items.first().map(text_of).unwrap_or_default(),
        _ => String::new(),
    }
}

fn lower(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}
