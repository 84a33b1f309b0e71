//! Passive replies: the body of the answer to a push.
//!
//! A reply swaps the parties: it goes *to* the user, *from* the account. `success` and the empty body mean "no reply"
//! and are never encrypted. Anything WeChat cannot read makes it show the user a fault notice, so a text that would be
//! blank, news without articles, or media without an id, is sent as `success`.
//!
//! Out of scope: how many articles an answer may have (one to a message, eight to an event: WeChat drops the rest).
//!
//! An application's answer is read back by [`Reply::parse`].
//!
//! Source: official page on passive replies; limits in [`crate::limits`].

mod read;

use std::borrow::Cow;
use std::fmt;

use crate::limits::{MAX_ARTICLES, MAX_REPLY_TEXT_BYTES};
use crate::push::Format;
use crate::write::{Writer, allowed, is_allowed};

pub use read::ReadError;

/// The body that says: taken note of, no reply.
pub const SUCCESS: &[u8] = b"success";

/// What a user is answered. Shows only its kind in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply<'a> {
    /// No reply, said with `success`: what WeChat recommends.
    None,
    /// No reply, said with an empty body.
    Empty,
    /// A text.
    Text {
        /// At most 2048 bytes are sent; what is longer is cut between two characters.
        content: Cow<'a, str>,
    },
    /// A picture that was uploaded before.
    Image {
        /// From the upload.
        media_id: Cow<'a, str>,
    },
    /// A recording that was uploaded before.
    Voice {
        /// From the upload.
        media_id: Cow<'a, str>,
    },
    /// A film that was uploaded before.
    Video {
        /// From the upload.
        media_id: Cow<'a, str>,
        /// Shown above it.
        title: Option<Cow<'a, str>>,
        /// Shown below it.
        description: Option<Cow<'a, str>>,
    },
    /// A link to music.
    Music {
        /// Shown first.
        title: Option<Cow<'a, str>>,
        /// Shown second.
        description: Option<Cow<'a, str>>,
        /// Where the music is.
        music_url: Option<Cow<'a, str>>,
        /// The same in better quality, used on Wi-Fi.
        hq_music_url: Option<Cow<'a, str>>,
        /// From the upload of the picture.
        thumb_media_id: Cow<'a, str>,
    },
    /// Linked articles with pictures.
    News {
        /// The first eight are sent.
        articles: Cow<'a, [Article<'a>]>,
    },
    /// Hands the chat to human agents.
    TransferCustomerService {
        /// A certain agent, `name@account`.
        kf_account: Option<Cow<'a, str>>,
    },
}

/// One article of a news reply.
#[derive(Clone, PartialEq, Eq)]
pub struct Article<'a> {
    /// Shown first.
    pub title: Cow<'a, str>,
    /// Shown below it, when it is the only article.
    pub description: Cow<'a, str>,
    /// A JPG or PNG, 360×200 or 200×200.
    pub pic_url: Cow<'a, str>,
    /// Where a tap leads.
    pub url: Cow<'a, str>,
}

impl Reply<'_> {
    /// Whether the body is `success` or empty, and so must not be encrypted.
    pub fn is_silent(&self) -> bool {
        match self {
            Self::None | Self::Empty => true,
            Self::Text { content } => is_blank(content),
            Self::News { articles } => articles.is_empty(),
            Self::Image { media_id } | Self::Voice { media_id } | Self::Video { media_id, .. } => {
                is_blank(media_id)
            }
            Self::Music { thumb_media_id, .. } => is_blank(thumb_media_id),
            Self::TransferCustomerService { .. } => false,
        }
    }

    /// The `MsgType` it is sent as; none when there is no reply.
    pub fn msg_type(&self) -> Option<&'static str> {
        Some(match self {
            Self::None | Self::Empty => return None,
            Self::Text { .. } => "text",
            Self::Image { .. } => "image",
            Self::Voice { .. } => "voice",
            Self::Video { .. } => "video",
            Self::Music { .. } => "music",
            Self::News { .. } => "news",
            Self::TransferCustomerService { .. } => "transfer_customer_service",
        })
    }

    /// The body of the answer. `to_user_name` is the user's openid, `from_user_name` the account's original id,
    /// `create_time` now in Unix seconds.
    pub fn encode(
        &self,
        format: Format,
        to_user_name: &str,
        from_user_name: &str,
        create_time: u64,
    ) -> Vec<u8> {
        let Some(msg_type) = self.msg_type().filter(|_| !self.is_silent()) else {
            return if *self == Self::Empty {
                Vec::new()
            } else {
                SUCCESS.to_vec()
            };
        };
        let mut writer = Writer::new(format, 320 + self.size_hint());
        writer.text("ToUserName", to_user_name);
        writer.text("FromUserName", from_user_name);
        writer.number("CreateTime", create_time);
        writer.text("MsgType", msg_type);
        self.write_body(&mut writer);
        writer.finish()
    }

    fn write_body(&self, writer: &mut Writer) {
        match self {
            Self::None | Self::Empty => {}
            Self::Text { content } => writer.text("Content", cut(&allowed(content))),
            Self::Image { media_id } => writer.object("Image", |w| w.text("MediaId", media_id)),
            Self::Voice { media_id } => writer.object("Voice", |w| w.text("MediaId", media_id)),
            Self::Video {
                media_id,
                title,
                description,
            } => writer.object("Video", |w| {
                w.text("MediaId", media_id);
                w.optional("Title", title.as_deref());
                w.optional("Description", description.as_deref());
            }),
            Self::Music {
                title,
                description,
                music_url,
                hq_music_url,
                thumb_media_id,
            } => {
                writer.object("Music", |w| {
                    w.optional("Title", title.as_deref());
                    w.optional("Description", description.as_deref());
                    w.optional("MusicUrl", music_url.as_deref());
                    w.optional("HQMusicUrl", hq_music_url.as_deref());
                    w.text("ThumbMediaId", thumb_media_id);
                });
            }
            Self::News { articles } => {
                let articles = articles.get(..MAX_ARTICLES).unwrap_or(articles);
                writer.number("ArticleCount", articles.len() as u64);
                writer.list("Articles", articles, |w, article| {
                    w.text("Title", &article.title);
                    w.text("Description", &article.description);
                    w.text("PicUrl", &article.pic_url);
                    w.text("Url", &article.url);
                });
            }
            Self::TransferCustomerService { kf_account } => {
                if let Some(kf_account) = kf_account {
                    writer.object("TransInfo", |w| w.text("KfAccount", kf_account));
                }
            }
        }
    }

    /// Room for the texts, so that most bodies are written without growing.
    fn size_hint(&self) -> usize {
        match self {
            Self::Text { content } => content.len().min(MAX_REPLY_TEXT_BYTES),
            Self::News { articles } => {
                let size = |a: &Article<'_>| {
                    a.title.len() + a.description.len() + a.pic_url.len() + a.url.len() + 128
                };
                articles.iter().take(MAX_ARTICLES).map(size).sum()
            }
            _ => 256,
        }
    }
}

/// Whether nothing of what is sent of a text can be seen.
fn is_blank(text: &str) -> bool {
    let mut sent = 0;
    for char in text.chars().filter(|char| is_allowed(*char)) {
        sent += char.len_utf8();
        if sent > MAX_REPLY_TEXT_BYTES {
            break;
        }
        if !char.is_whitespace() {
            return false;
        }
    }
    true
}

/// At most as much of a text as may be sent.
pub(crate) fn cut(text: &str) -> &str {
    if text.len() <= MAX_REPLY_TEXT_BYTES {
        return text;
    }
    let end = (0..=MAX_REPLY_TEXT_BYTES)
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Reply(empty)"),
            other => write!(f, "Reply({})", other.msg_type().unwrap_or("success")),
        }
    }
}

impl fmt::Debug for Article<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Article(…)")
    }
}
