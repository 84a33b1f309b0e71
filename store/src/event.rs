//! From the bytes of a request to events that can be stored.
//!
//! An event that is not one is refused by itself, with a sentence that says why; the others of its
//! batch are not concerned. All of this runs in the request's own task: the one writer is left with
//! nothing but the database.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use weir_store_api::read::Decision;
use weir_store_api::{ASK_UID, ASK_USER, EventResult, EventStatus};

use crate::fact::{self, Attributes, Change, Erasure, Fact, Sighting};
use crate::fold::Clock;
use crate::ledger::Claim;

/// Longest `id`. Source: weir-store-api.
pub(crate) const ID_MAX_BYTES: usize = 128;
/// Longest `source`, `type` and `subject`.
pub(crate) const NAME_MAX_BYTES: usize = 256;
/// Longest `weirclaim`. Source: weir-store-api.
const CLAIM_MAX_BYTES: usize = 64;

/// An event that can be stored, and what it tells.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// CloudEvents `source`.
    pub source: String,
    /// CloudEvents `id`; with `source` the event's name for good.
    pub id: String,
    /// CloudEvents `type`.
    pub kind: String,
    /// CloudEvents `time`, Unix milliseconds.
    pub at_ms: Option<i64>,
    /// CloudEvents `subject`.
    pub subject: Option<String>,
    /// CloudEvents `data`: its JSON text as it was sent.
    pub data: Option<String>,
    /// When the store read it, Unix milliseconds.
    pub stored_at_ms: i64,
    /// Whether the sender wants to know what is known of the user.
    pub asks_user: bool,
    /// Whether the sender wants to know which person the user is.
    pub asks_uid: bool,
    /// Who would do the work behind it.
    pub claim: Option<Claim>,
    /// What it tells.
    pub fact: Option<Fact>,
}

impl NewEvent {
    /// Whether it is of one of Weir's own types, but its data is not what that type promises.
    #[must_use]
    pub fn is_unread(&self) -> bool {
        self.kind.starts_with("weir.") && self.fact.is_none()
    }

    /// What is personal of an identity is to be erased now. The event tells the log so, and names nobody but by number.
    pub(crate) fn erasure(
        account: &str,
        openid: &str,
        uid: i64,
        decision: Option<Decision>,
        now_ms: i64,
    ) -> Self {
        let source = format!("/accounts/{account}");
        let id = format!("erase-{uid}-{now_ms}");
        let at = Clock::new(now_ms.div_euclid(1000), now_ms, &source, &id);
        Self {
            fact: Some(Fact {
                account: account.to_owned(),
                appid: None,
                at,
                sighting: Some(Sighting {
                    openid: openid.to_owned(),
                    change: Change::Erase(Erasure::Demand(decision.map(Box::new))),
                }),
                reply: None,
                sends: None,
                cards: Vec::new(),
            }),
            source,
            id,
            kind: "weir.user.erased".to_owned(),
            at_ms: Some(now_ms),
            subject: None,
            data: Some(format!(r#"{{"account":"{account}","uid":{uid}}}"#)),
            stored_at_ms: now_ms,
            asks_user: false,
            asks_uid: false,
            claim: None,
        }
    }

    /// The user it is about, as far as it says.
    pub(crate) fn user(&self) -> Option<&str> {
        let sighting = self.fact.as_ref().and_then(|fact| fact.sighting.as_ref());
        sighting.map_or(self.subject.as_deref(), |sighting| {
            Some(sighting.openid.as_str())
        })
    }
}

/// What cannot be stored, ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The event's `id`, as far as it had one.
    pub id: String,
    /// One plain sentence, without the event's contents.
    pub reason: &'static str,
}

impl From<Rejection> for EventResult {
    fn from(rejection: Rejection) -> Self {
        Self {
            id: rejection.id,
            status: EventStatus::Rejected,
            reason: Some(rejection.reason.to_owned()),
            user: None,
            uid: None,
            work: None,
        }
    }
}

/// A CloudEvent before anything is demanded of it. Unknown attributes are not kept.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    specversion: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    time: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    subject: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    weirask: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    weirclaim: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    weirleasems: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data_base64: Option<&'a RawValue>,
}

/// Reads one event in structured mode. `now_ms`: Unix milliseconds.
///
/// # Errors
/// It is not a CloudEvent 1.0 that can be kept.
pub fn read(raw: &RawValue, max_bytes: usize, now_ms: i64) -> Result<NewEvent, Rejection> {
    let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(raw.get()) else {
        return Err(Rejection {
            id: id_at_least(raw),
            reason: "it is not a CloudEvent in structured JSON mode",
        });
    };
    let reject = |reason| Rejection {
        id: shortened(envelope.id.as_deref().unwrap_or_default()),
        reason,
    };
    if raw.get().len() > max_bytes {
        return Err(reject("it is larger than one event may be"));
    }
    if envelope.specversion.as_deref() != Some("1.0") {
        return Err(reject("its specversion is not 1.0"));
    }
    if envelope.data_base64.is_some() {
        return Err(reject("it carries data_base64; only JSON data is kept"));
    }
    let name = |text: &Option<Cow<'_, str>>, max_bytes: usize, reason| match text.as_deref() {
        Some(text) if is_name(text, max_bytes) => Ok(text.to_owned()),
        _ => Err(reject(reason)),
    };
    let id = name(
        &envelope.id,
        ID_MAX_BYTES,
        "its id must have 1 to 128 bytes without control characters",
    )?;
    let source = name(
        &envelope.source,
        NAME_MAX_BYTES,
        "its source must have 1 to 256 bytes without control characters",
    )?;
    let kind = name(
        &envelope.kind,
        NAME_MAX_BYTES,
        "its type must have 1 to 256 bytes without control characters",
    )?;
    let subject = envelope.subject.is_some().then(|| {
        name(
            &envelope.subject,
            NAME_MAX_BYTES,
            "its subject must have 1 to 256 bytes without control characters",
        )
    });
    let subject = subject.transpose()?;
    let at_ms = envelope.time.as_deref().map(milliseconds);
    let at_ms = match at_ms {
        Some(None) => return Err(reject("its time is not RFC 3339")),
        Some(known) => known,
        None => None,
    };
    let claim = match &envelope.weirclaim {
        None => None,
        Some(_) => Some(Claim {
            claimant: name(
                &envelope.weirclaim,
                CLAIM_MAX_BYTES,
                "its weirclaim must have 1 to 64 bytes without control characters",
            )?,
            lease_ms: match envelope.weirleasems {
                None => None,
                Some(number) => match serde_json::from_str::<u32>(number.get()) {
                    Ok(lease_ms) => Some(lease_ms.into()),
                    Err(_) => {
                        return Err(reject("its weirleasems must be a number of milliseconds"));
                    }
                },
            },
        }),
    };
    let data = envelope.data.map(RawValue::get);
    let attributes = Attributes {
        source: &source,
        id: &id,
        kind: &kind,
        subject: subject.as_deref(),
        at_ms,
        now_ms,
    };
    let fact = data.and_then(|data| fact::read(attributes, data));
    Ok(NewEvent {
        fact,
        data: data.map(str::to_owned),
        source,
        id,
        kind,
        at_ms,
        subject,
        stored_at_ms: now_ms,
        asks_user: envelope.weirask.as_deref() == Some(ASK_USER),
        asks_uid: envelope.weirask.as_deref() == Some(ASK_UID),
        claim,
    })
}

/// Whether a text can be a name: neither empty, nor too long, nor with control characters.
pub(crate) fn is_name(text: &str, max_bytes: usize) -> bool {
    (1..=max_bytes).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn milliseconds(time: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(time, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}

/// The id of something that is otherwise no event.
fn id_at_least(raw: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    serde_json::from_str::<Id>(raw.get())
        .map_or_else(|_| String::new(), |event| shortened(&event.id))
}

/// An answer repeats an id, but not a book.
fn shortened(id: &str) -> String {
    id.chars().take(ID_MAX_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_json(json: &str) -> Result<NewEvent, Rejection> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        read(raw, 10_000, 1_714_113_002_000)
    }

    #[test]
    fn a_complete_event_keeps_its_data_to_the_byte() {
        let event = read_json(
            r#"{"specversion":"1.0","id":"a","source":"/s","type":"t","time":"2024-04-26T14:30:02.5+08:00",
                "subject":"oA","datacontenttype":"application/json","traceparent":"x","data":{"n": 9007199254740993}}"#,
        )
        .unwrap();
        assert_eq!(event.at_ms, Some(1_714_113_002_500));
        assert_eq!(event.data.as_deref(), Some(r#"{"n": 9007199254740993}"#));
        assert_eq!(event.subject.as_deref(), Some("oA"));
    }

    #[test]
    fn what_is_no_event_is_refused_with_its_id_and_a_reason() {
        let long = "x".repeat(129);
        for (json, id, reason) in [
            ("1".to_owned(), "", "structured"),
            (r#"{"id":7}"#.to_owned(), "", "structured"),
            (r#"{"id":"a","type":[]}"#.to_owned(), "a", "structured"),
            (
                r#"{"id":"a","source":"/s","type":"t"}"#.to_owned(),
                "a",
                "specversion",
            ),
            (
                r#"{"specversion":"1.0","source":"/s","type":"t"}"#.to_owned(),
                "",
                "id",
            ),
            (
                r#"{"specversion":"1.0","id":"","source":"/s","type":"t"}"#.to_owned(),
                "",
                "id",
            ),
            (
                r#"{"specversion":"1.0","id":"a\u0000","source":"/s","type":"t"}"#.to_owned(),
                "a\0",
                "id",
            ),
            (
                format!(r#"{{"specversion":"1.0","id":"{long}","source":"/s","type":"t"}}"#),
                &long[..128],
                "id",
            ),
            (
                r#"{"specversion":"1.0","id":"a","type":"t"}"#.to_owned(),
                "a",
                "source",
            ),
            (
                r#"{"specversion":"1.0","id":"a","source":"/s"}"#.to_owned(),
                "a",
                "type",
            ),
            (
                r#"{"specversion":"1.0","id":"a","source":"/s","type":"t","time":"yesterday"}"#
                    .to_owned(),
                "a",
                "time",
            ),
            (
                r#"{"specversion":"1.0","id":"a","source":"/s","type":"t","data_base64":"AA=="}"#
                    .to_owned(),
                "a",
                "data_base64",
            ),
            (
                r#"{"specversion":"1.0","id":"a","source":"/s","type":"t","weirclaim":""}"#
                    .to_owned(),
                "a",
                "weirclaim",
            ),
            (
                format!(
                    r#"{{"specversion":"1.0","id":"a","source":"/s","type":"t","weirclaim":"{}"}}"#,
                    &long[..65]
                ),
                "a",
                "weirclaim",
            ),
            (
                r#"{"specversion":"1.0","id":"a","source":"/s","type":"t","weirclaim":"a\n"}"#
                    .to_owned(),
                "a",
                "weirclaim",
            ),
            (
                r#"{"specversion":"1.0","id":"a","source":"/s","type":"t","weirclaim":"c","weirleasems":-1}"#
                    .to_owned(),
                "a",
                "weirleasems",
            ),
        ] {
            let rejection = read_json(&json).unwrap_err();
            assert_eq!(rejection.id, id, "{json}");
            assert!(
                rejection.reason.contains(reason),
                "{json}: {}",
                rejection.reason
            );
        }
    }

    #[test]
    fn an_event_over_the_limit_is_refused() {
        let json = format!(
            r#"{{"specversion":"1.0","id":"a","source":"/s","type":"t","data":"{}"}}"#,
            "x".repeat(10_000)
        );
        assert!(read_json(&json).unwrap_err().reason.contains("larger"));
    }

    #[test]
    fn a_claim_names_somebody_and_may_have_a_lease() {
        let claim = |rest: &str| {
            let event = r#"{"specversion":"1.0","id":"a","source":"/s","type":"t""#;
            read_json(&format!("{event}{rest}}}")).unwrap().claim
        };
        let named = |lease_ms| {
            Some(Claim {
                claimant: "node 1".to_owned(),
                lease_ms,
            })
        };
        assert_eq!(claim(""), None);
        assert_eq!(claim(r#","weirclaim":null,"weirleasems":5"#), None);
        assert_eq!(claim(r#","weirclaim":"node 1""#), named(None));
        assert_eq!(
            claim(r#","weirclaim":"node 1","weirleasems":4294967295"#),
            named(Some(4_294_967_295))
        );
    }

    #[test]
    fn data_may_be_absent() {
        let event =
            read_json(r#"{"specversion":"1.0","id":"a","source":"/s","type":"t"}"#).unwrap();
        assert_eq!((event.data, event.fact), (None, None));
    }
}
