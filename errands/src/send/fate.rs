//! What became of one message: a line of the journal, and a line of the report.

use serde::{Deserialize, Serialize};

/// In one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// WeChat took it.
    Sent,
    /// It was not sent, for certain.
    Refused,
    /// It may have been sent.
    Unknown,
}

/// What became of a message. Holds nothing of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// In one word.
    pub outcome: Outcome,
    /// WeChat's, if it answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errcode: Option<i64>,
    /// WeChat's; a text, because it is larger than what JSON's numbers hold everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub msgid: Option<String>,
    /// Why it was not sent, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The key of the data that WeChat did not take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Whether the next run of the campaign sends it without being told to.
    pub retryable: bool,
}

impl Fate {
    /// WeChat took it.
    #[must_use]
    pub fn sent(errcode: i64, msgid: Option<String>) -> Self {
        Self {
            errcode: Some(errcode),
            msgid,
            ..Self::of(Outcome::Sent, None, false)
        }
    }

    /// It was not sent, and will not be unless it is asked for.
    #[must_use]
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::of(Outcome::Refused, Some(reason.into()), false)
    }

    /// It was not sent; the next run does.
    #[must_use]
    pub fn postponed(reason: impl Into<String>) -> Self {
        Self::of(Outcome::Refused, Some(reason.into()), true)
    }

    /// It was sent or not.
    #[must_use]
    pub fn unknown(reason: impl Into<String>, retryable: bool) -> Self {
        Self::of(Outcome::Unknown, Some(reason.into()), retryable)
    }

    /// With what WeChat answered.
    #[must_use]
    pub fn with_errcode(self, errcode: i64) -> Self {
        Self {
            errcode: Some(errcode),
            ..self
        }
    }

    fn of(outcome: Outcome, reason: Option<String>, retryable: bool) -> Self {
        Self {
            outcome,
            errcode: None,
            msgid: None,
            reason,
            field: None,
            retryable,
        }
    }
}
