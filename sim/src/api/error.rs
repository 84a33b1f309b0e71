//! WeChat's errors in WeChat's words.

use serde_json::{Value, json};

/// An `errcode`; its text comes from the table below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The code.
    pub errcode: i64,
    /// Goes into the text where WeChat puts a value: the address of 40164, the field of 47003.
    pub detail: Option<String>,
}

impl From<i64> for ApiError {
    fn from(errcode: i64) -> Self {
        Self {
            errcode,
            detail: None,
        }
    }
}

impl ApiError {
    /// The answer's body, with a request id as WeChat appends one.
    pub fn body(&self, now_s: i64) -> Value {
        let text = match (self.errcode, &self.detail) {
            (40164, Some(ip)) => format!("invalid ip {ip}, not in whitelist"),
            (47003, Some(field)) => format!("argument invalid! {field} invalid"),
            (errcode, _) => wording(errcode).to_owned(),
        };
        let rid = format!(
            "rid: {:08x}-{:08x}-{:08x}",
            now_s as u32,
            fastrand::u32(..),
            fastrand::u32(..)
        );
        json!({"errcode": self.errcode, "errmsg": format!("{text} {rid}")})
    }
}

fn wording(errcode: i64) -> &'static str {
    match errcode {
        -1 => "system error",
        40001 => {
            "invalid credential, access_token is invalid or not latest, could get access_token by \
             getStableAccessToken, more details at https://mmbizurl.cn/s/JtxxFh33r"
        }
        40002 => "invalid grant_type",
        40003 => "invalid openid",
        40004 => "invalid media type",
        40006 => "invalid meida size",
        40007 => "invalid media_id",
        40008 => "invalid message type",
        40013 => "invalid appid",
        40014 => "invalid access_token",
        40016 => "invalid button size",
        40018 => "invalid button name size",
        40023 => "invalid sub button size",
        40029 => "invalid code",
        40030 => "invalid refresh_token",
        40032 => "invalid openid list size",
        40056 => "invalid serial code",
        40073 => "invalid card id",
        40127 => {
            "invalid user-card status! Hint: the card was given to user, but may be deleted or expired"
        }
        45056 => "too many tag now, no need to add new",
        45057 => "can't delete the tag that has too many fans",
        45058 => "can't modify sys tag",
        45059 => "user has too many tags",
        45157 => "invalid tag name",
        45158 => "tag name too long",
        45159 => "invalid tag id",
        40037 => "invalid template_id",
        40066 => "invalid url",
        40097 => "invalid args",
        40125 => "invalid appsecret, view more at http://t.cn/RAEkdVq",
        40163 => "code been used",
        40164 => "invalid ip, not in whitelist",
        40226 => "high risk user, login has been blocked",
        41001 => "access_token missing",
        41002 => "appid missing",
        41003 => "refresh_token missing",
        41004 => "appsecret missing",
        41005 => "media data missing",
        41006 => "media_id missing",
        41008 => "missing code",
        41009 => "missing openid",
        42001 => "access_token expired",
        42002 => "refresh_token expired",
        42003 => "code expired",
        43001 => "require GET method",
        43002 => "require POST method",
        43004 => "require subscribe",
        43019 => "require remove blacklist",
        43101 => "user refuse to accept the msg",
        44001 => "empty media data",
        44002 => "empty post data",
        44004 => "empty content",
        45009 => "reach max api daily quota limit",
        45011 => "api minute-quota reach limit  mustslower  retry next minute",
        45015 => "response out of time limit or subscription is canceled",
        45047 => "out of response count limit",
        46003 => "menu no exist",
        47001 => "data format error",
        47003 => "argument invalid!",
        48001 => "api unauthorized",
        49003 => "not match openid with appid",
        48006 => "forbid to clear quota because of reaching the limit",
        76021 => "cgi_path not found",
        _ => "error",
    }
}
