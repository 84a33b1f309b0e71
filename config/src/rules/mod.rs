//! Reads the `rules` of an account.

pub(crate) mod shapes;
mod when;

use serde_json::Value;
use weir_protocol::limits::MAX_REPLY_TEXT_BYTES;

use crate::node::Node;
use weir_engine::config::{AccountKind, App, AppId};
use weir_engine::rules::{Answer, ArticleTemplate, OneOf, Rule, Rules, When};
use weir_engine::template::Template;

/// What the rules of an account may do.
#[derive(Clone, Copy)]
pub(crate) struct Allowed<'a> {
    pub(crate) kind: AccountKind,
    /// It can call the WeChat API.
    pub(crate) calls: bool,
    /// Replies wait for the store, so they may depend on what it knows.
    pub(crate) after_store: bool,
    /// Where pushes can be forwarded to.
    pub(crate) apps: &'a [App],
}

/// The rules. Those that have problems do not matter: the configuration is refused as a whole.
pub(crate) fn read(node: &Node<'_>, allowed: Allowed<'_>) -> Rules {
    Rules::new(node.items().map(|rule| read_rule(&rule, allowed)).collect())
}

fn read_rule(node: &Node<'_>, allowed: Allowed<'_>) -> Rule {
    let when = node.at("when").map(|n| when::read(&n)).unwrap_or_default();
    let read_reply = |n: &Node<'_>| {
        let answer = read_answer(n, &when)?;
        check_answer(n, &answer, allowed);
        Some(answer)
    };
    let mut answer = node.at("reply").and_then(|n| read_reply(&n));
    let forward = node.at("forward").and_then(|n| {
        if answer.is_some() {
            n.wrong("the application says what is answered: put the \"reply\" under \"otherwise\"");
        }
        let app = n.at("app").unwrap_or(n);
        answer = n.at("otherwise").and_then(|n| read_reply(&n));
        find_app(&app, allowed.apps)
    });
    let tags: Vec<u32> = node.at("tag").map_or_else(Vec::new, |tags| {
        let tags = tags.one_or_more();
        tags.iter()
            .filter_map(|tag| u32::try_from(tag.value.as_u64()?).ok())
            .collect()
    });
    if !tags.is_empty() && !allowed.calls {
        node.field("tag")
            .wrong("needs the account's \"app_secret_env\"");
    }
    if !tags.is_empty() && allowed.kind != AccountKind::OfficialAccount {
        node.field("tag").wrong("only Official Accounts have tags");
    }
    if when.asks_facts() && !allowed.after_store {
        node.field("when")
            .wrong("\"first_push\" is known to the store alone, so it needs the store's \"ack\": \"after_store\"");
    }
    Rule {
        when,
        answer,
        forward,
        tags,
        goes_on: node.value.get("continue").and_then(Value::as_bool) == Some(true),
    }
}

fn find_app(node: &Node<'_>, apps: &[App]) -> Option<AppId> {
    let name = node.value.as_str()?;
    let found = (0..)
        .zip(apps)
        .find_map(|(id, app)| (app.name == name).then_some(AppId(id)));
    if found.is_none() {
        let shown: String = name.chars().take(32).collect();
        node.wrong(format!("there is no application {shown} under \"apps\""));
    }
    found
}

fn check_answer(node: &Node<'_>, answer: &Answer, allowed: Allowed<'_>) {
    let passive = match answer {
        Answer::None | Answer::Transfer(_) => false,
        Answer::OneOf(OneOf(answers)) => answers
            .iter()
            .any(|(_, answer)| !matches!(answer, Answer::Transfer(_))),
        _ => true,
    };
    if passive && allowed.kind == AccountKind::MiniProgram {
        node.wrong(
            "a Mini Program can answer \"none\" or {\"transfer_customer_service\": …}; other replies are never shown",
        );
    }
    if answer.asks_facts() && !allowed.after_store {
        node.wrong(
            "names are known to the store alone, so they need the store's \"ack\": \"after_store\"",
        );
    }
}

/// An answer; `None` when it has problems.
fn read_answer(node: &Node<'_>, when: &When) -> Option<Answer> {
    if node.value.is_string() {
        return Some(Answer::None);
    }
    if let Some(node) = node.at("one_of") {
        let answers: Option<Vec<_>> = node
            .items()
            .map(|node| {
                let weight = node
                    .value
                    .get("weight")
                    .and_then(Value::as_u64)
                    .unwrap_or(1);
                Some((u32::try_from(weight).ok()?, read_answer(&node, when)?))
            })
            .collect();
        return answers.map(|answers| Answer::OneOf(OneOf(answers)));
    }
    if let Some(node) = node.at("text") {
        return template(&node).map(Answer::Text);
    }
    if let Some(node) = node.at("image") {
        return node.word().map(Answer::Image);
    }
    if let Some(node) = node.at("voice") {
        return node.word().map(Answer::Voice);
    }
    let optional = |node: &Node<'_>, name| node.at(name).and_then(|node| template(&node));
    if let Some(node) = node.at("video") {
        return Some(Answer::Video {
            media_id: node.at("media_id")?.word()?,
            title: optional(&node, "title"),
            description: optional(&node, "description"),
        });
    }
    if let Some(node) = node.at("music") {
        return Some(Answer::Music {
            title: optional(&node, "title"),
            description: optional(&node, "description"),
            music_url: optional(&node, "music_url"),
            hq_music_url: optional(&node, "hq_music_url"),
            thumb_media_id: node.at("thumb_media_id")?.word()?,
        });
    }
    if let Some(node) = node.at("news") {
        return read_news(&node, when);
    }
    let transfer = node.at("transfer_customer_service")?;
    let kf_account = transfer.at("kf_account");
    Some(Answer::Transfer(kf_account.and_then(|node| node.word())))
}

fn read_news(node: &Node<'_>, when: &When) -> Option<Answer> {
    // A rule that may answer a message must be content with one article: WeChat drops the others.
    let for_events = when.messages.is_empty()
        && when.keywords.is_empty()
        && when.patterns.is_empty()
        && (!when.events.is_empty() || when.event_key.is_some() || when.scene.is_some());
    let found = node.items().count();
    if !for_events && found > 1 {
        node.wrong(format!(
            "expected 1 article in answer to a message, found {found}: WeChat shows several only in answer to an event"
        ));
    }
    let text = |node: &Node<'_>, name| {
        let template = node.at(name).and_then(|node| template(&node));
        template.unwrap_or_default()
    };
    let articles = node.items().map(|node| ArticleTemplate {
        title: text(&node, "title"),
        description: text(&node, "description"),
        pic_url: text(&node, "pic_url"),
        url: text(&node, "url"),
    });
    Some(Answer::News(articles.collect()))
}

fn template(node: &Node<'_>) -> Option<Template> {
    let text = node.value.as_str()?;
    if text.len() > MAX_REPLY_TEXT_BYTES {
        return None;
    }
    Template::parse(text)
        .map_err(|problem| node.wrong(problem))
        .ok()
}
