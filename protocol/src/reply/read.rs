//! Reads what an application answers to a push that was forwarded to it.
//!
//! Three ways of saying it are understood, told apart by the body alone:
//! * WeChat's own, XML or JSON, known by its `MsgType`: what an application for WeChat answers anyway. Who it is from and
//!   to, and when, is not taken from it.
//! * The rules' own, in JSON: `{"text": "…"}`, also as the value of `reply`: `{"reply": {"text": "…"}}`.
//! * Nothing: an empty body, `success`, `{}`, `{"reply": null}` or `{"reply": "none"}`.
//!
//! Anything else is refused, so that no half-understood answer reaches a user.

use std::borrow::Cow;

use super::{Article, Reply};
use crate::document::{Document, trim};
use crate::error::ParseError;
use crate::fields::{Fields, Tree, Value};
use crate::limits::MAX_ARTICLES;
use crate::push::Format;
use crate::write::Writer;

/// Why an answer is no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Neither XML nor JSON within the bounds of this crate.
    #[error(transparent)]
    Malformed(#[from] ParseError),
    /// It does not say what to reply, or not all of it.
    #[error("the answer is not a reply")]
    NotAReply,
}

impl Reply<'static> {
    /// Reads an application's answer.
    ///
    /// # Errors
    /// It is none of the above.
    pub fn parse(body: &[u8]) -> Result<Self, ReadError> {
        let bare = std::str::from_utf8(body).map(trim);
        if matches!(bare, Ok("" | "success")) {
            return Ok(Self::None);
        }
        let document = Document::open(body)?;
        let mut tree = Tree::new(document.format);
        document.walk(&mut tree)?;
        let fields = tree.finish();
        let read = match fields.text("MsgType") {
            Some(msg_type) => wechat(trim(msg_type), &fields),
            None => match fields.get("reply") {
                Some(Value::Object(reply)) => rule(reply),
                Some(value) => (value.text() == Some("none")).then_some(Reply::None),
                None => rule(&fields),
            },
        };
        read.ok_or(ReadError::NotAReply)
    }

    /// The reply as rules write it, in JSON; `None` when there is nothing to say.
    pub fn to_json(&self) -> Option<Vec<u8>> {
        if self.is_silent() {
            return None;
        }
        let mut writer = Writer::new(Format::Json, self.size_hint());
        match self {
            Reply::None | Reply::Empty => {}
            Reply::Text { content } => writer.text("text", content),
            Reply::Image { media_id } => writer.text("image", media_id),
            Reply::Voice { media_id } => writer.text("voice", media_id),
            Reply::Video {
                media_id,
                title,
                description,
            } => writer.object("video", |w| {
                w.text("media_id", media_id);
                w.optional("title", title.as_deref());
                w.optional("description", description.as_deref());
            }),
            Reply::Music {
                title,
                description,
                music_url,
                hq_music_url,
                thumb_media_id,
            } => writer.object("music", |w| {
                w.optional("title", title.as_deref());
                w.optional("description", description.as_deref());
                w.optional("music_url", music_url.as_deref());
                w.optional("hq_music_url", hq_music_url.as_deref());
                w.text("thumb_media_id", thumb_media_id);
            }),
            Reply::News { articles } => writer.list("news", articles, |w, article| {
                w.text("title", &article.title);
                w.text("description", &article.description);
                w.text("pic_url", &article.pic_url);
                w.text("url", &article.url);
            }),
            Reply::TransferCustomerService { kf_account } => {
                writer.object("transfer_customer_service", |w| {
                    w.optional("kf_account", kf_account.as_deref());
                });
            }
        }
        Some(writer.finish())
    }
}

/// WeChat's own way.
fn wechat(msg_type: &str, fields: &Fields<'_>) -> Option<Reply<'static>> {
    let names = Names {
        media_id: "MediaId",
        title: "Title",
        description: "Description",
        music_url: "MusicUrl",
        hq_music_url: "HQMusicUrl",
        thumb_media_id: "ThumbMediaId",
        pic_url: "PicUrl",
        url: "Url",
    };
    Some(match msg_type {
        "text" => Reply::Text {
            content: owned(fields.get("Content"))?,
        },
        "image" => Reply::Image {
            media_id: owned(fields.get("Image")?.get(names.media_id))?,
        },
        "voice" => Reply::Voice {
            media_id: owned(fields.get("Voice")?.get(names.media_id))?,
        },
        "video" => names.video(fields.get("Video")?)?,
        "music" => names.music(fields.get("Music")?)?,
        "news" => match fields.get("Articles")? {
            // XML wraps each of them, JSON does not.
            Value::Object(wrapper) => names.news(wrapper.list("item"))?,
            Value::List(articles) => names.news(articles.iter())?,
            _ => return None,
        },
        "transfer_customer_service" => Reply::TransferCustomerService {
            kf_account: owned(fields.get("TransInfo").and_then(|i| i.get("KfAccount"))),
        },
        _ => return None,
    })
}

/// The rules' own way: one name, which says what it is.
fn rule(fields: &Fields<'_>) -> Option<Reply<'static>> {
    let names = Names {
        media_id: "media_id",
        title: "title",
        description: "description",
        music_url: "music_url",
        hq_music_url: "hq_music_url",
        thumb_media_id: "thumb_media_id",
        pic_url: "pic_url",
        url: "url",
    };
    let mut all = fields.iter();
    let Some((name, value)) = all.next() else {
        return Some(Reply::None);
    };
    if all.next().is_some() {
        return None;
    }
    Some(match name {
        "text" => Reply::Text {
            content: owned(Some(value))?,
        },
        "image" => Reply::Image {
            media_id: owned(Some(value))?,
        },
        "voice" => Reply::Voice {
            media_id: owned(Some(value))?,
        },
        "video" => names.video(value)?,
        "music" => names.music(value)?,
        "news" => names.news(fields.list(name))?,
        "transfer_customer_service" => match value {
            Value::Object(_) => Reply::TransferCustomerService {
                kf_account: owned(value.get("kf_account")),
            },
            _ => return None,
        },
        _ => return None,
    })
}

/// What the parts are called.
struct Names {
    media_id: &'static str,
    title: &'static str,
    description: &'static str,
    music_url: &'static str,
    hq_music_url: &'static str,
    thumb_media_id: &'static str,
    pic_url: &'static str,
    url: &'static str,
}

impl Names {
    fn video(&self, video: &Value<'_>) -> Option<Reply<'static>> {
        Some(Reply::Video {
            media_id: owned(video.get(self.media_id))?,
            title: owned(video.get(self.title)),
            description: owned(video.get(self.description)),
        })
    }

    fn music(&self, music: &Value<'_>) -> Option<Reply<'static>> {
        Some(Reply::Music {
            title: owned(music.get(self.title)),
            description: owned(music.get(self.description)),
            music_url: owned(music.get(self.music_url)),
            hq_music_url: owned(music.get(self.hq_music_url)),
            thumb_media_id: owned(music.get(self.thumb_media_id))?,
        })
    }

    fn news<'v>(&self, articles: impl Iterator<Item = &'v Value<'v>>) -> Option<Reply<'static>> {
        let part =
            |article: &Value<'_>, name| owned(article.get(name)).unwrap_or(Cow::Borrowed(""));
        let articles: Option<Vec<_>> = articles
            .take(MAX_ARTICLES)
            .map(|article| {
                Some(Article {
                    title: owned(article.get(self.title))?,
                    description: part(article, self.description),
                    pic_url: part(article, self.pic_url),
                    url: part(article, self.url),
                })
            })
            .collect();
        Some(Reply::News {
            articles: Cow::Owned(articles?),
        })
    }
}

fn owned(value: Option<&Value<'_>>) -> Option<Cow<'static, str>> {
    Some(Cow::Owned(value?.text()?.to_owned()))
}
