//! The door, spoken to as a client that has no access token: it names its account and shows its key.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use serde_json::Value;

use super::args::SendArgs;
use crate::environment::Environment;

/// How long an answer may take. The door gives WeChat less.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A longer answer is none of WeChat's.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Where messages go, and as whom.
pub(super) struct Door {
    client: reqwest::Client,
    url: reqwest::Url,
    account: HeaderValue,
    key: HeaderValue,
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// WeChat's answer, or one in its shape.
    Told {
        errcode: i64,
        errmsg: String,
        msgid: Option<String>,
    },
    /// Nothing was sent: there is no connection.
    NotReached(String),
    /// Nothing was sent: the door has had enough for now.
    Limited(Option<Duration>),
    /// Nothing was sent, and nothing will be: the door does not let us in.
    NotLetIn(String),
    /// Nothing was sent: the door does not take this message.
    NotTaken(String),
    /// It may have been sent or not.
    Lost(String),
}

impl Door {
    /// # Errors
    /// The URL, the key or the certificates are not usable.
    pub(super) fn of(args: &SendArgs, path: &str) -> anyhow::Result<Self> {
        let environment = Environment::read(&args.env)?;
        let name = &args.key_env;
        let Some(key) = environment.lookup(name).filter(|key| !key.is_empty()) else {
            bail!("the environment variable {name} is not set: the client's key at the door");
        };
        let key = HeaderValue::try_from(format!("Bearer {key}"));
        let Ok(mut key) = key else {
            bail!("what {name} holds cannot be a key: it has characters that no header takes");
        };
        key.set_sensitive(true);

        let base = args.door.trim_end_matches('/');
        let mut url: reqwest::Url = format!("{base}{path}").parse().context("--door")?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            bail!("--door: not an http:// or https:// URL");
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            bail!("--door: a URL without user, query and fragment");
        }
        let mut client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .pool_max_idle_per_host(args.concurrency as usize)
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = &args.connect.cacert {
            let told = || format!("CA file {}", path.display());
            let pem = std::fs::read(path).with_context(told)?;
            client = client.tls_built_in_root_certs(false);
            for authority in reqwest::Certificate::from_pem_bundle(&pem).with_context(told)? {
                client = client.add_root_certificate(authority);
            }
        }
        if let Some(address) = args.connect.connect {
            let Some(host) = url.domain().map(str::to_owned) else {
                bail!("--connect: --door has an address already, and no name");
            };
            // The client takes the address from here and the port from the URL.
            if url.port().is_some_and(|port| port != address.port()) {
                bail!("--connect: --door has another port");
            }
            let _ = url.set_port(Some(address.port()));
            client = client.resolve(&host, address);
        }
        Ok(Self {
            client: client.build().context("the HTTP client")?,
            url,
            account: HeaderValue::try_from(&args.account).context("--account")?,
            key,
        })
    }

    /// Where it is, for people.
    pub(super) fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Sends one message, once.
    pub(super) async fn send(&self, body: &Value) -> Answer {
        let request = self
            .client
            .post(self.url.clone())
            .header(AUTHORIZATION, self.key.clone())
            .header("x-weir-account", self.account.clone())
            .header("content-type", "application/json")
            .body(body.to_string());
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Answer::NotReached(words(&error)),
            Err(error) => return Answer::Lost(words(&error)),
        };
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let told = match read(response).await {
            Ok(body) => answer_of(&body),
            Err(_) if (400..500).contains(&status) => None,
            Err(why) => return Answer::Lost(why),
        };
        if let Some(told) = told {
            return told;
        }
        match status {
            429 => Answer::Limited(retry_after.map(Duration::from_secs)),
            401 | 403 => Answer::NotLetIn(format!(
                "the door does not let this key in (status {status})"
            )),
            404 | 405 => Answer::NotLetIn(format!(
                "the door has no such call (status {status}): is it one?"
            )),
            400..500 => Answer::NotTaken(format!("the door does not take it (status {status})")),
            200 => Answer::Lost("the answer is not WeChat's".to_owned()),
            _ => Answer::Lost(format!("status {status}")),
        }
    }
}

async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(|error| words(&error))? {
        body.extend_from_slice(&piece);
        if body.len() > MAX_ANSWER_BYTES {
            return Err("the answer is too long".to_owned());
        }
    }
    Ok(body)
}

/// WeChat's shape, whatever the status is: `errcode` is missing or 0 for what is sent, but then there is a `msgid` or an
/// `errmsg`.
fn answer_of(body: &[u8]) -> Option<Answer> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let msgid = match &body["msgid"] {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    let errcode = match &body["errcode"] {
        Value::Null if msgid.is_some() => 0,
        errcode => errcode.as_i64()?,
    };
    Some(Answer::Told {
        errcode,
        errmsg: body["errmsg"].as_str().unwrap_or_default().to_owned(),
        msgid,
    })
}

/// An error of the client without the URL, down to what caused it.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_wechat_is_told_from_others() {
        let told = |errcode, msgid: Option<&str>| {
            Some(Answer::Told {
                errcode,
                errmsg: String::new(),
                msgid: msgid.map(str::to_owned),
            })
        };
        let large = r#"{"errcode":0,"msgid":1988810812324364291}"#;
        assert_eq!(
            answer_of(large.as_bytes()),
            told(0, Some("1988810812324364291"))
        );
        assert_eq!(answer_of(br#"{"msgid":"7"}"#), told(0, Some("7")));
        assert_eq!(answer_of(br#"{"errcode":-1}"#), told(-1, None));
        for other in ["", "<html>", "{}", "[]", r#"{"errcode":"0"}"#, "null"] {
            assert_eq!(answer_of(other.as_bytes()), None, "{other}");
        }
    }
}
