//! Requests and answers of `api.weixin.qq.com`, as values.
//!
//! WeChat answers errors with HTTP 200 and an `errcode` in the body; the rule is that a missing `errcode`, or 0, is
//! success. Its Content-Type means nothing: JSON comes as `text/plain` too. Bodies are JSON in raw UTF-8, since
//! `\uXXXX` is refused (40033) or shown as such.
//!
//! Access tokens and secrets travel in these values, so their `Debug` shows nothing. What is sent where and when, and
//! what is tried again, is for the engine to decide.
//!
//! Source: official pages on calling the API and on return codes.

mod class;
mod custom;
mod send;
mod tag;
mod token;
mod user;

use std::borrow::Cow;

use serde::Deserialize;

pub use class::Class;
pub use custom::{CUSTOM_SEND_PATH, write_custom_message};
pub use send::SendAnswer;
pub use tag::{MAX_TAG_BATCH, TAG_BATCH_PATH, write_tag_batch};
pub use token::{MAX_ACCESS_TOKEN_BYTES, STABLE_TOKEN_PATH, StableTokenRequest, TokenAnswer};
pub use user::{MAX_BATCH, USER_BATCH_PATH, UserInfo, parse_user_batch, write_user_batch};

/// Where the API is served, by name: its addresses change.
pub const AUTHORITY: &str = "api.weixin.qq.com";

/// Longest `errmsg` that is kept, in bytes.
const MAX_ERRMSG_BYTES: usize = 256;

/// What WeChat refused, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("errcode {errcode}: {errmsg}")]
pub struct ApiError {
    /// Never 0.
    pub errcode: i64,
    /// For logs, without control characters and at most 256 bytes: it ends in a request id and changes freely, so
    /// nothing should depend on it. For 40164 it names our address.
    pub errmsg: String,
}

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// WeChat said no.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// Not JSON of the expected shape: an error page, or cut short.
    #[error("the answer cannot be read")]
    Malformed,
}

impl ApiError {
    /// What to do about it, if the call was anything but a fetch of an access token.
    pub fn class(&self) -> Class {
        Class::of(self.errcode)
    }

    /// What to do about it, if the call was to fetch an access token.
    pub fn token_call_class(&self) -> Class {
        Class::of_token_call(self.errcode)
    }
}

#[derive(Deserialize)]
struct Status<'a> {
    errcode: Option<i64>,
    #[serde(borrow)]
    errmsg: Option<Cow<'a, str>>,
}

/// Whether the answer to any call says success.
///
/// # Errors
/// When WeChat refused, or the answer is not a JSON object.
pub fn check(answer: &[u8]) -> Result<(), AnswerError> {
    let status: Status<'_> = read(answer)?;
    judge(status.errcode, status.errmsg.as_deref())
}

fn judge(errcode: Option<i64>, errmsg: Option<&str>) -> Result<(), AnswerError> {
    match errcode {
        None | Some(0) => Ok(()),
        Some(errcode) => Err(ApiError {
            errcode,
            errmsg: shown(errmsg.unwrap_or_default()),
        }
        .into()),
    }
}

/// The path of a call with its access token, which has no character that would have to be escaped.
pub fn path_with_token(path: &str, access_token: &str) -> String {
    format!("{path}?access_token={access_token}")
}

fn read<'a, T: Deserialize<'a>>(answer: &'a [u8]) -> Result<T, AnswerError> {
    serde_json::from_slice(answer).map_err(|_| AnswerError::Malformed)
}

fn shown(errmsg: &str) -> String {
    let mut shown = String::new();
    for char in errmsg.chars().filter(|char| !char.is_control()) {
        if shown.len() + char.len_utf8() > MAX_ERRMSG_BYTES {
            break;
        }
        shown.push(char);
    }
    shown
}
