//! Users' profiles, up to a hundred in one call.
//!
//! Source: official pages on user information and its batch.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{AnswerError, check, read};
use crate::push::Format;
use crate::write::Writer;

/// Where [`write_user_batch`] is posted to, with an access token.
pub const USER_BATCH_PATH: &str = "/cgi-bin/user/info/batchget";

/// Most users in one call; more are refused (40032).
pub const MAX_BATCH: usize = 100;

/// One user. Shows nothing in `Debug`.
#[derive(Clone)]
pub struct UserInfo<'a> {
    /// Whose profile it is.
    pub openid: Cow<'a, str>,
    /// The object as WeChat wrote it: `subscribe`, `subscribe_time`, `unionid` … or, for a user who does not follow,
    /// little else than `subscribe: 0`.
    pub raw: &'a RawValue,
}

/// The body that asks for these users, of whom only the first hundred are asked for; texts in Chinese.
pub fn write_user_batch<S: AsRef<str>>(openids: &[S]) -> Vec<u8> {
    let openids = openids.get(..MAX_BATCH).unwrap_or(openids);
    let mut writer = Writer::new(Format::Json, 16 + 64 * openids.len());
    writer.list("user_list", openids, |writer, openid| {
        writer.text("openid", openid.as_ref());
        writer.text("lang", "zh_CN");
    });
    writer.finish()
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    user_info_list: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Openid<'a> {
    #[serde(borrow)]
    openid: Cow<'a, str>,
}

/// Reads the answer: the users, in WeChat's order.
///
/// # Errors
/// When WeChat refused, or the answer is not a list of objects that have an `openid`.
pub fn parse_user_batch(answer: &[u8]) -> Result<Vec<UserInfo<'_>>, AnswerError> {
    check(answer)?;
    let batch: Batch<'_> = read(answer)?;
    batch.user_info_list.into_iter().map(user).collect()
}

fn user(raw: &RawValue) -> Result<UserInfo<'_>, AnswerError> {
    let Openid { openid } = read(raw.get().as_bytes())?;
    Ok(UserInfo { openid, raw })
}

impl fmt::Debug for UserInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserInfo(…)")
    }
}
