//! A reply as the user would see it.

use weir_sim::{Fields, Reply, Value};

use crate::term::harmless;

/// `text, encrypted; its signature, parties and CreateTime are right`.
pub(crate) fn heading(reply: &Reply) -> String {
    let how = if reply.encrypted {
        "encrypted; its MsgSignature"
    } else {
        "readable; its"
    };
    let comma = if reply.encrypted { "," } else { "" };
    format!(
        "{}, {how}{comma} parties and CreateTime are right",
        harmless(&reply.msg_type)
    )
}

/// The lines of it.
pub(crate) fn lines(reply: &Reply) -> Vec<String> {
    let fields = &reply.fields;
    let text = |path: &str| fields.text(path).unwrap_or_default();
    let lines = match reply.msg_type.as_str() {
        "text" => text("Content").lines().map(str::to_owned).collect(),
        "image" => vec![format!("a picture (media id {})", text("Image.MediaId"))],
        "voice" => vec![format!("a recording (media id {})", text("Voice.MediaId"))],
        "video" => named(
            format!("a film (media id {})", text("Video.MediaId")),
            fields,
            &[
                ("title", "Video.Title"),
                ("description", "Video.Description"),
            ],
        ),
        "music" => named(
            format!("music (thumb media id {})", text("Music.ThumbMediaId")),
            fields,
            &[
                ("title", "Music.Title"),
                ("description", "Music.Description"),
                ("plays", "Music.MusicUrl"),
                ("on wifi", "Music.HQMusicUrl"),
            ],
        ),
        "news" => articles(fields)
            .into_iter()
            .take(reply.articles_shown)
            .enumerate()
            .flat_map(|(number, article)| {
                let title = article.text("Title").unwrap_or_default();
                let rest = [
                    ("text", "Description"),
                    ("picture", "PicUrl"),
                    ("opens", "Url"),
                ];
                named(format!("{}. {title}", number + 1), article, &rest)
            })
            .collect(),
        "transfer_customer_service" => match fields.text("TransInfo.KfAccount") {
            Some(account) => vec![format!(
                "(the chat goes to the customer service agent {account})"
            )],
            None => vec!["(the chat goes to customer service)".to_owned()],
        },
        other => vec![format!("({other})")],
    };
    lines.iter().map(|line| harmless(line)).collect()
}

/// A first line, and one for each of `rest` that is there.
fn named(first: String, fields: &Fields, rest: &[(&str, &str)]) -> Vec<String> {
    let mut lines = vec![first];
    for (name, path) in rest {
        if let Some(text) = fields.text(path).filter(|text| !text.is_empty()) {
            lines.push(format!("   {name}: {text}"));
        }
    }
    lines
}

/// The articles of a `news` reply, in either format.
pub(crate) fn articles(fields: &Fields) -> Vec<&Fields> {
    let items = match fields.get("Articles") {
        Some(Value::Fields(inner)) => inner.all("item"),
        Some(Value::List(items)) => items.iter().collect(),
        _ => Vec::new(),
    };
    let mut articles = Vec::new();
    for item in items {
        if let Value::Fields(article) = item {
            articles.push(article);
        }
    }
    articles
}
