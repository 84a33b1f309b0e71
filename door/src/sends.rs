//! What was sent to whom, as events: no content, only what it takes to follow a message.

use std::borrow::Cow;

use sha1::{Digest as _, Sha1};
use weir_engine::time::{Now, rfc3339};
use weir_protocol::json::Json;
use weir_protocol::signature::hex;
use weir_store_api::{SendApi, TYPE_SEND_RESULT};

use crate::config::{Account, Client};
use crate::node::Node;

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
    /// SHA-1 of the request's body, in hex.
    digest: [u8; 40],
    msgid: Option<String>,
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
    pub(crate) fn of(path: &str, request: Option<&Node<'_>>, body: &[u8]) -> Option<Self> {
        let (_, api) = SENDS.iter().find(|(send, _)| *send == path)?;
        let request = request.and_then(Node::as_object);
        let text = |name| {
            let text = request?.get(name)?.as_str();
            text.filter(|text| is_name(text)).map(str::to_owned)
        };
        Some(Self {
            api: *api,
            to: text("touser"),
            template_id: text("template_id"),
            msgtype: text("msgtype"),
            client_msg_id: text("client_msg_id"),
            digest: hex(&Sha1::digest(body).into()),
            msgid: None,
        })
    }

    /// What WeChat calls the message.
    pub(crate) fn learn(&mut self, msgid: Option<Cow<'_, str>>) {
        self.msgid = msgid.filter(|msgid| is_name(msgid)).map(Cow::into_owned);
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

    /// The event for the store. `id` is random. Its payload is [`SendResult`](weir_store_api::SendResult), written by hand as in
    /// `weir_engine::event`.
    pub(crate) fn event(
        &self,
        account: &Account,
        client: &Client,
        id: [u8; 20],
        sent: Sent,
        now: Now,
    ) -> Vec<u8> {
        let (errcode, outcome) = match sent {
            Sent::Answered(0) => (Some(0), "sent"),
            Sent::Answered(errcode) => (Some(errcode), "refused"),
            Sent::Unknown => (None, "unknown"),
        };
        let mut json = Json::with_capacity(768);
        json.begin_object();
        json.member("specversion").text("1.0");
        json.member("id").text(ascii(&hex(&id)));
        json.member("source").text(&account.source);
        json.member("type").text(TYPE_SEND_RESULT);
        json.member("time").text(&rfc3339(now.unix_s()));
        optional(&mut json, "subject", self.to.as_deref());
        json.member("datacontenttype").text("application/json");
        json.member("data").begin_object();
        json.member("account").text(&account.name);
        json.member("appid").text(&account.appid);
        json.member("client").text(&client.name);
        json.member("api").text(match self.api {
            SendApi::Template => "template",
            SendApi::Subscribe => "subscribe",
            SendApi::Bizsend => "bizsend",
            SendApi::Custom => "custom",
        });
        optional(&mut json, "template_id", self.template_id.as_deref());
        optional(&mut json, "msgtype", self.msgtype.as_deref());
        optional(&mut json, "client_msg_id", self.client_msg_id.as_deref());
        json.member("digest").text(ascii(&self.digest));
        if let Some(errcode) = errcode {
            json.member("errcode").integer(errcode);
        }
        optional(&mut json, "msgid", self.msgid.as_deref());
        json.member("outcome").text(outcome);
        json.member("sent_at_ms").unsigned(now.unix_ms);
        json.end_object().end_object();
        json.finish()
    }
}

fn ascii(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
}

fn optional(json: &mut Json, name: &'static str, text: Option<&str>) {
    if let Some(text) = text {
        json.member(name).text(text);
    }
}

/// Whether a text can be a name in an event. The store would refuse the whole event over one that is not.
fn is_name(text: &str) -> bool {
    (1..=NAME_MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use weir_engine::config::Secret;
    use weir_store_api::{CloudEvent, SendResult};

    fn told(request: &Value, sent: Sent, msgid: Option<&str>) -> Value {
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
        let request = request.to_string();
        let request = Node::read(request.as_bytes());
        let path = "/cgi-bin/message/subscribe/send";
        let mut send = Send::of(path, request.as_ref(), b"the body").unwrap();
        send.learn(msgid.map(Cow::Borrowed));
        let now = Now {
            unix_ms: 1_714_113_002_345,
            mono_ms: 0,
        };
        let event = send.event(&account, &client, [7; 20], sent, now);
        // What those who read it would write.
        let read: CloudEvent<'_, SendResult<'_>> = serde_json::from_slice(&event).unwrap();
        assert_eq!(serde_json::to_vec(&read).unwrap(), event);
        serde_json::from_slice(&event).unwrap()
    }

    #[test]
    fn a_send_is_told_with_its_names_and_without_its_content() {
        let request =
            json!({"touser": "oA", "template_id": "T", "data": {"thing1": {"value": "secret"}}});
        let event = told(&request, Sent::Answered(0), Some("9223372036854775808"));
        assert_eq!(event["type"], "weir.send.result");
        assert_eq!(event["subject"], "oA");
        assert_eq!(
            event["data"],
            json!({"account": "demo", "appid": "wx-demo", "client": "shop", "api": "subscribe", "template_id": "T",
                "digest": "39a7614817a541998a833f7ffda421da8fac940c", "errcode": 0, "msgid": "9223372036854775808",
                "outcome": "sent", "sent_at_ms": 1_714_113_002_345_u64})
        );
        let event = told(&json!({"touser": "oA"}), Sent::Unknown, None);
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
            let event = told(&request, Sent::Answered(40_003), Some(""));
            assert_eq!(event.get("subject"), None);
            assert_eq!(event["data"].get("template_id"), None);
            assert_eq!(event["data"].get("msgid"), None);
            assert_eq!(event["data"]["outcome"], "refused");
        }
    }
}
