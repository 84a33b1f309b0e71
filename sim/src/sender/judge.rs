//! Judges an answer as WeChat does, on the strict side of what is known.
//!
//! WeChat documents that an abnormal answer ("JSON instead of XML", malformed XML) makes the fault notice appear;
//! stray text, an empty `Content` and swapped parties are the community's findings. Where nobody knows (text over 2048
//! bytes, a field twice), this says fault: a backend that passes here passes there.
//!
//! Out of scope: structured answers that some business events want (`{"ErrCode":0}`), and whether a media id exists.

use super::exchange::{Fault, Reply, UserSees, articles};
use crate::fields::{Fields, Value};
use crate::push::Push;
use crate::wechat::signature::sign;
use crate::wechat::{Account, AesKey, Format, Mode, cipher};

/// Source: the older official page on passive replies.
const MAX_TEXT_BYTES: usize = 2048;
/// More are refused; answering a message, more than one is dropped. Source: the page on passive replies.
const MAX_ARTICLES: usize = 8;

pub(super) fn judge(account: &Account, key: Option<&AesKey>, push: &Push, body: &[u8]) -> UserSees {
    if body.is_empty() || body == b"success" {
        return UserSees::Nothing;
    }
    match read(account, key, push, body) {
        Ok(reply) => UserSees::Reply(reply),
        Err(fault) => UserSees::ServiceFault(fault),
    }
}

fn read(account: &Account, key: Option<&AesKey>, push: &Push, body: &[u8]) -> Result<Reply, Fault> {
    let outer = parse(account.format, body)?;
    let (fields, encrypted) = match (outer.get("Encrypt").is_some(), account.mode, key) {
        (false, Mode::Encrypted, _) => return Err(Fault::NotEncrypted),
        (false, _, _) => (outer, false),
        (true, Mode::Plain, _) | (true, _, None) => return Err(Fault::Encrypted),
        (true, _, Some(key)) => (parse(account.format, &open(account, key, &outer)?)?, true),
    };

    if required(&fields, "ToUserName")? != push.from_user_name() {
        return Err(Fault::ToUserName);
    }
    if required(&fields, "FromUserName")? != push.to_user_name() {
        return Err(Fault::FromUserName);
    }
    number(&fields, "CreateTime")?;
    let msg_type = required(&fields, "MsgType")?.to_owned();
    let articles_shown = check_content(&fields, &msg_type, push)?;
    Ok(Reply {
        fields,
        msg_type,
        encrypted,
        articles_shown,
    })
}

/// One document in the account's format, and nothing around it.
fn parse(format: Format, body: &[u8]) -> Result<Fields, Fault> {
    let first = body.trim_ascii_start().first().copied();
    let fields = match format {
        Format::Xml => {
            if first == Some(b'{') {
                return Err(Fault::JsonInsteadOfXml);
            }
            if !body.starts_with(b"<xml>") || !body.ends_with(b"</xml>") {
                return Err(Fault::StrayText);
            }
            Fields::from_xml(body).map_err(|error| Fault::Malformed(error.to_string()))?
        }
        Format::Json => {
            if first == Some(b'<') {
                return Err(Fault::XmlInsteadOfJson);
            }
            if !body.starts_with(b"{") || !body.ends_with(b"}") {
                return Err(Fault::StrayText);
            }
            Fields::from_json(body).map_err(|error| Fault::Malformed(error.to_string()))?
        }
    };
    match fields.repeated() {
        Some(name) => Err(Fault::Repeated(name.to_owned())),
        None => Ok(fields),
    }
}

/// Verifies the envelope's own signature, then decrypts.
fn open(account: &Account, key: &AesKey, outer: &Fields) -> Result<Vec<u8>, Fault> {
    let encrypt = required(outer, "Encrypt")?;
    let timestamp = number(outer, "TimeStamp")?;
    let nonce = required(outer, "Nonce")?;
    if required(outer, "MsgSignature")? != sign(&[&account.token, timestamp, nonce, encrypt]) {
        return Err(Fault::MsgSignature);
    }
    cipher::decrypt(key, encrypt, &account.appid).map_err(Fault::Undecryptable)
}

/// What each reply type demands. Returns the number of articles shown.
fn check_content(fields: &Fields, msg_type: &str, push: &Push) -> Result<usize, Fault> {
    match msg_type {
        "text" => {
            let length = required(fields, "Content")?.len();
            if length > MAX_TEXT_BYTES {
                return Err(Fault::TextTooLong(length));
            }
        }
        "image" => drop(required(fields, "Image.MediaId")?),
        "voice" => drop(required(fields, "Voice.MediaId")?),
        "video" => drop(required(fields, "Video.MediaId")?),
        "music" => drop(required(fields, "Music.ThumbMediaId")?),
        "news" => return check_news(fields, push),
        "transfer_customer_service" => {}
        other => return Err(Fault::MsgType(other.to_owned())),
    }
    Ok(0)
}

fn check_news(fields: &Fields, push: &Push) -> Result<usize, Fault> {
    let declared = number(fields, "ArticleCount")?
        .parse()
        .map_err(|_| Fault::NotANumber("ArticleCount"))?;
    let items = articles(fields.get("Articles").unwrap_or(&Value::List(Vec::new()))).len();
    if items != declared || !(1..=MAX_ARTICLES).contains(&items) {
        return Err(Fault::ArticleCount {
            declared,
            found: items,
        });
    }
    Ok(if push.is_event() { items } else { 1 })
}

fn required<'a>(fields: &'a Fields, path: &'static str) -> Result<&'a str, Fault> {
    fields
        .text(path)
        .filter(|text| !text.is_empty())
        .ok_or(Fault::Missing(path))
}

fn number<'a>(fields: &'a Fields, name: &'static str) -> Result<&'a str, Fault> {
    let text = required(fields, name)?;
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text)
    } else {
        Err(Fault::NotANumber(name))
    }
}
