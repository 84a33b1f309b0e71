//! The access token, by `stable_token`: every caller gets the same one, and no caller invalidates another's.
//!
//! Source: official pages on the access token and the stable access token.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;

use super::{AnswerError, check, read};
use crate::push::Format;
use crate::write::Writer;

/// Where [`StableTokenRequest`] is posted to.
pub const STABLE_TOKEN_PATH: &str = "/cgi-bin/stable_token";

/// Longest access token that is taken for one, in bytes. WeChat asks callers to have room for 512.
pub const MAX_ACCESS_TOKEN_BYTES: usize = 2048;

/// A request for an access token. Shows only the appid in `Debug`.
#[derive(Clone, Copy)]
pub struct StableTokenRequest<'a> {
    /// `wx…`
    pub appid: &'a str,
    /// The AppSecret.
    pub secret: &'a str,
    /// Makes a new token, and the one before it invalid at once: at most 20 times a day, never by itself.
    pub force_refresh: bool,
}

impl StableTokenRequest<'_> {
    /// The body to post.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::new(Format::Json, 96 + self.appid.len() + self.secret.len());
        writer.text("grant_type", "client_credential");
        writer.text("appid", self.appid);
        writer.text("secret", self.secret);
        writer.boolean("force_refresh", self.force_refresh);
        writer.finish()
    }
}

/// An access token. Shows only its lifetime in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenAnswer<'a> {
    /// Goes into the query of every call; has no character that would have to be escaped there.
    pub access_token: Cow<'a, str>,
    /// Seconds that it has left: at most 7200, and fewer when it is not new.
    pub expires_in: u64,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    access_token: Cow<'a, str>,
    expires_in: u64,
}

impl<'a> TokenAnswer<'a> {
    /// Reads the answer of `stable_token`, and of `token`.
    ///
    /// # Errors
    /// When WeChat refused, or the answer has no token that could go into a query.
    pub fn parse(answer: &'a [u8]) -> Result<Self, AnswerError> {
        check(answer)?;
        let Fields {
            access_token,
            expires_in,
        } = read(answer)?;
        let unreserved = |byte: u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'!')
        };
        if access_token.is_empty()
            || access_token.len() > MAX_ACCESS_TOKEN_BYTES
            || !access_token.bytes().all(unreserved)
        {
            return Err(AnswerError::Malformed);
        }
        Ok(Self {
            access_token,
            expires_in,
        })
    }
}

impl fmt::Debug for StableTokenRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StableTokenRequest")
            .field("appid", &self.appid)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TokenAnswer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAnswer")
            .field("expires_in", &self.expires_in)
            .finish_non_exhaustive()
    }
}
