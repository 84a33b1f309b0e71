//! `get_current_autoreply_info`: replies to a follow, to keywords, to any other message.

use anyhow::bail;
use serde_json::{Value as Json, json};

use super::reply::{Answers, reply};
use super::rule::{Notes, Rule, is_on, list, one_or_many, text};

/// The rules: the follow, exact keywords, keywords anywhere, the rest.
pub(super) fn rules(answer: &Json, notes: &mut Notes) -> anyhow::Result<Vec<Rule>> {
    const PARTS: [&str; 3] = [
        "add_friend_autoreply_info",
        "message_default_autoreply_info",
        "keyword_autoreply_info",
    ];
    if PARTS.iter().all(|part| answer.get(part).is_none())
        && answer.get("is_autoreply_open").is_none()
    {
        bail!("this is not an answer of get_current_autoreply_info: it has none of its fields");
    }
    let mut rules = Vec::new();
    let [follow, default, keywords] = PARTS.map(|part| answer.get(part).filter(|v| !v.is_null()));
    if let Some(follow) = follow {
        let name = "follow";
        if is_on(answer, "is_add_friend_reply_open") {
            if let Some(reply) = reply(follow, Answers::Event, name, notes) {
                let rule = Rule::new(name, json!({"event": "subscribe"}), reply);
                rules.push(notes.attach(rule));
            }
        } else {
            notes.add(name, "left out: the reply to a follow is switched off");
        }
    }

    let is_open = is_on(answer, "is_autoreply_open");
    let (mut exact, mut anywhere) = (Vec::new(), Vec::new());
    for item in keywords.map_or(&[][..], |keywords| list(keywords, "list")) {
        keyword_rules(item, notes, &mut exact, &mut anywhere);
    }
    if !is_open && exact.len() + anywhere.len() > 0 {
        notes.add(
            "keywords",
            "automatic replies to messages are switched off; WeChat does not tell whether those to keywords are too",
        );
    }
    rules.append(&mut exact);
    rules.append(&mut anywhere);

    if let Some(default) = default {
        let name = "any message";
        if !is_open {
            notes.add(
                name,
                "left out: automatic replies to messages are switched off",
            );
        } else if let Some(reply) = reply(default, Answers::Message, name, notes) {
            notes.add(
                name,
                "the console sent this about once an hour to a user; the rule sends it every time",
            );
            let rule = Rule::new(name, json!({"message": "*"}), reply);
            rules.push(notes.attach(rule));
        }
    }
    Ok(rules)
}

/// One keyword rule of the console: a rule for its exact keywords, one for those anywhere in a text.
fn keyword_rules(item: &Json, notes: &mut Notes, exact: &mut Vec<Rule>, anywhere: &mut Vec<Rule>) {
    let name = match text(item, "rule_name").trim() {
        "" => "keyword rule without a name",
        name => name,
    };
    let (mut equal, mut contain) = (Vec::new(), Vec::new());
    for keyword in list(item, "keyword_list_info") {
        let word = text(keyword, "content").trim();
        if word.is_empty() {
            notes.add(name, "a keyword is left out: it is empty");
            continue;
        }
        match text(keyword, "match_mode") {
            "equal" => equal.push(word.to_owned()),
            "contain" => contain.push(word.to_owned()),
            other => notes.add(
                name,
                format!(
                    "the keyword {word:?} is left out: the way to match {other:?} is not known"
                ),
            ),
        }
    }
    let Some(reply) = keyword_reply(item, name, notes) else {
        return;
    };
    if equal.is_empty() && contain.is_empty() {
        notes.add(name, "left out: it has no keyword");
        return;
    }
    if !equal.is_empty() {
        let when = json!({"keyword": one_or_many(equal)});
        exact.push(notes.attach(Rule::new(name, when, reply.clone())));
    }
    if !contain.is_empty() {
        let when = json!({"keyword": {"contains": one_or_many(contain)}});
        anywhere.push(notes.attach(Rule::new(name, when, reply)));
    }
}

fn keyword_reply(item: &Json, name: &str, notes: &mut Notes) -> Option<Json> {
    let mode = text(item, "reply_mode");
    let replies: Vec<Json> = list(item, "reply_list_info")
        .iter()
        .filter_map(|answer| reply(answer, Answers::Message, name, notes))
        .collect();
    let first = replies.first().cloned();
    match (replies.len(), mode) {
        (0, _) => {
            notes.add(name, "left out: no reply of it can be said in a rule");
            None
        }
        (1, _) => first,
        (_, "random_one") => Some(json!({"one_of": replies})),
        (several, _) => {
            notes.add(
                name,
                format!(
                    "of {several} replies that were all sent only the first: a reply is one message"
                ),
            );
            first
        }
    }
}
