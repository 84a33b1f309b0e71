//! The message: which call of WeChat's API it is, and its body for one recipient.

use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};

use super::args::SendArgs;
use super::fill::{Columns, Form};
use super::list::Recipient;

/// A call that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
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
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::Subscribe => "subscribe",
            Self::Bizsend => "bizsend",
            Self::Custom => "custom",
        }
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Template => "/cgi-bin/message/template/send",
            Self::Subscribe => "/cgi-bin/message/subscribe/send",
            Self::Bizsend => "/cgi-bin/message/subscribe/bizsend",
            Self::Custom => "/cgi-bin/message/custom/send",
        }
    }

    /// Whether WeChat recognises a message that it has had, by its `client_msg_id`: only then may one be sent again whose
    /// outcome is not known.
    pub(super) fn is_recognised(self) -> bool {
        matches!(self, Self::Template)
    }
}

/// What is sent.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) api: Api,
    pub(super) template_id: Option<String>,
    campaign: String,
    /// The body but for the recipient.
    form: Form,
    columns: Columns,
}

impl Message {
    /// # Errors
    /// The data is no JSON of the right shape, or cannot be read.
    pub(super) fn of(args: &SendArgs) -> anyhow::Result<Self> {
        let (api, template_id) = match (&args.template, &args.subscribe, &args.bizsend) {
            (Some(id), ..) => (Api::Template, Some(id)),
            (_, Some(id), _) => (Api::Subscribe, Some(id)),
            (.., Some(id)) => (Api::Bizsend, Some(id)),
            _ => (Api::Custom, None),
        };
        let mut columns = Columns::default();
        let form = match &args.custom_text {
            Some(text) => json!({"msgtype": "text", "text": {"content": text}}),
            None => templated(api, args)?,
        };
        let mut form = Form::read(form, &mut columns)?;
        // An id is no text: whatever is in it stays.
        if let (Form::Object(members), Some(id)) = (&mut form, template_id) {
            let id = Form::Other(Value::String(id.clone()));
            members.push(("template_id".to_owned(), id));
        }
        Ok(Self {
            api,
            template_id: template_id.cloned(),
            campaign: args.campaign.clone(),
            form,
            columns,
        })
    }

    /// The columns of the list that it needs.
    pub(super) fn columns(&self) -> &[String] {
        self.columns.names()
    }

    /// The request body for one recipient.
    pub(super) fn body(&self, recipient: &Recipient) -> Value {
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
pub(super) fn client_msg_id(campaign: &str, openid: &str) -> String {
    let mut hash = Sha1::new();
    for part in [campaign.as_bytes(), b"\0", openid.as_bytes()] {
        hash.update(part);
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

fn templated(api: Api, args: &SendArgs) -> anyhow::Result<Value> {
    let Some(data) = &args.data else {
        bail!("--data is missing: what the template says");
    };
    let mut body = Map::new();
    body.insert("data".to_owned(), Value::Object(read_data(data)?));
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    let page = || args.page.clone().map(Value::String);
    let miniprogram = args.miniprogram.as_ref().map(|appid| {
        let mut members = Map::from_iter([("appid".to_owned(), json!(appid))]);
        members.extend(page().map(|page| ("pagepath".to_owned(), page)));
        Value::Object(members)
    });
    match api {
        Api::Template => {
            if args.page.is_some() && miniprogram.is_none() {
                bail!("--page is a page of a Mini Program: which one says --miniprogram");
            }
            set("url", args.url.clone().map(Value::String));
            set("miniprogram", miniprogram);
        }
        Api::Subscribe | Api::Bizsend if args.url.is_some() => {
            bail!("--url is for --template; this kind of message opens a --page");
        }
        Api::Subscribe => {
            if miniprogram.is_some() {
                bail!("--miniprogram is not for --subscribe, which opens pages of its own");
            }
            set("page", page());
            set("miniprogram_state", args.state.clone().map(Value::String));
            set("lang", args.lang.clone().map(Value::String));
        }
        Api::Bizsend if miniprogram.is_some() => set("miniprogram", miniprogram),
        Api::Bizsend => set("page", page()),
        Api::Custom => {}
    }
    Ok(Value::Object(body))
}

/// `{"thing1": "…"}` or `{"thing1": {"value": "…"}}`, from a file unless it is JSON itself.
fn read_data(given: &str) -> anyhow::Result<Map<String, Value>> {
    let text = if given.trim_start().starts_with('{') {
        given.to_owned()
    } else {
        let path = Path::new(given);
        std::fs::read_to_string(path).with_context(|| format!("--data {}", path.display()))?
    };
    let data: Map<String, Value> =
        serde_json::from_str(&text).context("--data: not a JSON object")?;
    let value = |(name, value): (String, Value)| {
        let value = match value {
            Value::String(text) => json!({ "value": text }),
            Value::Object(ref members) if members.get("value").is_some_and(Value::is_string) => {
                value
            }
            _ => bail!("--data: {name:?} has to be a text, or {{\"value\": a text}}"),
        };
        Ok((name, value))
    };
    data.into_iter().map(value).collect()
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
}
