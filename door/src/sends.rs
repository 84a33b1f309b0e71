//! What was sent to whom, as events: no content, only what it takes to follow a message.

use serde::Deserialize;
use serde_json::json;
use sha1::{Digest as _, Sha1};
use weir_engine::time::{Now, rfc3339};

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

#[derive(Deserialize)]
struct Request {
    touser: Option<String>,
    template_id: Option<String>,
    msgtype: Option<String>,
    client_msg_id: Option<String>,
}

/// Whether calls of this path are recorded.
pub(crate) fn is_send(path: &str) -> bool {
    SENDS.iter().any(|(send, _)| *send == path)
}

impl Send {
    /// Reads the request of a send. One that is not understood is recorded without what it is about.
    pub(crate) fn of(path: &str, body: &[u8]) -> Option<Self> {
        let (_, api) = SENDS.iter().find(|(send, _)| *send == path)?;
        let request = serde_json::from_slice(body).unwrap_or(Request {
            touser: None,
            template_id: None,
            msgtype: None,
            client_msg_id: None,
        });
        Some(Self {
            api,
            to: request.touser.unwrap_or_default(),
            template_id: request.template_id,
            msgtype: request.msgtype,
            client_msg_id: request.client_msg_id,
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
            msgid: Option<serde_json::Value>,
        }
        let msgid = serde_json::from_slice::<Answer>(answer)
            .ok()
            .and_then(|answer| answer.msgid)
            .map(|msgid| match msgid {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            });
        let (errcode, outcome) = match sent {
            Sent::Answered(0) => (Some(0), "sent"),
            Sent::Answered(errcode) => (Some(errcode), "refused"),
            Sent::Unknown => (None, "unknown"),
        };
        let mut data = json!({
            "account": account.name,
            "appid": account.appid,
            "client": client.name,
            "api": self.api,
            "digest": self.digest,
            "outcome": outcome,
            "sent_at_ms": now.unix_ms,
        });
        let more = [
            ("template_id", self.template_id.clone()),
            ("msgtype", self.msgtype.clone()),
            ("client_msg_id", self.client_msg_id.clone()),
            ("msgid", msgid),
        ];
        if let Some(fields) = data.as_object_mut() {
            for (name, value) in more {
                if let Some(value) = value {
                    fields.insert(name.to_owned(), value.into());
                }
            }
            if let Some(errcode) = errcode {
                fields.insert("errcode".to_owned(), errcode.into());
            }
        }
        let mut event = json!({
            "specversion": "1.0",
            "id": format!("{id:032x}"),
            "source": account.source,
            "type": "weir.send.result",
            "time": rfc3339(now.unix_s()),
            "datacontenttype": "application/json",
            "data": data,
        });
        if !self.to.is_empty()
            && let Some(fields) = event.as_object_mut()
        {
            fields.insert("subject".to_owned(), self.to.clone().into());
        }
        event.to_string().into_bytes()
    }
}
