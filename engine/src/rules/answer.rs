//! What a rule answers.

use std::borrow::Cow;

use sha1::{Digest as _, Sha1};
use weir_protocol::push::Kind;
use weir_protocol::reply::{Article, Reply};

use super::{Facts, FactsNeeded, Subject};
use crate::template::{Placeholder, Template};

/// What a rule answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `success`: nothing is shown.
    None,
    /// A text; one that comes out empty is not sent, since WeChat reports an empty text as a fault.
    Text(Template),
    /// An uploaded picture, by media id.
    Image(String),
    /// An uploaded recording, by media id.
    Voice(String),
    /// An uploaded film.
    Video {
        /// From the upload.
        media_id: String,
        /// Shown above it.
        title: Option<Template>,
        /// Shown below it.
        description: Option<Template>,
    },
    /// A link to music.
    Music {
        /// Shown first.
        title: Option<Template>,
        /// Shown second.
        description: Option<Template>,
        /// Where the music is.
        music_url: Option<Template>,
        /// The same in better quality.
        hq_music_url: Option<Template>,
        /// From the upload of the picture.
        thumb_media_id: String,
    },
    /// News articles.
    News(Vec<ArticleTemplate>),
    /// Hands the chat to human agents, or to a certain one.
    Transfer(Option<String>),
    /// One of several.
    OneOf(OneOf),
}

/// Answers by weight.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OneOf(pub Vec<(u32, Answer)>);

/// One article of a news reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArticleTemplate {
    /// Heading.
    pub title: Template,
    /// Text below it.
    pub description: Template,
    /// URL of the picture, 360×200 or 200×200.
    pub pic_url: Template,
    /// Where a tap leads.
    pub url: Template,
}

impl Answer {
    /// Whether a placeholder needs what the store knows.
    #[must_use]
    pub fn asks_facts(&self) -> bool {
        let asks = |templates: &[&Option<Template>]| {
            templates
                .iter()
                .copied()
                .flatten()
                .any(Template::asks_facts)
        };
        match self {
            Self::None | Self::Image(_) | Self::Voice(_) | Self::Transfer(_) => false,
            Self::Text(template) => template.asks_facts(),
            Self::Video {
                title, description, ..
            } => asks(&[title, description]),
            Self::Music {
                title,
                description,
                music_url,
                hq_music_url,
                ..
            } => asks(&[title, description, music_url, hq_music_url]),
            Self::News(articles) => articles.iter().any(|article| {
                [
                    &article.title,
                    &article.description,
                    &article.pic_url,
                    &article.url,
                ]
                .into_iter()
                .any(Template::asks_facts)
            }),
            Self::OneOf(OneOf(answers)) => answers.iter().any(|(_, answer)| answer.asks_facts()),
        }
    }

    pub(super) fn build(
        &self,
        subject: &Subject<'_>,
        identity: &[u8],
        facts: Option<&Facts>,
    ) -> Result<Reply<'static>, FactsNeeded> {
        if let Self::OneOf(answers) = self {
            return match answers.choose(identity) {
                // The configuration has no choice within a choice.
                Some(Self::OneOf(_)) | None => Ok(Reply::None),
                Some(answer) => answer.build(subject, identity, facts),
            };
        }
        if facts.is_none() && self.asks_facts() {
            return Err(FactsNeeded);
        }
        let value = |placeholder: &Placeholder| subject.value(placeholder, facts);
        let text = |template: &Template| Cow::Owned(template.render(value));
        let optional = |template: &Option<Template>| template.as_ref().map(text);
        let owned = |text: &String| Cow::Owned(text.clone());
        Ok(match self {
            Self::None | Self::OneOf(_) => Reply::None,
            Self::Text(template) => {
                let content = template.render(value);
                if content.trim().is_empty() {
                    Reply::None
                } else {
                    Reply::Text {
                        content: Cow::Owned(content),
                    }
                }
            }
            Self::Image(media_id) => Reply::Image {
                media_id: owned(media_id),
            },
            Self::Voice(media_id) => Reply::Voice {
                media_id: owned(media_id),
            },
            Self::Video {
                media_id,
                title,
                description,
            } => Reply::Video {
                media_id: owned(media_id),
                title: optional(title),
                description: optional(description),
            },
            Self::Music {
                title,
                description,
                music_url,
                hq_music_url,
                thumb_media_id,
            } => Reply::Music {
                title: optional(title),
                description: optional(description),
                music_url: optional(music_url),
                hq_music_url: optional(hq_music_url),
                thumb_media_id: owned(thumb_media_id),
            },
            Self::News(articles) => Reply::News {
                articles: articles
                    .iter()
                    .map(|article| Article {
                        title: text(&article.title),
                        description: text(&article.description),
                        pic_url: text(&article.pic_url),
                        url: text(&article.url),
                    })
                    .collect(),
            },
            Self::Transfer(kf_account) => Reply::TransferCustomerService {
                kf_account: kf_account.as_ref().map(owned),
            },
        })
    }
}

impl OneOf {
    /// The same answer for the same push, whoever asks.
    fn choose(&self, identity: &[u8]) -> Option<&Answer> {
        let total: u32 = self
            .0
            .iter()
            .fold(0, |sum, (weight, _)| sum.saturating_add(*weight));
        let mut left = number(&Sha1::digest(identity)).checked_rem(total)?;
        for (weight, answer) in &self.0 {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return Some(answer),
            }
        }
        None
    }
}

/// A number from the beginning of a digest.
pub(super) fn number(digest: &[u8]) -> u32 {
    digest
        .iter()
        .take(4)
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

impl<'p> Subject<'p> {
    fn value<'v>(
        &'v self,
        placeholder: &Placeholder,
        facts: Option<&'v Facts>,
    ) -> Option<Cow<'v, str>> {
        let borrowed = |text: &'v str| Some(Cow::Borrowed(text));
        let facts = || facts.map(|facts| (facts.remark.as_str(), facts.nickname.as_str()));
        match placeholder {
            Placeholder::OpenId => borrowed(self.push.openid()),
            Placeholder::Scene => self.scene().and_then(borrowed),
            Placeholder::Content => match self.kind {
                Kind::Text { content } => borrowed(content),
                _ => None,
            },
            Placeholder::EventKey => self.push.event_key().and_then(borrowed),
            Placeholder::Remark => facts().and_then(|(remark, _)| borrowed(remark)),
            Placeholder::Nickname => facts().and_then(|(_, nickname)| borrowed(nickname)),
            Placeholder::Name => facts().and_then(|(remark, nickname)| {
                borrowed(if remark.is_empty() { nickname } else { remark })
            }),
            Placeholder::Field(path) => self.field(path).map(Cow::Borrowed),
        }
    }
}
