//! One answer of the console as a rule's reply.

use serde_json::{Value as Json, json};

use super::rule::{Notes, list, literal, text};

/// Articles that WeChat shows in answer to an event. Source: the page on passive replies.
const MAX_ARTICLES: usize = 8;
/// Bytes of a text reply, and of any template. Source: the older official page on passive replies.
const MAX_TEXT_BYTES: usize = 2048;
/// Longer ones no rule takes.
const MAX_MEDIA_ID_BYTES: usize = 512;

/// What the reply answers: it decides how many articles are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    Message,
    Event,
}

/// The reply, or `None` with a note that says why there is none. Its content is under `content` or, in a menu, `value`.
pub(super) fn reply(
    answer: &Json,
    answers: Answers,
    name: &str,
    notes: &mut Notes,
) -> Option<Json> {
    let content = ["content", "value"]
        .iter()
        .map(|field| text(answer, field))
        .find(|content| !content.is_empty())
        .unwrap_or_default();
    let kind = text(answer, "type");
    if kind == "news" {
        return news(answer, answers, name, notes);
    }
    if content.is_empty() {
        notes.add(name, format!("left out: the {kind:?} reply is empty"));
        return None;
    }
    match kind {
        "text" => {
            let text = literal(content);
            if text.len() > MAX_TEXT_BYTES {
                notes.add(
                    name,
                    format!("the text is cut: a reply holds no more than {MAX_TEXT_BYTES} bytes"),
                );
            }
            Some(json!({"text": cut(content)}))
        }
        "img" | "image" | "photo" | "voice" | "video"
            if content.len() > MAX_MEDIA_ID_BYTES && !is_link(content) =>
        {
            notes.add(name, "left out: that is no media id");
            None
        }
        "img" | "image" | "photo" => Some(json!({"image": content})),
        "voice" => Some(json!({"voice": content})),
        "video" if is_link(content) => {
            notes.add(
                name,
                "left out: WeChat gives a link to the film and no media id; upload the film and reply with its media id",
            );
            None
        }
        "video" => Some(json!({"video": {"media_id": content}})),
        other => {
            notes.add(
                name,
                format!("left out: replies of type {other:?} are not known"),
            );
            None
        }
    }
}

/// Literal text as a template that is not too long, cut between two characters.
fn cut(text: &str) -> String {
    let mut length = 0;
    let end = text.char_indices().find(|(_, c)| {
        length += if matches!(c, '{' | '}') {
            2
        } else {
            c.len_utf8()
        };
        length > MAX_TEXT_BYTES
    });
    literal(end.map_or(text, |(at, _)| &text[..at]))
}

/// Whether a film is given by a link.
pub(super) fn is_link(content: &str) -> bool {
    content.starts_with("http://") || content.starts_with("https://")
}

fn news(answer: &Json, answers: Answers, name: &str, notes: &mut Notes) -> Option<Json> {
    let articles: Vec<&Json> = list(answer, "news_info")
        .iter()
        .filter(|article| !text(article, "title").trim().is_empty())
        .collect();
    let most = match answers {
        Answers::Message => 1,
        Answers::Event => MAX_ARTICLES,
    };
    if articles.is_empty() {
        notes.add(name, "left out: WeChat does not tell the articles");
        return None;
    }
    if articles.len() > most {
        notes.add(
            name,
            format!(
                "of {} articles only the first {}: WeChat shows no more in a reply here",
                articles.len(),
                if most == 1 {
                    "one".to_owned()
                } else {
                    most.to_string()
                }
            ),
        );
    }
    let article = |article: &&Json| {
        let mut out = serde_json::Map::new();
        for (to, from) in [
            ("title", "title"),
            ("description", "digest"),
            ("pic_url", "cover_url"),
            ("url", "content_url"),
        ] {
            let value = text(article, from);
            if !value.is_empty() {
                out.insert(to.to_owned(), Json::String(cut(value)));
            }
        }
        Json::Object(out)
    };
    let articles: Vec<Json> = articles.iter().take(most).map(article).collect();
    Some(json!({ "news": articles }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters_and_between_braces() {
        assert_eq!(cut("{你}"), "{{你}}");
        assert_eq!(cut(&"你".repeat(1000)).len(), 2046);
        assert_eq!(cut(&"{".repeat(2000)), "{".repeat(2048));
    }
}
