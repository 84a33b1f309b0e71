//! One line of a recording: a stored event, or a request as it came in.

use std::borrow::Cow;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;
use weir_sim::Fields;
use weir_sim::wechat::cipher;

use crate::account::Known;

/// Types of events that hold a push begin with one of these. Source: the store's contract.
const PUSH_TYPES: [&str; 3] = ["weir.message.", "weir.event.", "weir.component."];

/// A push that was recorded.
#[derive(Debug)]
pub(super) struct Record {
    /// Its place among the accounts.
    pub(super) account: usize,
    /// What WeChat sent.
    pub(super) fields: Fields,
    /// When it came in, Unix milliseconds.
    pub(super) at_ms: Option<i64>,
}

/// What a line is that cannot be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unsendable {
    /// It should be one; why not.
    Bad(String),
    /// It is not a push, and need not be.
    NotAPush(String),
}

/// The members of both shapes.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    query: Option<&'a RawValue>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
    #[serde(borrow)]
    items: Option<&'a RawValue>,
    #[serde(borrow)]
    account: Option<Cow<'a, str>>,
    received_at_ms: Option<i64>,
}

/// What an event holds, as far as it matters here.
#[derive(Deserialize)]
struct PushData<'a> {
    #[serde(borrow)]
    account: Option<Cow<'a, str>>,
    received_at_ms: Option<i64>,
    #[serde(borrow)]
    push: &'a RawValue,
}

fn bad(why: impl Into<String>) -> Unsendable {
    Unsendable::Bad(why.into())
}

/// Reads a line that is for one of `accounts`.
pub(super) fn read(line: &str, accounts: &[Known]) -> Result<Record, Unsendable> {
    // The position is worth telling; the line is not, it may hold what people wrote.
    let parsed: Line<'_> = serde_json::from_str(line)
        .map_err(|error| bad(format!("not a JSON object (column {})", error.column())))?;
    if parsed.items.is_some() {
        return Err(bad(
            "a page of the store; write its items one per line, oldest first: jq -c '.items | reverse[]'",
        ));
    }
    match (parsed.data, parsed.body) {
        (Some(data), _) => event(&parsed, data, accounts),
        (None, Some(body)) => request(&parsed, body, accounts),
        (None, None) => Err(bad("neither an event (data) nor a request (body)")),
    }
}

fn event(line: &Line<'_>, data: &RawValue, accounts: &[Known]) -> Result<Record, Unsendable> {
    let kind = line.kind.as_deref().ok_or_else(|| bad("it has no type"))?;
    if !PUSH_TYPES.iter().any(|prefix| kind.starts_with(prefix)) {
        return Err(Unsendable::NotAPush(kind.to_owned()));
    }
    let data: PushData<'_> =
        serde_json::from_str(data.get()).map_err(|_| bad("its data holds no push"))?;
    let fields = Fields::from_json(data.push.get().as_bytes())
        .map_err(|error| bad(format!("its push: {error}")))?;
    let account = choose(data.account.as_deref(), &fields, accounts)?;
    record(account, fields, data.received_at_ms)
}

fn request(line: &Line<'_>, body: &RawValue, accounts: &[Known]) -> Result<Record, Unsendable> {
    let body: String =
        serde_json::from_str(body.get()).map_err(|_| bad("its body is not a text"))?;
    let outer = parse(body.as_bytes())?;
    let account = choose(line.account.as_deref(), &outer, accounts)?;
    let known = &accounts[account];
    let fields = match outer.text("Encrypt") {
        None => outer,
        Some(encrypt) => {
            let key = known
                .account
                .aes_key()
                .map_err(|_| bad("it is encrypted, and the account has no key"))?;
            let readable = cipher::decrypt(&key, encrypt, &known.account.appid)
                .map_err(|error| bad(format!("it cannot be decrypted: {error}")))?;
            parse(&readable)?
        }
    };
    let at_ms = line.received_at_ms.or_else(|| {
        let timestamp = query(line.query?, "timestamp")?;
        Some(timestamp.parse::<i64>().ok()?.saturating_mul(1000))
    });
    record(account, fields, at_ms)
}

fn record(account: usize, fields: Fields, at_ms: Option<i64>) -> Result<Record, Unsendable> {
    if ["MsgType", "InfoType"]
        .iter()
        .all(|name| fields.text(name).is_none())
    {
        return Err(bad("the push has no MsgType"));
    }
    let create_time = || {
        let seconds: i64 = fields.text("CreateTime")?.parse().ok()?;
        Some(seconds.saturating_mul(1000))
    };
    Ok(Record {
        account,
        at_ms: at_ms.or_else(create_time),
        fields,
    })
}

fn parse(body: &[u8]) -> Result<Fields, Unsendable> {
    match body.trim_ascii_start().first() {
        Some(b'{') => Fields::from_json(body).map_err(|error| bad(format!("its body: {error}"))),
        _ => Fields::from_xml(body).map_err(|error| bad(format!("its body: {error}"))),
    }
}

/// A parameter of a query, which may be a text or an object.
fn query(raw: &RawValue, name: &str) -> Option<String> {
    if let Ok(text) = serde_json::from_str::<String>(raw.get()) {
        return text.trim_start_matches('?').split('&').find_map(|pair| {
            let (n, value) = pair.split_once('=')?;
            (n == name).then(|| value.to_owned())
        });
    }
    let map: HashMap<String, serde_json::Value> = serde_json::from_str(raw.get()).ok()?;
    match map.get(name)? {
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// By the name that was recorded, else by the original id, else the only one there is.
fn choose(name: Option<&str>, fields: &Fields, accounts: &[Known]) -> Result<usize, Unsendable> {
    // One that was told by flags stands for all.
    if let [only] = accounts
        && only.path.is_none()
    {
        return Ok(0);
    }
    let original_id = fields.text("ToUserName");
    let found = match name {
        Some(name) => accounts.iter().position(|k| k.account.name == name),
        None => accounts
            .iter()
            .position(|k| Some(k.account.original_id.as_str()) == original_id),
    };
    found.ok_or_else(|| match name {
        Some(name) => Unsendable::NotAPush(format!("of account {name:?}, which is not chosen")),
        None => bad("its ToUserName is none of the accounts"),
    })
}
