//! What was sent to whom, as events: no content, only what it takes to follow a message.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use sha1::{Digest as _, Sha1};
use weir_engine::time::{Now, rfc3339};
use weir_store_api::{CloudEvent, SendApi, SendOutcome, SendResult, TYPE_SEND_RESULT};

use crate::config::{Account, Client};
use crate::stand_in::hex;

/// The calls that send a message to one user, and what they are called in events.
const SENDS: &[(&str, SendApi)] = &[
    ("/cgi-bin/message/template/send", SendApi::Template),
    ("/cgi-bin/message/subscribe/send", SendApi::Subscribe),
    ("/cgi-bin/message/subscribe/bizsend", SendApi::Bizsend),
    ("/cgi-bin/message/custom/send", SendApi::Custom),
];
/// Longest name that is told of what a request says, in bytes. WeChat's have fewer than 70; the store takes 256.
const NAME_MAX_BYTES: usize = 256;

/// What the store is told of a send, from its request.
#[derive(Debug)]
pub(crate) struct Send {
    api: SendApi,
    to: Option<String>,
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
            Some(Value::String(text)) if is_name(&text) => Some(text),
            _ => None,
        };
        Some(Self {
            api: *api,
            to: text("touser"),
            template_id: text("template_id"),
            msgtype: text("msgtype"),
            client_msg_id: text("client_msg_id"),
            digest: hex(&Sha1::digest(body)),
        })
    }

    pub(crate) fn api(&self) -> SendApi {
        self.api
    }

    /// Whom it is for, if it says so.
    pub(crate) fn openid(&self) -> Option<&str> {
        self.to.as_deref()
    }

    pub(crate) fn template_id(&self) -> Option<&str> {
        self.template_id.as_deref()
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
        let msgid = msgid.filter(|msgid| is_name(msgid));
        let (errcode, outcome) = match sent {
            Sent::Answered(0) => (Some(0), SendOutcome::Sent),
            Sent::Answered(errcode) => (Some(errcode), SendOutcome::Refused),
            Sent::Unknown => (None, SendOutcome::Unknown),
        };
        let data = SendResult {
            account: account.name.as_str().into(),
            appid: account.appid.as_str().into(),
            client: client.name.as_str().into(),
            api: self.api,
            template_id: self.template_id.as_deref().map(Cow::Borrowed),
            msgtype: self.msgtype.as_deref().map(Cow::Borrowed),
            client_msg_id: self.client_msg_id.as_deref().map(Cow::Borrowed),
            digest: self.digest.as_str().into(),
            errcode,
            msgid: msgid.map(Cow::Owned),
            outcome,
            sent_at_ms: now.unix_ms,
        };
        let event = CloudEvent {
            specversion: "1.0".into(),
            id: format!("{id:032x}").into(),
            source: account.source.as_str().into(),
            kind: TYPE_SEND_RESULT.into(),
            time: Some(rfc3339(now.unix_s()).into()),
            subject: self.to.as_deref().map(Cow::Borrowed),
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

/// Whether a text can be a name in an event. The store would refuse the whole event over one that is not.
fn is_name(text: &str) -> bool {
    (1..=NAME_MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use weir_engine::config::Secret;

    fn told(request: Value, sent: Sent, answer: &str) -> Value {
        let account = Account {
            name: "demo".to_owned(),
            source: "/accounts/demo".to_owned(),
            appid: "wx-demo".to_owned(),
            app_secret: Secret::new("s".to_owned()),
        };
        let client = Client {
            name: "shop".to_owned(),
            key: None,
            san: None,
            accounts: Vec::new(),
            allow: Vec::new(),
            deny: Vec::new(),
        };
        let send = Send::of(
            "/cgi-bin/message/subscribe/send",
            Some(request),
            b"the body",
        );
        let now = Now {
            unix_ms: 1_714_113_002_345,
            mono_ms: 0,
        };
        let event = send
            .unwrap()
            .event(&account, &client, 7, sent, answer.as_bytes(), now);
        serde_json::from_slice(&event).unwrap()
    }

    #[test]
    fn a_send_is_told_with_its_names_and_without_its_content() {
        let request =
            json!({"touser": "oA", "template_id": "T", "data": {"thing1": {"value": "secret"}}});
        let event = told(
            request,
            Sent::Answered(0),
            r#"{"errcode":0,"msgid":9223372036854775807}"#,
        );
        assert_eq!(event["type"], "weir.send.result");
        assert_eq!(event["subject"], "oA");
        assert_eq!(
            event["data"],
            json!({"account": "demo", "appid": "wx-demo", "client": "shop", "api": "subscribe", "template_id": "T",
                "digest": "39a7614817a541998a833f7ffda421da8fac940c", "errcode": 0, "msgid": "9223372036854775807",
                "outcome": "sent", "sent_at_ms": 1_714_113_002_345_u64})
        );
        let event = told(json!({"touser": "oA"}), Sent::Unknown, "upstream reset");
        assert_eq!(event["data"]["outcome"], "unknown");
        assert_eq!(event["data"].get("errcode"), None);
    }

    /// The store would refuse the event, and nobody would know of the send.
    #[test]
    fn what_cannot_be_a_name_is_left_out() {
        for wrong in [
            json!(""),
            json!("o\u{0}A"),
            json!("o".repeat(257)),
            json!(7),
        ] {
            let request = json!({"touser": wrong, "template_id": wrong});
            let event = told(
                request,
                Sent::Answered(40_003),
                r#"{"errcode":40003,"msgid":""}"#,
            );
            assert_eq!(event.get("subject"), None);
            assert_eq!(event["data"].get("template_id"), None);
            assert_eq!(event["data"].get("msgid"), None);
            assert_eq!(event["data"]["outcome"], "refused");
        }
    }
}
