//! Reads the `rules` of an account.

use super::node::{Node, Object};
use crate::rules::{Answer, ArticleTemplate, Rule, Rules, When};
use crate::template::Template;

/// Most articles in answer to an event. Source: wechat-protocol 5.2.
const MAX_ARTICLES_FOR_EVENTS: usize = 8;
/// Most articles in answer to a message. Source: wechat-protocol 5.2.
const MAX_ARTICLES_FOR_MESSAGES: usize = 1;
/// Longest text of a reply, bytes of UTF-8. Source: wechat-protocol 5.2.
const MAX_TEXT_BYTES: usize = 2_048;

/// The rules, without those that have problems.
pub(super) fn read(node: &Node<'_>) -> Rules {
    Rules(node.items().iter().filter_map(read_rule).collect())
}

fn read_rule(node: &Node<'_>) -> Option<Rule> {
    let object = node.object()?;
    let when = match object.field("when") {
        None => Some(When::AnyMessage),
        Some(node) => read_when(&node),
    };
    let answer = object
        .required("reply")
        .and_then(|node| read_answer(&node, when.as_ref()));
    object.finish();
    Some(Rule {
        when: when?,
        answer: answer?,
    })
}

fn read_when(node: &Node<'_>) -> Option<When> {
    let object = node.object()?;
    let event = object.string("event");
    let scene = object.field("scene").and_then(|node| text_or_number(&node));
    let event_key = object.string("event_key").map(str::to_owned);
    let message = object.string("message");
    let keyword = object.string("keyword");
    object.finish();
    let chosen = [event.is_some(), message.is_some(), keyword.is_some()];
    if chosen.iter().filter(|chosen| **chosen).count() != 1 {
        node.wrong("expected exactly one of \"event\", \"message\", \"keyword\"");
        return None;
    }
    if event.is_none() && (scene.is_some() || event_key.is_some()) {
        node.wrong("\"scene\" and \"event_key\" go with \"event\"");
        return None;
    }
    if let Some(event) = event {
        let takes_scene = ["subscribe", "scan"]
            .iter()
            .any(|e| event.eq_ignore_ascii_case(e));
        if scene.is_some() && !takes_scene {
            node.wrong("\"scene\" goes with the events \"subscribe\" and \"SCAN\"");
            return None;
        }
        return Some(When::Event {
            event: event.to_owned(),
            scene,
            event_key,
        });
    }
    if let Some(word) = keyword {
        if word.trim().is_empty() {
            node.wrong("a keyword cannot be blank");
            return None;
        }
        return Some(When::Keyword(word.trim().to_owned()));
    }
    message.map(|msg_type| When::Message(msg_type.to_owned()))
}

fn text_or_number(node: &Node<'_>) -> Option<String> {
    match node.value.as_u64() {
        Some(number) => Some(number.to_string()),
        None => node.string().map(str::to_owned),
    }
}

fn read_answer(node: &Node<'_>, when: Option<&When>) -> Option<Answer> {
    if node.value.as_str() == Some("none") {
        return Some(Answer::None);
    }
    if node.value.is_string() {
        node.wrong("expected \"none\", {\"text\": …} or {\"news\": […]}");
        return None;
    }
    let object = node.object()?;
    let text = object.field("text");
    let news = object.field("news");
    object.finish();
    match (text, news) {
        (Some(text), None) => {
            let template = template(&text)?;
            if template
                .literal()
                .is_some_and(|literal| literal.trim().is_empty())
            {
                text.wrong(
                    "is empty, which users see as a fault; write \"reply\": \"none\" for no reply",
                );
                return None;
            }
            if text
                .value
                .as_str()
                .is_some_and(|s| s.len() > MAX_TEXT_BYTES)
            {
                text.wrong(format!("is longer than {MAX_TEXT_BYTES} bytes"));
                return None;
            }
            Some(Answer::Text(template))
        }
        (None, Some(news)) => {
            let most = match when {
                Some(When::Event { .. }) => MAX_ARTICLES_FOR_EVENTS,
                _ => MAX_ARTICLES_FOR_MESSAGES,
            };
            let nodes = news.items();
            if nodes.is_empty() || nodes.len() > most {
                news.wrong(format!(
                    "expected 1 to {most} articles here, found {}",
                    nodes.len()
                ));
                return None;
            }
            let articles: Option<Vec<_>> = nodes.iter().map(read_article).collect();
            Some(Answer::News(articles?))
        }
        _ => {
            node.wrong("expected exactly one of \"text\", \"news\"");
            None
        }
    }
}

fn read_article(node: &Node<'_>) -> Option<ArticleTemplate> {
    let object = node.object()?;
    let title = object.required("title").and_then(|node| template(&node));
    let article = ArticleTemplate {
        description: optional(&object, "description"),
        pic_url: optional(&object, "pic_url"),
        url: optional(&object, "url"),
        title: title.unwrap_or_else(empty),
    };
    object.finish();
    Some(article)
}

fn optional(object: &Object<'_>, key: &'static str) -> Template {
    object
        .field(key)
        .and_then(|node| template(&node))
        .unwrap_or_else(empty)
}

fn empty() -> Template {
    Template::default()
}

fn template(node: &Node<'_>) -> Option<Template> {
    let text = node.string()?;
    Template::parse(text)
        .map_err(|problem| node.wrong(problem))
        .ok()
}
