//! The message: which call of WeChat's API it is, and its body for one recipient.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};

use super::fill::{Columns, Form};
use super::recipient::Recipient;

/// A call that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// A template message of an Official Account.
    Template,
    /// A subscribe message of a Mini Program.
    Subscribe,
    /// A subscription notification of an Official Account.
    Bizsend,
    /// A customer-service message.
    Custom,
}

impl Api {
    /// Its name in journals, as the store has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::Subscribe => "subscribe",
            Self::Bizsend => "bizsend",
            Self::Custom => "custom",
        }
    }

    /// The path of the call.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Self::Template => "/cgi-bin/message/template/send",
            Self::Subscribe => "/cgi-bin/message/subscribe/send",
            Self::Bizsend => "/cgi-bin/message/subscribe/bizsend",
            Self::Custom => "/cgi-bin/message/custom/send",
        }
    }

    /// Whether WeChat recognises a message that it has had, by its `client_msg_id`: only then may one be sent again whose
    /// outcome is not known.
    #[must_use]
    pub fn is_recognised(self) -> bool {
        matches!(self, Self::Template)
    }
}

/// A message as somebody writes it. In all texts `{column}` is that column of the list, `{{` a brace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The kind.
    pub kind: Api,
    /// The template; none for customer-service messages, which have `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_id: Option<String>,
    /// The template's values: `{"thing1": "…"}` or `{"thing1": {"value": "…"}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Map<String, Value>>,
    /// A customer-service message's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What a template message opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The appid of the Mini Program that a message of an Official Account opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub miniprogram: Option<String>,
    /// The page that opens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<String>,
    /// Which version of the Mini Program a subscribe message opens: `formal`, `trial`, `developer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The language that a subscribe message opens in: `zh_CN`, `en_US`, `zh_HK`, `zh_TW`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
}

impl Spec {
    /// One of this kind with nothing in it.
    #[must_use]
    pub fn new(kind: Api) -> Self {
        Self {
            kind,
            template_id: None,
            data: None,
            text: None,
            url: None,
            miniprogram: None,
            page: None,
            state: None,
            lang: None,
        }
    }
}

/// What is wrong with a [`Spec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Misfit {
    /// The member.
    pub field: &'static str,
    /// In words.
    pub why: String,
}

fn misfit(field: &'static str, why: impl Into<String>) -> Misfit {
    let why = why.into();
    Misfit { field, why }
}

/// What is sent.
#[derive(Debug)]
pub struct Message {
    /// By which call.
    pub api: Api,
    /// Of which template, if it has one.
    pub template_id: Option<String>,
    campaign: String,
    /// The body but for the recipient.
    form: Form,
    columns: Columns,
}

impl Message {
    /// The message of a campaign.
    ///
    /// # Errors
    /// A member is missing, does not go with the kind, or has a placeholder that is none.
    pub fn new(campaign: &str, spec: &Spec) -> Result<Self, Misfit> {
        let mut columns = Columns::default();
        let (field, form) = match (spec.kind, &spec.text) {
            (Api::Custom, Some(text)) => {
                only_text(spec)?;
                (
                    "text",
                    json!({"msgtype": "text", "text": {"content": text}}),
                )
            }
            (Api::Custom, None) => return Err(misfit("text", "it is missing: what is said")),
            (_, Some(_)) => return Err(misfit("text", "it is for customer-service messages")),
            (_, None) => ("data", templated(spec)?),
        };
        let mut form = Form::read(form, &mut columns).map_err(|why| misfit(field, why))?;
        // An id is no text: whatever is in it stays.
        if let (Form::Object(members), Some(id)) = (&mut form, &spec.template_id) {
            let id = Form::Other(Value::String(id.clone()));
            members.push(("template_id".to_owned(), id));
        }
        Ok(Self {
            api: spec.kind,
            template_id: spec.template_id.clone(),
            campaign: campaign.to_owned(),
            form,
            columns,
        })
    }

    /// The columns of the list that it needs.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        self.columns.names()
    }

    /// The request body for one recipient.
    #[must_use]
    pub fn body(&self, recipient: &Recipient) -> Value {
        let mut body = self.form.fill(&recipient.values);
        body["touser"] = Value::String(recipient.openid.clone());
        if self.api.is_recognised() {
            let id = client_msg_id(&self.campaign, &recipient.openid);
            body["client_msg_id"] = Value::String(id);
        }
        body
    }
}

/// The id by which WeChat recognises the message of a campaign to a user: 40 hexadecimal digits.
fn client_msg_id(campaign: &str, openid: &str) -> String {
    let mut hash = Sha1::new();
    for part in [campaign.as_bytes(), b"\0", openid.as_bytes()] {
        hash.update(part);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

fn only_text(spec: &Spec) -> Result<(), Misfit> {
    let others = [
        ("template_id", spec.template_id.is_some()),
        ("data", spec.data.is_some()),
        ("url", spec.url.is_some()),
        ("miniprogram", spec.miniprogram.is_some()),
        ("page", spec.page.is_some()),
        ("state", spec.state.is_some()),
        ("lang", spec.lang.is_some()),
    ];
    match others.into_iter().find(|(_, given)| *given) {
        Some((field, _)) => Err(misfit(field, "a customer-service message has a text alone")),
        None => Ok(()),
    }
}

fn templated(spec: &Spec) -> Result<Value, Misfit> {
    if spec.template_id.as_deref().is_none_or(str::is_empty) {
        return Err(misfit("template_id", "it is missing"));
    }
    let Some(data) = &spec.data else {
        return Err(misfit("data", "it is missing: what the template says"));
    };
    let mut body = Map::new();
    body.insert("data".to_owned(), Value::Object(values(data)?));
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    let text = |value: &Option<String>| value.clone().map(Value::String);
    let miniprogram = spec.miniprogram.as_ref().map(|appid| {
        let mut members = Map::from_iter([("appid".to_owned(), json!(appid))]);
        members.extend(text(&spec.page).map(|page| ("pagepath".to_owned(), page)));
        Value::Object(members)
    });
    for (field, value, known) in [
        ("state", &spec.state, &["formal", "trial", "developer"][..]),
        ("lang", &spec.lang, &["zh_CN", "en_US", "zh_HK", "zh_TW"]),
    ] {
        let Some(value) = value else { continue };
        if spec.kind != Api::Subscribe {
            return Err(misfit(field, "it is for subscribe messages"));
        }
        if !known.contains(&value.as_str()) {
            return Err(misfit(field, format!("it is one of {}", known.join(", "))));
        }
    }
    match spec.kind {
        Api::Template => {
            if spec.page.is_some() && miniprogram.is_none() {
                let why = "a page of a Mini Program: which one says miniprogram";
                return Err(misfit("page", why));
            }
            set("url", text(&spec.url));
            set("miniprogram", miniprogram);
        }
        Api::Subscribe | Api::Bizsend if spec.url.is_some() => {
            let why = "it is for template messages; this kind opens a page";
            return Err(misfit("url", why));
        }
        Api::Subscribe => {
            if miniprogram.is_some() {
                let why = "not for subscribe messages, which open pages of their own";
                return Err(misfit("miniprogram", why));
            }
            set("page", text(&spec.page));
            set("miniprogram_state", text(&spec.state));
            set("lang", text(&spec.lang));
        }
        Api::Bizsend if miniprogram.is_some() => set("miniprogram", miniprogram),
        Api::Bizsend => set("page", text(&spec.page)),
        Api::Custom => {}
    }
    Ok(Value::Object(body))
}

/// `{"thing1": "…"}` or `{"thing1": {"value": "…"}}`.
fn values(data: &Map<String, Value>) -> Result<Map<String, Value>, Misfit> {
    let value = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => json!({ "value": text }),
            Value::Object(members) if members.get("value").is_some_and(Value::is_string) => {
                value.clone()
            }
            _ => {
                let why = format!("{name:?} has to be a text, or {{\"value\": a text}}");
                return Err(misfit("data", why));
            }
        };
        Ok((name.clone(), value))
    };
    data.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_message_is_that_of_the_campaign_and_the_user() {
        let id = client_msg_id("spring", "oA");
        assert_eq!(id.len(), 40);
        assert_eq!(id, client_msg_id("spring", "oA"));
        assert_ne!(id, client_msg_id("spring", "oB"));
        assert_ne!(id, client_msg_id("springo", "A"));
    }

    #[test]
    fn members_that_do_not_go_with_the_kind_are_named() {
        let wrong = |spec: Value| {
            let spec: Spec = serde_json::from_value(spec).unwrap();
            Message::new("c", &spec).unwrap_err().field
        };
        for (field, spec) in [
            ("data", json!({"kind": "template", "template_id": "T"})),
            ("template_id", json!({"kind": "template", "data": {}})),
            (
                "data",
                json!({"kind": "bizsend", "template_id": "T", "data": {"a": 1}}),
            ),
            (
                "data",
                json!({"kind": "bizsend", "template_id": "T", "data": {"a": "{"}}),
            ),
            (
                "page",
                json!({"kind": "template", "template_id": "T", "data": {}, "page": "p"}),
            ),
            (
                "url",
                json!({"kind": "subscribe", "template_id": "T", "data": {}, "url": "u"}),
            ),
            (
                "lang",
                json!({"kind": "subscribe", "template_id": "T", "data": {}, "lang": "zh-CN"}),
            ),
            (
                "state",
                json!({"kind": "bizsend", "template_id": "T", "data": {}, "state": "trial"}),
            ),
            (
                "miniprogram",
                json!({"kind": "subscribe", "template_id": "T", "data": {}, "miniprogram": "wx"}),
            ),
            ("text", json!({"kind": "custom"})),
            (
                "text",
                json!({"kind": "template", "template_id": "T", "data": {}, "text": "t"}),
            ),
            ("url", json!({"kind": "custom", "text": "t", "url": "u"})),
        ] {
            assert_eq!(wrong(spec.clone()), field, "{spec}");
        }
    }
}
