//! An application, customer-service messages, and the store's ledger of work.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use weir_engine::HttpRequest;
use weir_store_api::{
    CloudEvent, PushData, RawEvent, ReplyGiven, ReplyLate, TYPE_REPLY_GIVEN, TYPE_REPLY_LATE,
    TYPE_REPLY_SENT, TYPE_REPLY_UNDELIVERABLE, TYPE_USER_SNAPSHOT, UserSnapshot,
};

/// How the application behaves.
#[derive(Default)]
pub(crate) struct App {
    /// How long it takes.
    pub(crate) ms: u64,
    /// What it says; status 200 unless told.
    pub(crate) says: String,
    pub(crate) status: Option<u16>,
    /// The connection breaks instead of an answer.
    pub(crate) resets: bool,
    /// How many more calls the host does not take.
    pub(crate) refused: usize,
    /// Every call: path, content type, body.
    pub(crate) calls: Vec<(String, Cow<'static, str>, String)>,
}

impl App {
    pub(crate) fn take(&mut self, request: &HttpRequest) {
        let body = String::from_utf8(request.body.clone()).expect("UTF-8");
        let content_type = request.content_type.clone().expect("of a body");
        self.calls.push((request.path.clone(), content_type, body));
    }
}

/// Who does the work behind which event, as `weir_store_api` has it.
#[derive(Default)]
pub(crate) struct Ledger(BTreeMap<String, Work>);

#[derive(Default)]
struct Work {
    claimant: String,
    first_ms: u64,
    claimed_ms: u64,
    lease_ms: Option<u64>,
    done: Option<(Option<String>, u64)>,
    handed: bool,
    send_claimant: Option<String>,
}

impl Ledger {
    /// What is told about an event's work, if it concerns any.
    pub(crate) fn take(&mut self, event: &Value, now_ms: u64) -> Option<Value> {
        let kind = event["type"].as_str().expect("a type");
        let claimant = event["weirclaim"].as_str();
        if kind == "weir.reply.given" {
            let data = &event["data"];
            let reply = (!data["reply"].is_null()).then(|| data["reply"].to_string());
            let create_time = data["create_time"].as_u64().expect("a time");
            let push = data["push"].as_str().expect("an id").to_owned();
            let work = self.0.entry(push).or_default();
            work.done.get_or_insert((reply, create_time));
            return None;
        }
        let claimant = claimant?;
        let late = kind == "weir.reply.late";
        let push = if late {
            event["data"]["push"].as_str()
        } else {
            event["id"].as_str()
        };
        let new = Work {
            claimant: claimant.to_owned(),
            first_ms: now_ms,
            claimed_ms: now_ms,
            lease_ms: event["weirleasems"].as_u64(),
            ..Work::default()
        };
        let work = self.0.entry(push.expect("an id").to_owned()).or_insert(new);
        let mut answer = json!({"age_ms": now_ms - work.first_ms});
        let state = if late {
            match &work.send_claimant {
                _ if work.handed => "done",
                Some(other) if other != claimant => "sent",
                _ => {
                    work.send_claimant = Some(claimant.to_owned());
                    "yours"
                }
            }
        } else if let Some((reply, create_time)) = &work.done {
            if work.send_claimant.is_some() {
                "sent"
            } else {
                work.handed = true;
                answer["reply"] = json!(reply);
                answer["create_time"] = json!(create_time);
                "done"
            }
        } else {
            let over = |lease| work.claimed_ms + lease <= now_ms;
            if work.claimant == claimant {
                "yours"
            } else if work.lease_ms.is_some_and(over) && event["weirleasems"].is_u64() {
                work.claimant = claimant.to_owned();
                work.claimed_ms = now_ms;
                "yours"
            } else {
                "elsewhere"
            }
        };
        answer["state"] = json!(state);
        Some(answer)
    }
}

/// Events that are what the types of `weir_store_api` promise, byte for byte: the engine writes them by hand.
pub(crate) fn promised(batch: &[u8]) {
    let events: Vec<&RawValue> = serde_json::from_slice(batch).expect("a JSON list");
    for json in events {
        let json = json.get();
        let event: RawEvent<'_> = serde_json::from_str(json).expect("an event");
        let data = event.data.get();
        let again = match &*event.kind {
            TYPE_USER_SNAPSHOT => {
                again::<UserSnapshot<'_, &RawValue>>(&event, serde_json::from_str(data))
            }
            TYPE_REPLY_GIVEN => {
                again::<ReplyGiven<'_, &RawValue>>(&event, serde_json::from_str(data))
            }
            TYPE_REPLY_LATE | TYPE_REPLY_SENT | TYPE_REPLY_UNDELIVERABLE => {
                again::<ReplyLate<'_>>(&event, serde_json::from_str(data))
            }
            _ => again::<PushData<'_, &RawValue>>(&event, serde_json::from_str(data)),
        };
        assert_eq!(json, again);
    }
}

fn again<D: Serialize>(event: &RawEvent<'_>, data: serde_json::Result<D>) -> String {
    let event = event.clone();
    let event = CloudEvent {
        specversion: event.specversion,
        id: event.id,
        source: event.source,
        kind: event.kind,
        time: event.time,
        subject: event.subject,
        datacontenttype: event.datacontenttype,
        weirask: event.weirask,
        weirclaim: event.weirclaim,
        weirleasems: event.weirleasems,
        data: data.expect("a payload"),
    };
    serde_json::to_string(&event).expect("JSON")
}
