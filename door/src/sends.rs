//! What was sent to whom, as events: no content, only what it takes to follow a message.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use weir_engine::time::{Now, rfc3339};
use weir_store_api::CloudEvent;

use crate::config::{Account, Client};
use crate::stand_in::hex;

/// The calls that send a message to one user, and what they are called in events.
const SENDS: &[(&str, &str)] = &[
    ("/cgi-bin/message/template/send", "template"),
    ("/cgi-bin/message/subscribe/send", "subscribe"),
    ("/cgi-bin/message/subscribe/bizsend", "bizsend"),
    ("/cgi-bin/message/custom/send", "custom"),
];

/// What the store is told of a send, from its request.
#[derive(Debug)]
pub(crate) struct Send {
    api: &'static str,
    to: String,
    template_id: Option<String>,
    msgtype: Option<String>,
    client_msg_id: Option<String>,
    digest: String,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// WeChat answered with this code; 0 is success.
    Answered(i64),
    /// Nobody knows: no answer, or none that can be read.
    Unknown,
}

/// Whether calls of this path are recorded.
pub(crate) fn is_send(path: &str) -> bool {
    SENDS.iter().any(|(send, _)| *send == path)
}

impl Send {
    /// Reads the request of a send. One that is not understood is recorded without what it is about.
    pub(crate) fn of(path: &str, request: Option<Value>, body: &[u8]) -> Option<Self> {
        let (_, api) = SENDS.iter().find(|(send, _)| *send == path)?;
        let mut request = request.unwrap_or_default();
        let mut text = |name| match request.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        Some(Self {
            api,
            to: text("touser").unwrap_or_default(),
            template_id: text("template_id"),
            msgtype: text("msgtype"),
            client_msg_id: text("client_msg_id"),
            digest: hex(&Sha1::digest(body)),
        })
    }

    /// The event for the store. `answer` is WeChat's body, `id` is random.
    pub(crate) fn event(
        &self,
        account: &Account,
        client: &Client,
        id: u128,
        sent: Sent,
        answer: &[u8],
        now: Now,
    ) -> Vec<u8> {
        #[derive(Deserialize)]
        struct Answer {
            msgid: Option<Value>,
        }
        let msgid = serde_json::from_slice::<Answer>(answer)
            .ok()
            .and_then(|answer| answer.msgid)
            .map(|msgid| match msgid {
                Value::String(text) => text,
                other => other.to_string(),
            });
        let (errcode, outcome) = match sent {
            Sent::Answered(0) => (Some(0), "sent"),
            Sent::Answered(errcode) => (Some(errcode), "refused"),
            Sent::Unknown => (None, "unknown"),
        };
        let data = Data {
            account: &account.name,
            appid: &account.appid,
            client: &client.name,
            api: self.api,
            template_id: self.template_id.as_deref(),
            msgtype: self.msgtype.as_deref(),
            client_msg_id: self.client_msg_id.as_deref(),
            digest: &self.digest,
            errcode,
            msgid: msgid.as_deref(),
            outcome,
            sent_at_ms: now.unix_ms,
        };
        let event = CloudEvent {
            specversion: "1.0".into(),
            id: format!("{id:032x}").into(),
            source: account.source.as_str().into(),
            kind: "weir.send.result".into(),
            time: Some(rfc3339(now.unix_s()).into()),
            subject: (!self.to.is_empty()).then(|| self.to.as_str().into()),
            datacontenttype: Some("application/json".into()),
            weirask: None,
            weirclaim: None,
            weirleasems: None,
            data,
        };
        // String keys only: writing cannot fail.
        serde_json::to_vec(&event).unwrap_or_default()
    }
}

/// The payload of the event.
#[derive(Serialize)]
struct Data<'a> {
    account: &'a str,
    appid: &'a str,
    client: &'a str,
    api: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    msgtype: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_msg_id: Option<&'a str>,
    digest: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    errcode: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    msgid: Option<&'a str>,
    outcome: &'a str,
    sent_at_ms: u64,
}
