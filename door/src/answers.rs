//! What the door answers by itself, in WeChat's own shape: every SDK reads that.

use std::borrow::Cow;

use serde_json::json;
use weir_engine::Response;

/// WeChat's code for an access token that it does not know.
pub(crate) const BAD_TOKEN: i64 = 40001;
/// For one whose time is over: an SDK fetches another and tries again.
pub(crate) const TOKEN_ENDED: i64 = 42001;
/// For a wrong AppSecret.
pub(crate) const BAD_SECRET: i64 = 40125;
/// For a wrong appid.
pub(crate) const BAD_APPID: i64 = 40013;
/// For what an account may not do.
pub(crate) const NO_PERMISSION: i64 = 48001;
/// For a day's calls used up.
pub(crate) const QUOTA: i64 = 45009;
/// For a message that is too long.
pub(crate) const TOO_LONG: i64 = 45002;
/// For what may work later.
pub(crate) const BUSY: i64 = -1;

/// A refusal.
pub(crate) fn error(status: u16, errcode: i64, errmsg: &str) -> Response {
    let errmsg = format!("weir: {errmsg}");
    reply(status, &json!({ "errcode": errcode, "errmsg": errmsg }))
}

/// What `token` and `stable_token` say.
pub(crate) fn token(access_token: &str, expires_in_s: u64) -> Response {
    reply(
        200,
        &json!({ "access_token": access_token, "expires_in": expires_in_s }),
    )
}

/// A document that is JSON already.
pub(crate) fn document(body: Vec<u8>) -> Response {
    Response {
        status: 200,
        content_type: Some("application/json; encoding=utf-8"),
        body: Cow::Owned(body),
    }
}

fn reply(status: u16, body: &serde_json::Value) -> Response {
    Response {
        status,
        ..document(body.to_string().into_bytes())
    }
}
