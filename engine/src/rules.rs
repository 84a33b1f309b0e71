//! Which reply a push gets, by configuration.
//!
//! Rules are tried in order; the first that matches decides. A push that no rule matches is acknowledged
//! without a reply. A rule without a condition matches every message (not events: WeChat shows no reply to
//! most of them). A decision depends on the push and the rules alone, so any worker rebuilds the same reply.

use std::borrow::Cow;

use weir_protocol::push::{Kind, Push};
use weir_protocol::reply::{Article, Reply};

use crate::template::{Placeholder, Template};

/// When a rule applies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Every message.
    AnyMessage,
    /// A message of this `MsgType`.
    Message(String),
    /// A text message that is this word, blanks around it and letter case aside.
    Keyword(String),
    /// An event of this name (letter case aside).
    Event {
        /// `Event`.
        event: String,
        /// The scene of a followed or scanned QR code; `None`: any, or none at all.
        scene: Option<String>,
        /// `EventKey`, exactly; `None`: any.
        event_key: Option<String>,
    },
}

/// What a rule answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `success`: nothing is shown.
    None,
    /// A text; one that comes out empty is not sent, since WeChat reports an empty text as a fault.
    Text(Template),
    /// News articles.
    News(Vec<ArticleTemplate>),
}

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

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// When it applies.
    pub when: When,
    /// What it answers.
    pub answer: Answer,
}

/// The rules of an account, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(pub Vec<Rule>);

impl Rules {
    /// The reply to a push.
    #[must_use]
    pub fn decide(&self, push: &Push<'_>) -> Reply<'static> {
        let kind = push.kind();
        let rule = self.0.iter().find(|rule| rule.when.matches(push, &kind));
        rule.map_or(Reply::None, |rule| rule.answer.build(push, &kind))
    }
}

impl When {
    fn matches(&self, push: &Push<'_>, kind: &Kind<'_>) -> bool {
        match self {
            Self::AnyMessage => push.event().is_none() && !matches!(kind, Kind::Component { .. }),
            Self::Message(msg_type) => push.event().is_none() && push.msg_type() == msg_type,
            Self::Keyword(word) => match kind {
                Kind::Text { content } => same_word(content.trim(), word),
                _ => false,
            },
            Self::Event {
                event,
                scene,
                event_key,
            } => {
                push.event().is_some_and(|e| e.eq_ignore_ascii_case(event))
                    && scene
                        .as_deref()
                        .is_none_or(|scene| scene_of(kind) == Some(scene))
                    && event_key
                        .as_deref()
                        .is_none_or(|key| push.event_key() == Some(key))
            }
        }
    }
}

impl Answer {
    fn build(&self, push: &Push<'_>, kind: &Kind<'_>) -> Reply<'static> {
        let value = |placeholder| match placeholder {
            Placeholder::OpenId => Some(push.openid()),
            Placeholder::Scene => scene_of(kind),
            Placeholder::Content => match kind {
                Kind::Text { content } => Some(*content),
                _ => None,
            },
            Placeholder::EventKey => push.event_key(),
        };
        match self {
            Self::None => Reply::None,
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
            Self::News(articles) => Reply::News {
                articles: articles
                    .iter()
                    .map(|article| Article {
                        title: Cow::Owned(article.title.render(value)),
                        description: Cow::Owned(article.description.render(value)),
                        pic_url: Cow::Owned(article.pic_url.render(value)),
                        url: Cow::Owned(article.url.render(value)),
                    })
                    .collect(),
            },
        }
    }
}

fn scene_of<'p>(kind: &Kind<'p>) -> Option<&'p str> {
    match kind {
        Kind::Subscribe { scene, .. } => *scene,
        Kind::Scan { scene, .. } => Some(scene),
        _ => None,
    }
}

fn same_word(text: &str, word: &str) -> bool {
    text.chars()
        .flat_map(char::to_lowercase)
        .eq(word.chars().flat_map(char::to_lowercase))
}
