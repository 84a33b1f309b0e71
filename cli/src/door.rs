//! The API door, spoken to as a client that has no access token: it names its account and shows its key.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use serde_json::Value;

use crate::environment::{EnvFile, Environment};
use crate::target::ConnectArgs;

/// How long an answer may take. The door gives WeChat less.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A longer answer is none of WeChat's: the longest is a page of 10,000 openids, 0.3 MB.
const MAX_ANSWER_BYTES: usize = 2 << 20;

/// Where the door is, and as whom to call.
#[derive(Debug, Args)]
pub struct DoorArgs {
    /// The door's URL
    #[arg(long, value_name = "URL")]
    pub(crate) door: String,
    /// The environment variable with the client's key at the door
    #[arg(long, value_name = "VAR")]
    pub(crate) key_env: String,
    #[command(flatten)]
    pub(crate) env: EnvFile,
}

/// An account's name, which is part of a file's name too.
pub(crate) fn account(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if (1..=32).contains(&text.len()) && !text.starts_with('-') && text.chars().all(fits) {
        return Ok(text.to_owned());
    }
    Err("1 to 32 of a-z, 0-9, _ and -".to_owned())
}

/// The door, for one account.
pub(crate) struct Door {
    client: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    origin: String,
    account: HeaderValue,
    key: HeaderValue,
}

/// What came back of a call.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    /// WeChat's answer, or one in its shape.
    Told(Told),
    /// The call was not made: there is no connection.
    NotReached(String),
    /// The call was not made: the door has had enough for now.
    Limited(Option<Duration>),
    /// The call was not made, and will not be: the door does not let us in.
    NotLetIn(String),
    /// The call was not made: the door does not take it.
    NotTaken(String),
    /// It may have been made or not.
    Lost(String),
}

/// An answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    /// Absent from many an answer of a call that worked.
    pub(crate) errcode: Option<i64>,
    pub(crate) body: Value,
}

impl Told {
    pub(crate) fn errmsg(&self) -> &str {
        self.body["errmsg"].as_str().unwrap_or_default()
    }
}

impl Door {
    /// # Errors
    /// The URL, the key or the certificates are not usable.
    pub(crate) fn of(
        args: &DoorArgs,
        account: &str,
        connect: &ConnectArgs,
        connections: u32,
    ) -> anyhow::Result<Self> {
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

        let mut url: reqwest::Url = args.door.parse().context("--door")?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            bail!("--door: not an http:// or https:// URL");
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            bail!("--door: a URL without user, query and fragment");
        }
        let mut client = client(connect.cacert.as_deref(), connections)?.timeout(TIMEOUT);
        if let Some(address) = connect.connect {
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
            base: url.as_str().trim_end_matches('/').to_owned(),
            origin: url.origin().ascii_serialization(),
            account: HeaderValue::try_from(account).context("the account's name")?,
            key,
        })
    }

    /// Where it is, for people.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// A GET, once. `target`: a path of the API, with its query.
    pub(crate) async fn get(&self, target: &str) -> Reply {
        self.call(self.client.get(format!("{}{target}", self.base)))
            .await
    }

    /// A POST, once.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        let request = self.client.post(format!("{}{path}", self.base));
        let request = request.header("content-type", "application/json");
        self.call(request.body(body.to_string())).await
    }

    async fn call(&self, request: reqwest::RequestBuilder) -> Reply {
        let request = request
            .header(AUTHORIZATION, self.key.clone())
            .header("x-weir-account", self.account.clone());
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Reply::NotReached(words(&error)),
            Err(error) => return Reply::Lost(words(&error)),
        };
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let told = match read(response).await {
            Ok(body) => told(status, &body),
            Err(_) if (400..500).contains(&status) => None,
            Err(why) => return Reply::Lost(why),
        };
        if let Some(told) = told {
            return Reply::Told(told);
        }
        match status {
            429 => Reply::Limited(retry_after.map(Duration::from_secs)),
            401 | 403 => Reply::NotLetIn(format!(
                "the door does not let this key in (status {status})"
            )),
            404 | 405 => Reply::NotLetIn(format!(
                "the door has no such call (status {status}): is it one?"
            )),
            400..500 => Reply::NotTaken(format!("the door does not take it (status {status})")),
            200 => Reply::Lost("the answer is not WeChat's".to_owned()),
            _ => Reply::Lost(format!("status {status}")),
        }
    }
}

/// An HTTP client that goes where it is told and nowhere else.
///
/// # Errors
/// The certificates are not usable.
pub(crate) fn client(
    cacert: Option<&Path>,
    connections: u32,
) -> anyhow::Result<reqwest::ClientBuilder> {
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(connections as usize)
        .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = cacert {
        let told = || format!("CA file {}", path.display());
        let pem = std::fs::read(path).with_context(told)?;
        client = client.tls_built_in_root_certs(false);
        for authority in reqwest::Certificate::from_pem_bundle(&pem).with_context(told)? {
            client = client.add_root_certificate(authority);
        }
    }
    Ok(client)
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

/// WeChat's shape: an object with an `errcode`, whatever the status is, or, with 200, one without.
fn told(status: u16, body: &[u8]) -> Option<Told> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let errcode = match body.as_object()?.get("errcode") {
        None if status != 200 || body.as_object()?.is_empty() => return None,
        None => None,
        Some(errcode) => Some(errcode.as_i64()?),
    };
    Some(Told { errcode, body })
}

/// An error of the client without the URL, down to what caused it.
pub(crate) fn words(error: &reqwest::Error) -> String {
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
        let errcode = |status, body: &str| told(status, body.as_bytes()).map(|told| told.errcode);
        assert_eq!(errcode(200, r#"{"errcode":0,"msgid":1}"#), Some(Some(0)));
        assert_eq!(errcode(200, r#"{"msgid":"7"}"#), Some(None));
        assert_eq!(errcode(503, r#"{"errcode":-1}"#), Some(Some(-1)));
        assert_eq!(errcode(503, r#"{"msgid":"7"}"#), None);
        for other in ["", "<html>", "{}", "[]", r#"{"errcode":"0"}"#, "null"] {
            assert_eq!(errcode(200, other), None, "{other}");
        }
    }
}
