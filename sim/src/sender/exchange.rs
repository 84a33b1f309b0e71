//! What came of a push.

use std::time::Duration;

use crate::fields::Fields;
use crate::http::Response;

/// Every attempt, and what the user sees in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// In order; the last one decided.
    pub attempts: Vec<Attempt>,
    /// Judged for every push, also for those whose reply WeChat would not show (unsubscribe, VIEW).
    pub reply: UserSees,
}

/// One request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// Since the first attempt's start.
    pub started_after: Duration,
    /// Until the answer was complete, the connection broke, or time was up.
    pub took: Duration,
    /// The answer, whatever its status.
    pub response: Option<Response>,
    /// What it counts as.
    pub outcome: Outcome,
}

impl Attempt {
    /// The HTTP status, if there was an answer.
    pub fn status(&self) -> Option<u16> {
        self.response.as_ref().map(|response| response.status)
    }
}

/// What an attempt counts as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// 200 in time: the exchange ends here.
    Answered,
    /// Another status: the next attempt follows. Redirects are not followed.
    Refused,
    /// Nothing in time; the connection was closed.
    Cut,
    /// No connection, or no proper HTTP answer; why, in words.
    Broken(String),
}

/// What the user sees in the chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserSees {
    /// Nothing: `success` or an empty answer.
    Nothing,
    /// A message.
    Reply(Reply),
    /// 该公众号提供的服务出现故障，请稍后再试
    ServiceFault(Fault),
}

impl UserSees {
    /// The content of a text reply.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Reply(reply) => reply.text(),
            Self::Nothing | Self::ServiceFault(_) => None,
        }
    }
}

/// A reply that passed every check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Decrypted, all of them.
    pub fields: Fields,
    /// `text`, `news` …
    pub msg_type: String,
    /// Whether it came encrypted; its `MsgSignature` was right then.
    pub encrypted: bool,
    /// Articles the user gets: surplus ones are dropped. 0 for other types.
    pub articles_shown: usize,
}

impl Reply {
    /// The content of a text reply.
    pub fn text(&self) -> Option<&str> {
        if self.msg_type == "text" {
            self.fields.text("Content")
        } else {
            None
        }
    }

    /// One line for people.
    pub fn summary(&self) -> String {
        match (self.text(), self.articles_shown) {
            (Some(text), _) => format!("“{}”", text.replace('\n', "⏎")),
            (None, 0) => format!("({})", self.msg_type),
            (None, n) => {
                let first = self
                    .fields
                    .get("Articles")
                    .map(articles)
                    .and_then(|items| items.first()?.text("Title"));
                format!(
                    "({} article{}) “{}”",
                    n,
                    if n == 1 { "" } else { "s" },
                    first.unwrap_or_default()
                )
            }
        }
    }
}

/// The items of `Articles`, in either format: `<item>` elements, or an array.
pub(super) fn articles(value: &crate::fields::Value) -> Vec<&Fields> {
    use crate::fields::Value;
    let items: Vec<&Value> = match value {
        Value::Fields(fields) => fields.all("item"),
        Value::List(items) => items.iter().collect(),
        Value::Text(_) | Value::Number(_) => Vec::new(),
    };
    items
        .into_iter()
        .filter_map(|item| {
            if let Value::Fields(fields) = item {
                Some(fields)
            } else {
                None
            }
        })
        .collect()
}

/// Why the user sees the fault notice. Carries no openid and nothing of the content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Every attempt failed.
    #[error("no answer: every attempt failed")]
    NoAnswer,
    /// XML is expected and JSON came.
    #[error("JSON, and the account's format is XML")]
    JsonInsteadOfXml,
    /// JSON is expected and XML came.
    #[error("XML, and the account's format is JSON")]
    XmlInsteadOfJson,
    /// Anything beside the document: blanks, a declaration, words.
    #[error(
        "stray text: the answer has to start with <xml> and end with </xml>, or be a JSON object, success or empty"
    )]
    StrayText,
    /// It does not parse.
    #[error("malformed: {0}")]
    Malformed(String),
    /// The same field twice.
    #[error("field {0} occurs twice")]
    Repeated(String),
    /// Readable, in safe mode.
    #[error("not encrypted, and the account is in safe mode")]
    NotEncrypted,
    /// Encrypted, in plain mode.
    #[error("encrypted, and the account is in plain mode")]
    Encrypted,
    /// `MsgSignature` does not fit the envelope's `TimeStamp`, `Nonce` and `Encrypt`.
    #[error("MsgSignature does not match")]
    MsgSignature,
    /// `Encrypt` cannot be decrypted.
    #[error("Encrypt cannot be read: {0}")]
    Undecryptable(crate::wechat::cipher::Undecryptable),
    /// Not the user who sent the push.
    #[error("ToUserName is not the user who sent the push")]
    ToUserName,
    /// Not the account that got the push.
    #[error("FromUserName is not the account")]
    FromUserName,
    /// A required field is absent, empty, or no leaf.
    #[error("{0} is missing or empty")]
    Missing(&'static str),
    /// Not a whole number.
    #[error("{0} is not a whole number")]
    NotANumber(&'static str),
    /// No type WeChat knows.
    #[error("no such reply type: MsgType {0:?}")]
    MsgType(String),
    /// More than 2048 bytes of text.
    #[error("Content is {0} bytes; 2048 is the limit")]
    TextTooLong(usize),
    /// `ArticleCount` is wrong, or not between 1 and 8.
    #[error(
        "ArticleCount says {declared}, Articles holds {found}; between 1 and 8 and equal is right"
    )]
    ArticleCount {
        /// What `ArticleCount` says.
        declared: usize,
        /// Items in `Articles`.
        found: usize,
    },
}
