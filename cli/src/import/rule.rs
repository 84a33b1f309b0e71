//! Rules as they stand in a configuration, and what is said about making them.

use serde::Serialize;
use serde_json::{Map, Value as Json, json};

/// Bytes of a rule's name. Source: the configuration's schema.
const MAX_NAME_BYTES: usize = 128;

/// What was imported.
pub(super) struct Imported {
    pub(super) rules: Vec<Rule>,
    /// The body for `menu/create`.
    pub(super) menu: Option<Json>,
}

/// One rule, its members in the order people read them.
#[derive(Debug, Serialize)]
pub(super) struct Rule {
    /// What the console called it.
    pub(super) name: String,
    pub(super) when: Map<String, Json>,
    pub(super) reply: Json,
    /// What to say beside it.
    #[serde(skip)]
    pub(super) notes: Vec<String>,
}

impl Rule {
    pub(super) fn new(name: &str, when: Json, reply: Json) -> Self {
        Self {
            name: floor(name, MAX_NAME_BYTES).to_owned(),
            when: match when {
                Json::Object(when) => when,
                _ => Map::new(),
            },
            reply,
            notes: Vec::new(),
        }
    }
}

/// What could not be said in rules, with the name of what it is about.
#[derive(Default)]
pub(super) struct Notes {
    all: Vec<String>,
    /// Of [`all`](Self::all), those that no rule has yet.
    fresh: Vec<String>,
}

impl Notes {
    pub(super) fn add(&mut self, name: &str, what: impl std::fmt::Display) {
        let note = format!("{name}: {what}");
        self.fresh.push(note.clone());
        self.all.push(note);
    }

    /// Gives a rule the notes since the last one.
    pub(super) fn attach(&mut self, mut rule: Rule) -> Rule {
        rule.notes.append(&mut self.fresh);
        rule
    }

    pub(super) fn all(&self) -> &[String] {
        &self.all
    }

    /// Those that belong to no rule: what they are about was left out.
    pub(super) fn loose(&self) -> &[String] {
        &self.fresh
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
}

/// The longest beginning of at most `most` bytes.
pub(super) fn floor(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// Literal text as a template: braces are doubled.
pub(super) fn literal(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// A condition's value: one as it is, many as a list.
pub(super) fn one_or_many(mut values: Vec<String>) -> Json {
    match values.len() {
        1 => Json::String(values.remove(0)),
        _ => json!(values),
    }
}

/// A text in WeChat's answer; absent is empty.
pub(super) fn text<'a>(value: &'a Json, name: &str) -> &'a str {
    value.get(name).and_then(Json::as_str).unwrap_or_default()
}

/// A list in WeChat's answer: `{"list": […]}`, or bare.
pub(super) fn list<'a>(value: &'a Json, name: &str) -> &'a [Json] {
    let inner = value.get(name);
    let listed = inner.and_then(|inner| inner.get("list")).or(inner);
    listed.and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

/// A switch in WeChat's answer: 0 or 1. Absent is on.
pub(super) fn is_on(value: &Json, name: &str) -> bool {
    match value.get(name) {
        Some(Json::Bool(on)) => *on,
        Some(Json::Number(number)) => number.as_i64() != Some(0),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_between_characters() {
        assert_eq!(floor("ab你", 4), "ab");
        assert_eq!(floor("ab你", 5), "ab你");
        assert_eq!(floor("", 5), "");
    }
}
