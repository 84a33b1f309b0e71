//! What became of a message, for programs that do not want to know WeChat's codes.

use std::borrow::Cow;

use weir_protocol::api::{self, AnswerError, Class};

/// In answers to messages: what became of them.
pub const RESULT_HEADER: &str = "x-weir-result";

/// What an answer to a message means, for programs that do not want to know WeChat's codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// `sent`, or why not: the class of the errcode.
    result: &'static str,
    /// Whether the same message may be sent again later with a chance.
    retryable: bool,
}

impl Verdict {
    /// Nobody knows.
    pub(crate) const UNKNOWN: Self = Self {
        result: "unknown",
        retryable: false,
    };

    /// The value of the header [`RESULT_HEADER`]: `sent`, `recipient`, `minute_quota; retryable`.
    #[must_use]
    pub fn header(self) -> Cow<'static, str> {
        if self.retryable {
            format!("{}; retryable", self.result).into()
        } else {
            self.result.into()
        }
    }

    /// What WeChat's answer to a message says.
    #[must_use]
    pub fn of(answer: &[u8]) -> Self {
        Self::by(&api::check(answer))
    }

    /// The same of an answer that has been read.
    pub(crate) fn by(said: &Result<(), AnswerError>) -> Self {
        match said {
            Ok(()) => Self {
                result: "sent",
                retryable: false,
            },
            Err(AnswerError::Refused(error)) => {
                let class = error.class();
                let retryable = matches!(
                    class,
                    Class::Transient | Class::Token | Class::DailyQuota | Class::MinuteQuota
                );
                Self {
                    result: class.name(),
                    retryable,
                }
            }
            Err(AnswerError::Malformed) => Self::UNKNOWN,
        }
    }
}
