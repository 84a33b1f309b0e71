//! `get_current_selfmenu_info`: the menu, and what the console answered when it was tapped.

use std::collections::HashSet;

use anyhow::Context;
use serde_json::{Map, Value as Json, json};

use super::reply::{Answers, is_link, reply};
use super::rule::{Imported, Notes, Rule, is_on, list, text};

/// Buttons that the console answers itself.
const ANSWERED: [&str; 6] = ["text", "img", "photo", "voice", "video", "news"];
/// What `menu/create` takes of other buttons, beside type and name. Source: the page on creating menus.
const KEPT: [&str; 6] = ["key", "url", "appid", "pagepath", "media_id", "article_id"];

pub(super) fn import(answer: &Json, notes: &mut Notes) -> anyhow::Result<Imported> {
    let menu = answer
        .get("selfmenu_info")
        .context("this is not an answer of get_current_selfmenu_info: it has no selfmenu_info")?;
    if !is_on(answer, "is_menu_open") {
        notes.add("menu", "it is switched off in the console");
    }
    let mut import = Import {
        keys: HashSet::new(),
        rules: Vec::new(),
        notes,
    };
    import.collect_keys(menu);
    let buttons = import.buttons(list(menu, "button"), "console");
    Ok(Imported {
        rules: import.rules,
        menu: Some(json!({ "button": buttons })),
    })
}

struct Import<'a> {
    /// Keys in use: a new one is none of them.
    keys: HashSet<String>,
    rules: Vec<Rule>,
    notes: &'a mut Notes,
}

impl Import<'_> {
    fn collect_keys(&mut self, menu: &Json) {
        for button in list(menu, "button") {
            self.keys.insert(text(button, "key").to_owned());
            for sub in list(button, "sub_button") {
                self.keys.insert(text(sub, "key").to_owned());
            }
        }
    }

    /// `place` names the buttons above: it makes the keys.
    fn buttons(&mut self, buttons: &[Json], place: &str) -> Vec<Json> {
        let numbered = buttons.iter().enumerate();
        numbered
            .filter_map(|(index, button)| self.button(button, &format!("{place}_{}", index + 1)))
            .collect()
    }

    fn button(&mut self, button: &Json, place: &str) -> Option<Json> {
        let name = text(button, "name");
        let subs = list(button, "sub_button");
        if !subs.is_empty() {
            let subs = self.buttons(subs, place);
            if subs.is_empty() {
                self.notes
                    .add(name, "left out: none of its buttons is left");
                return None;
            }
            return Some(json!({"name": name, "sub_button": subs}));
        }
        let kind = text(button, "type");
        if kind.is_empty() {
            self.notes.add(name, "left out: the button does nothing");
            return None;
        }
        if ANSWERED.contains(&kind) {
            return self.answered(button, kind, name, place);
        }
        Some(self.kept(button, kind, name))
    }

    /// A button that the console answered: now it has a key, and a rule answers.
    fn answered(&mut self, button: &Json, kind: &str, name: &str, place: &str) -> Option<Json> {
        let value = text(button, "value");
        if kind == "video" && is_link(value) {
            self.notes.add(
                name,
                "the film becomes a link, which may end: upload it and make it a rule with its media id",
            );
            return Some(json!({"type": "view", "name": name, "url": value}));
        }
        let reply = reply(button, Answers::Event, name, self.notes)?;
        let mut key = place.to_owned();
        while !self.keys.insert(key.clone()) {
            key.push('_');
        }
        let rule = Rule::new(name, json!({"event": "CLICK", "event_key": key}), reply);
        let rule = self.notes.attach(rule);
        self.rules.push(rule);
        Some(json!({"type": "click", "name": name, "key": key}))
    }

    /// A button that stays what it is.
    fn kept(&mut self, button: &Json, kind: &str, name: &str) -> Json {
        let mut kept = Map::new();
        kept.insert("type".to_owned(), kind.into());
        kept.insert("name".to_owned(), name.into());
        for field in KEPT {
            if let Some(value) = button.get(field).filter(|value| value.is_string()) {
                kept.insert(field.to_owned(), value.clone());
            }
        }
        // Menus made through the API tell the media id as a value.
        if matches!(kind, "media_id" | "view_limited") && !kept.contains_key("media_id") {
            kept.insert("media_id".to_owned(), text(button, "value").into());
        }
        if kept.len() == 2 {
            self.notes.add(
                name,
                format!("WeChat does not tell what the {kind} button does"),
            );
        }
        Json::Object(kept)
    }
}
