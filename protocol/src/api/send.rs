//! Answers to active messages: template, subscribe and customer-service messages.
//!
//! Source: official pages on sending them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{AnswerError, judge, read};

/// WeChat's answer to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendAnswer<'a> {
    /// It says `"errcode":0` in so many words. A page of somebody in between does not, whatever its status.
    pub says_so: bool,
    /// The message's id in digits, where there is one. It exceeds 2^53. Customer-service messages have none.
    pub msgid: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    errcode: Option<i64>,
    #[serde(borrow)]
    errmsg: Option<Cow<'a, str>>,
    #[serde(borrow)]
    msgid: Option<&'a RawValue>,
}

impl<'a> SendAnswer<'a> {
    /// Reads an answer.
    ///
    /// # Errors
    /// When WeChat refused, or the answer is not a JSON object.
    pub fn parse(answer: &'a [u8]) -> Result<Self, AnswerError> {
        let fields: Fields<'a> = read(answer)?;
        judge(fields.errcode, fields.errmsg.as_deref())?;
        Ok(Self {
            says_so: fields.errcode.is_some(),
            msgid: fields.msgid.map(RawValue::get).and_then(|text| {
                // Digits, or digits in quotes.
                if text.starts_with('"') {
                    serde_json::from_str(text).ok().map(Cow::Owned)
                } else {
                    Some(Cow::Borrowed(text))
                }
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::SendAnswer;
    use crate::api::AnswerError;

    #[test]
    fn ids_come_as_numbers_and_as_texts() {
        for (answer, says_so, msgid) in [
            (
                r#"{"errcode":0,"errmsg":"ok","msgid":9223372036854775808}"#,
                true,
                Some("9223372036854775808"),
            ),
            (r#"{"errcode":0,"msgid":"12"}"#, true, Some("12")),
            (r#"{"errcode":0,"errmsg":"ok"}"#, true, None),
            (r#"{"msgid":null}"#, false, None),
            ("{}", false, None),
        ] {
            let read = SendAnswer::parse(answer.as_bytes()).unwrap();
            assert_eq!(
                (read.says_so, read.msgid.as_deref()),
                (says_so, msgid),
                "{answer}"
            );
        }
    }

    #[test]
    fn a_refusal_is_none_and_neither_is_a_page() {
        let refused = SendAnswer::parse(br#"{"errcode":43101,"errmsg":"refuse"}"#);
        let Err(AnswerError::Refused(error)) = refused else {
            panic!("it was refused");
        };
        assert_eq!((error.errcode, error.errmsg.as_str()), (43101, "refuse"));
        assert_eq!(SendAnswer::parse(b"<html>"), Err(AnswerError::Malformed));
    }
}
