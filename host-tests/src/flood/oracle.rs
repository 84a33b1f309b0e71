//! Says of a bent request whether it might be right after all.
//!
//! It is a reading of the rules with other tools than the plugin's: `form_urlencoded`, `serde_json`, `roxmltree`, and the
//! simulator's signature and cipher. In doubt it says yes, and the request is not sent: the plugin takes a little more
//! than XML allows, which is written down in `weir_protocol::push` and tested there.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Error, Node};
use serde_json::Value;
use weir_sim::wechat::cipher::{self, Undecryptable};
use weir_sim::wechat::signature::sign;
use weir_sim::wechat::{Account, Mode};

use super::draft::Draft;
use super::samples::Sample;

/// How old a push may be, seconds, with some room for clocks.
const FRESH_S: i64 = 360;
/// Largest body, bytes.
const MAX_BODY: usize = 262_144;
/// Deepest nesting.
const MAX_DEPTH: usize = 32;
/// Most elements or values.
const MAX_VALUES: usize = 8_192;
/// Most names in one object.
const MAX_NAMES: usize = 256;
/// Longest name, bytes.
const MAX_NAME_BYTES: usize = 128;
/// Longest query, bytes.
const MAX_QUERY: usize = 4_096;
/// Parameters that may be there once.
const PARAMETERS: [&str; 7] = [
    "signature",
    "msg_signature",
    "timestamp",
    "nonce",
    "echostr",
    "encrypt_type",
    "openid",
];
/// Fields that may be there once, and plain.
const ROUTING: [&str; 7] = [
    "ToUserName",
    "FromUserName",
    "CreateTime",
    "MsgType",
    "MsgId",
    "Event",
    "InfoType",
];

/// Whether the plugin might be right to acknowledge it.
pub(super) fn might_be_right(sample: &Sample, draft: &Draft, now_s: i64) -> bool {
    if draft.withheld > 0 || draft.body.len() > MAX_BODY {
        return false;
    }
    let query = Query(form_urlencoded::parse(draft.query.as_bytes()).collect());
    let twice = |name: &&str| query.values(name).nth(1).is_some();
    if draft.query.len() > MAX_QUERY || PARAMETERS.iter().any(twice) {
        return false;
    }
    let token = sample.account.token.as_str();
    let stamps: Vec<(&str, &str)> = query
        .values("timestamp")
        .filter(|timestamp| is_fresh(timestamp, now_s))
        .flat_map(|timestamp| query.values("nonce").map(move |nonce| (timestamp, nonce)))
        .filter(|(_, nonce)| (1..=64).contains(&nonce.len()))
        .collect();
    let is_signed = |name: &str, more: &[&str]| {
        stamps.iter().any(|(timestamp, nonce)| {
            let expected = sign(&[&[token, timestamp, nonce], more].concat());
            query.values(name).any(|given| given == expected)
        })
    };
    if draft.body.is_empty() {
        // A verification, or nothing.
        let echo = query
            .values("echostr")
            .any(|echo| (1..=128).contains(&echo.len()));
        return draft.method == "GET" && is_signed("signature", &[]) && echo;
    }
    if sample.variant.mode == Mode::Plain {
        let plain = query.values("encrypt_type").all(|kind| kind == "raw");
        return plain
            && is_signed("signature", &[])
            && might_be_a_push(&draft.body, &sample.account);
    }
    if !query.values("encrypt_type").any(|kind| kind == "aes") {
        return false;
    }
    let Some(candidates) = texts(&draft.body, "Encrypt") else {
        return true;
    };
    candidates.iter().any(|encrypt| {
        is_signed("msg_signature", &[encrypt])
            && match cipher::decrypt(&sample.key, encrypt, &sample.account.appid) {
                Ok(push) => might_be_a_push(&push, &sample.account),
                // The simulator is strict about whole double blocks.
                Err(Undecryptable::Length) => STANDARD
                    .decode(encrypt)
                    .is_ok_and(|sealed| !sealed.is_empty() && sealed.len() % 16 == 0),
                Err(_) => false,
            }
    })
}

/// The pairs of a query, as another decoder has them.
struct Query<'q>(Vec<(Cow<'q, str>, Cow<'q, str>)>);

impl Query<'_> {
    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| &**value)
    }
}

fn is_fresh(timestamp: &str, now_s: i64) -> bool {
    let digits = timestamp.len() == 10 && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = timestamp.parse::<i64>();
    digits && seconds.is_ok_and(|seconds| (seconds - now_s).abs() <= FRESH_S)
}

/// What stands at the top of a body: names, and texts where a value is plain.
enum Reading {
    Fields(Vec<(String, Option<String>)>),
    /// Nobody takes it, or it is beyond a bound.
    Broken,
    /// This parser refuses it, the plugin might not.
    Unsure,
}

fn read(body: &[u8]) -> Reading {
    let Ok(text) = std::str::from_utf8(body) else {
        return Reading::Broken;
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text
        .trim_start_matches([' ', '\t', '\r', '\n'])
        .chars()
        .next()
    {
        Some('{') => read_json(text),
        Some('<') if text.contains('\0') => Reading::Broken,
        Some('<') => read_xml(text),
        _ => Reading::Broken,
    }
}

fn read_json(text: &str) -> Reading {
    let object = match serde_json::from_str::<Value>(text) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Reading::Broken,
        Err(error) if error.to_string().starts_with("number out of range") => {
            return Reading::Unsure;
        }
        Err(_) => return Reading::Broken,
    };
    let (mut depth, mut values) = (1, 0);
    let mut level: Vec<&Value> = object.values().collect();
    let mut names =
        object.len() > MAX_NAMES || object.keys().any(|name| name.len() > MAX_NAME_BYTES);
    while !level.is_empty() {
        values += level.len();
        let mut next = Vec::new();
        let mut containers = false;
        for value in level {
            match value {
                Value::Array(items) => {
                    containers = true;
                    next.extend(items);
                }
                Value::Object(members) => {
                    containers = true;
                    names |= members.len() > MAX_NAMES;
                    names |= members.keys().any(|name| name.len() > MAX_NAME_BYTES);
                    next.extend(members.values());
                }
                _ => {}
            }
        }
        depth += usize::from(containers);
        level = next;
    }
    if depth > MAX_DEPTH || values > MAX_VALUES || names {
        return Reading::Broken;
    }
    let plain = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let present = object.into_iter().filter(|(_, value)| !value.is_null());
    Reading::Fields(present.map(|(name, value)| (name, plain(value))).collect())
}

fn read_xml(text: &str) -> Reading {
    // The plugin keeps what XML forbids of control characters.
    let is_forbidden = |char: char| {
        matches!(char, '\u{1}'..'\u{20}' | '\u{fffe}' | '\u{ffff}')
            && !matches!(char, '\t' | '\r' | '\n')
    };
    let text = text.replace(is_forbidden, "x");
    let tree = match Document::parse(&text) {
        Ok(tree) => tree,
        // Namespaces, and attributes, which the plugin skips.
        Err(
            Error::InvalidXmlPrefixUri(_)
            | Error::UnexpectedXmlUri(_)
            | Error::UnexpectedXmlnsUri(_)
            | Error::InvalidElementNamePrefix(_)
            | Error::DuplicatedNamespace(..)
            | Error::UnknownNamespace(..)
            | Error::InvalidAttributeValue(_)
            | Error::DuplicatedAttribute(..)
            | Error::InvalidName(_),
        ) => return Reading::Unsure,
        Err(_) => return Reading::Broken,
    };
    let elements = || tree.descendants().filter(Node::is_element);
    let too_deep = |node: Node<'_, '_>| {
        node.ancestors()
            .filter(Node::is_element)
            .nth(MAX_DEPTH)
            .is_some()
    };
    let beyond = elements().count() > MAX_VALUES
        || elements().any(|node| node.tag_name().name().len() > MAX_NAME_BYTES || too_deep(node));
    let fields: Vec<_> = tree
        .root_element()
        .children()
        .filter(Node::is_element)
        .map(|node| {
            let leaf = !node.children().any(|child| child.is_element());
            let texts = node
                .children()
                .filter(Node::is_text)
                .filter_map(|text| text.text());
            (
                node.tag_name().name().to_owned(),
                leaf.then(|| texts.collect::<String>()),
            )
        })
        .collect();
    let mut names: Vec<_> = fields.iter().map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    if beyond || names.len() > MAX_NAMES {
        return Reading::Broken;
    }
    Reading::Fields(fields)
}

/// The texts of a field at the top of a body; `None` where that cannot be told.
fn texts(body: &[u8], name: &str) -> Option<Vec<String>> {
    match read(body) {
        Reading::Unsure => None,
        Reading::Broken => Some(Vec::new()),
        Reading::Fields(fields) => {
            let named = fields.into_iter().filter(|(known, _)| known == name);
            // Blanks around it may count or not.
            let texts = named.filter_map(|(_, text)| text);
            Some(
                texts
                    .flat_map(|text| [text.trim().to_owned(), text])
                    .collect(),
            )
        }
    }
}

/// Whether it has what a push to this account must have.
fn might_be_a_push(body: &[u8], account: &Account) -> bool {
    let fields = match read(body) {
        Reading::Unsure => return true,
        Reading::Broken => return false,
        Reading::Fields(fields) => fields,
    };
    let has = |name: &str| fields.iter().any(|(known, _)| known == name);
    // Once and plain, with a text that may be so.
    let is = |name: &str, right: &dyn Fn(&str) -> bool| {
        let mut named = fields.iter().filter(|(known, _)| known == name);
        match (named.next(), named.next()) {
            (Some((_, Some(text))), None) => right(text),
            _ => false,
        }
    };
    let some = |text: &str| !text.is_empty();
    let is_time = |text: &str| {
        let text = text.trim();
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        digits && text.parse::<u64>().is_ok_and(|time| time <= 1 << 53)
    };
    let once = |name: &str| !has(name) || is(name, &|_| true);
    if !is("CreateTime", &is_time) || !ROUTING.iter().all(|name| once(name)) {
        return false;
    }
    if has("InfoType") && !has("MsgType") {
        return is("InfoType", &some) && is("AppId", &|text| text.trim() == account.appid);
    }
    is("ToUserName", &|text| text.trim() == account.original_id)
        && is("FromUserName", &some)
        && is("MsgType", &some)
        && (!is("MsgType", &|text| text == "event") || is("Event", &some))
}
