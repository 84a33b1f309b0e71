//! What is said to clients. Nothing of it may be kept by a cache.

use serde_json::{Value, json};

use crate::config::Sessions;
use crate::effect::Answer;

fn answer(status: u16, content_type: &str, body: Vec<u8>) -> Answer {
    Answer {
        status,
        headers: vec![
            ("content-type", content_type.to_owned()),
            ("cache-control", "no-store".to_owned()),
            ("x-content-type-options", "nosniff".to_owned()),
        ],
        body,
    }
}

pub(crate) fn json(status: u16, body: &Value) -> Answer {
    answer(status, "application/json", body.to_string().into_bytes())
}

/// In WeChat's own shape: clients know it.
pub(crate) fn error(status: u16, errcode: i64, errmsg: &str) -> Answer {
    let errmsg = format!("weir: {errmsg}");
    json(status, &json!({ "errcode": errcode, "errmsg": errmsg }))
}

/// For people.
pub(crate) fn page(status: u16, text: &str) -> Answer {
    answer(
        status,
        "text/plain; charset=utf-8",
        text.as_bytes().to_vec(),
    )
}

pub(crate) fn empty(status: u16) -> Answer {
    Answer {
        status,
        headers: vec![("cache-control", "no-store".to_owned())],
        body: Vec::new(),
    }
}

pub(crate) fn redirect(to: String) -> Answer {
    let mut answer = empty(302);
    answer.headers.push(("location", to));
    answer
}

pub(crate) fn busy() -> Answer {
    error(503, -1, "WeChat does not answer now; try again later")
}

/// A cookie that scripts cannot read, for `lasts_s` seconds; 0 takes it away.
pub(crate) fn cookie(
    sessions: &Sessions,
    name: &str,
    value: &str,
    path: &str,
    lasts_s: u64,
) -> String {
    let secure = if sessions.secure { "; Secure" } else { "" };
    format!("{name}={value}; Path={path}; Max-Age={lasts_s}; HttpOnly; SameSite=Lax{secure}")
}
