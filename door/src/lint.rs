//! What WeChat would refuse, or take and show wrongly, found before it is sent.
//!
//! Source: wechat-protocol, the pages of each call.

use std::borrow::Cow;

use crate::node::{Node, Object};

/// Something wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Its name in metrics and headers.
    pub(crate) rule: &'static str,
    /// What WeChat would say, or the nearest that it has.
    pub(crate) errcode: i64,
    /// For the one who wrote the program.
    pub(crate) text: String,
}

/// Whether a character may be in a value.
type Allowed = fn(char) -> bool;

/// Values of subscribe-message fields: the beginning of the key, the most characters, and what the rule says of them.
const FIELDS: &[(&str, usize, Allowed)] = &[
    ("thing", 20, |_| true),
    ("character_string", 32, |c| c.is_ascii()),
    ("number", 32, |c| c.is_ascii_digit() || c == '.' || c == '-'),
    ("letter", 32, |c| c.is_ascii_alphabetic()),
    ("symbol", 5, |c| !c.is_alphanumeric()),
    ("phone_number", 17, |c| {
        c.is_ascii_digit() || "+-() ".contains(c)
    }),
    ("car_number", 8, |_| true),
    ("name", 20, |c| !c.is_ascii_digit()),
    ("phrase", 5, |c| !c.is_ascii()),
];
/// Lists, by path: the field and the most that a call may have.
const LISTS: &[(&str, &str, usize)] = &[
    ("/cgi-bin/user/info/batchget", "user_list", 100),
    ("/cgi-bin/tags/members/batchtagging", "openid_list", 50),
    ("/cgi-bin/tags/members/batchuntagging", "openid_list", 50),
    ("/cgi-bin/tags/members/batchblacklist", "openid_list", 20),
    ("/cgi-bin/tags/members/batchunblacklist", "openid_list", 20),
];
const LANGUAGES: &[&str] = &["zh_CN", "zh_TW", "zh_HK", "en_US", "en"];
/// Longest text of a customer-service message, bytes.
const MAX_TEXT_BYTES: usize = 2_048;

/// Looks at the body of a call; `request` is what it says, if it is JSON.
pub(crate) fn lint(path: &str, request: Option<&Node<'_>>, body: &[u8]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut say = |rule, errcode, text: &str| {
        found.push(Finding {
            rule,
            errcode,
            text: text.to_owned(),
        });
    };
    let Some(Node::Object(request)) = request else {
        if path.starts_with("/cgi-bin/message/") {
            say("not_json", 47001, "the body is no JSON object");
        }
        return found;
    };
    if request.get("access_token").is_some() {
        say(
            "token_in_body",
            47001,
            "the access token belongs into the query, not into the body",
        );
    }
    if has_escapes(body) {
        say(
            "unicode_escape",
            40033,
            "\\uXXXX is shown as it is: write UTF-8",
        );
    }
    if let Some((_, field, most)) = LISTS.iter().find(|(of, ..)| *of == path)
        && let Some(Node::List(list)) = request.get(field)
        && list.len() > *most
    {
        say(
            "too_many",
            40032,
            &format!("{field} has {} items, {most} are allowed", list.len()),
        );
    }
    let wrong_language = |of: &Object<'_>| {
        of.get("lang")
            .and_then(Node::as_str)
            .is_some_and(|lang| !LANGUAGES.contains(&lang))
    };
    let listed = request.get("user_list").and_then(Node::as_list);
    let inner = listed.into_iter().flatten().filter_map(Node::as_object);
    if wrong_language(request) || inner.into_iter().any(wrong_language) {
        say("lang", 40035, "lang is written with an underscore: zh_CN");
    }
    match path {
        "/cgi-bin/message/template/send" => lint_data(request, false, &mut say),
        "/cgi-bin/message/subscribe/send" | "/cgi-bin/message/subscribe/bizsend" => {
            lint_data(request, true, &mut say);
        }
        "/cgi-bin/message/custom/send" => {
            let text = request.get("text").and_then(Node::as_object);
            let text = text.and_then(|text| text.get("content"));
            let text = text.and_then(Node::as_str).unwrap_or_default();
            if text.len() > MAX_TEXT_BYTES {
                let text = format!(
                    "the text has {} bytes, {MAX_TEXT_BYTES} are allowed",
                    text.len()
                );
                say("text_too_long", 45002, &text);
            }
        }
        _ => {}
    }
    found
}

fn lint_data(
    request: &Object<'_>,
    is_subscribe: bool,
    say: &mut impl FnMut(&'static str, i64, &str),
) {
    let Some(Node::Object(data)) = request.get("data") else {
        return say("no_data", 47003, "data is to be an object of fields");
    };
    if data.get("miniprogram").is_some() {
        say(
            "miniprogram_in_data",
            47003,
            "miniprogram belongs beside data, not into it",
        );
    }
    for (key, field) in data.members().filter(|(key, _)| *key != "miniprogram") {
        let value = field.as_object().and_then(|field| field.get("value"));
        let value = match value {
            Some(Node::Text(text)) => Cow::Borrowed(&**text),
            Some(Node::Number(number)) => Cow::Owned(number.to_string()),
            _ => {
                say(
                    "no_value",
                    47003,
                    &format!("{key} is to be an object with a value"),
                );
                continue;
            }
        };
        if is_subscribe {
            lint_field(key, &value, say);
        }
    }
}

fn lint_field(key: &str, value: &str, say: &mut impl FnMut(&'static str, i64, &str)) {
    let kind = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let Some((_, most, allowed)) = FIELDS.iter().find(|(of, ..)| *of == kind) else {
        return;
    };
    let length = value.chars().count();
    if length == 0 || length > *most {
        let text = format!("{key} has {length} characters, 1 to {most} are allowed");
        say("field_length", 47003, &text);
    } else if !value.chars().all(allowed) {
        say(
            "field_characters",
            47003,
            &format!("{key} has characters that a {kind} may not have"),
        );
    }
}

/// Escapes of characters that JSON lets stand for themselves.
fn has_escapes(body: &[u8]) -> bool {
    let mut rest = body;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let Some((escape, after)) = rest.get(at + 1..).and_then(<[u8]>::split_first) else {
            return false;
        };
        if *escape == b'u' && !after.starts_with(b"00") {
            return true;
        }
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::lint;
    use crate::node::Node;

    fn rules(path: &str, body: &str) -> Vec<&'static str> {
        let request = Node::read(body.as_bytes());
        lint(path, request.as_ref(), body.as_bytes())
            .iter()
            .map(|one| one.rule)
            .collect()
    }

    #[test]
    fn what_wechat_takes_is_not_found_fault_with() {
        for (path, body) in [
            (
                "/cgi-bin/message/subscribe/send",
                r#"{"touser":"o","template_id":"t","lang":"zh_CN","data":{"thing1":{"value":"茶"},"number2":{"value":12.5},"date3":{"value":"2024-04-26"}}}"#,
            ),
            (
                "/cgi-bin/message/template/send",
                r#"{"touser":"o","template_id":"t","miniprogram":{"appid":"wx"},"data":{"first":{"value":"a line\n"}}}"#,
            ),
            (
                "/cgi-bin/message/custom/send",
                r#"{"touser":"o","msgtype":"text","text":{"content":"\u0007 \"x\" \\u4e2d"}}"#,
            ),
            (
                "/cgi-bin/user/info/batchget",
                r#"{"user_list":[{"openid":"o","lang":"zh_CN"}]}"#,
            ),
        ] {
            assert_eq!(rules(path, body), Vec::<&str>::new(), "{body}");
        }
    }

    #[test]
    fn each_mistake_has_its_name() {
        let subscribe = "/cgi-bin/message/subscribe/send";
        let data = |data: &str| format!(r#"{{"touser":"o","data":{{{data}}}}}"#);
        for (path, body, rule) in [
            (
                subscribe,
                data(r#""miniprogram":{"appid":"wx"}"#),
                "miniprogram_in_data",
            ),
            (
                subscribe,
                data(r#""thing1":{"value":"一二三四五六七八九十一二三四五六七八九十一"}"#),
                "field_length",
            ),
            (subscribe, data(r#""thing1":{"value":""}"#), "field_length"),
            (
                subscribe,
                data(r#""number1":{"value":"twelve"}"#),
                "field_characters",
            ),
            (subscribe, data(r#""thing1":"tea""#), "no_value"),
            (
                subscribe,
                r#"{"touser":"o","lang":"zh-CN","data":{}}"#.to_owned(),
                "lang",
            ),
            (subscribe, r#"{"touser":"o"}"#.to_owned(), "no_data"),
            (subscribe, "touser=o".to_owned(), "not_json"),
            (
                "/cgi-bin/menu/create",
                r#"{"button":[{"name":"\u4e2d"}]}"#.to_owned(),
                "unicode_escape",
            ),
            (
                "/cgi-bin/menu/create",
                r#"{"access_token":"x"}"#.to_owned(),
                "token_in_body",
            ),
            (
                "/cgi-bin/user/info/batchget",
                format!(r#"{{"user_list":[{}]}}"#, vec!["{}"; 101].join(",")),
                "too_many",
            ),
            (
                "/cgi-bin/user/info/batchget",
                r#"{"user_list":[{"openid":"o","lang":"zh-CN"}]}"#.to_owned(),
                "lang",
            ),
            (
                "/cgi-bin/message/custom/send",
                format!(
                    r#"{{"msgtype":"text","text":{{"content":"{}"}}}}"#,
                    "x".repeat(2_049)
                ),
                "text_too_long",
            ),
        ] {
            assert_eq!(rules(path, &body), [rule], "{body}");
        }
    }
}
