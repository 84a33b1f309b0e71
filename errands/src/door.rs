//! The API door, spoken to as a client that has no access token: it names its account and shows its key.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue, RETRY_AFTER};
use serde_json::Value;

/// How long an answer may take. The door gives WeChat less.
const TIMEOUT: Duration = Duration::from_secs(20);
/// A longer answer is none of WeChat's: the longest is a page of 10,000 openids, 0.3 MB.
const MAX_ANSWER_BYTES: usize = 2 << 20;

/// Where the door is, and as whom to call.
#[derive(Clone, Copy)]
pub struct Address<'a> {
    /// `http://` or `https://`, with a path if the door has one.
    pub url: &'a str,
    /// The client's key at the door.
    pub key: &'a str,
    /// Trust the authorities in this PEM file alone, not the public ones.
    pub cacert: Option<&'a Path>,
    /// Connect here, whatever the URL's name resolves to.
    pub connect: Option<SocketAddr>,
    /// Idle connections that are kept.
    pub connections: u32,
}

impl<'a> Address<'a> {
    /// With public authorities, the name's own address and a few connections.
    #[must_use]
    pub fn new(url: &'a str, key: &'a str) -> Self {
        Self {
            url,
            key,
            cacert: None,
            connect: None,
            connections: 8,
        }
    }
}

/// Which part of an [`Address`] is not usable, and why. Holds nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The URL.
    #[error("{0}")]
    Url(String),
    /// The key, which has characters that no header takes.
    #[error("it has characters that no header takes")]
    Key,
    /// The account's name, for the same reason.
    #[error("an account's name has characters that no header takes")]
    Account,
    /// The address to connect to.
    #[error("{0}")]
    Connect(&'static str),
    /// The file of authorities, or the client as a whole.
    #[error("{0}")]
    Client(String),
}

/// The door, for all accounts that the key has.
#[derive(Clone)]
pub struct Entrance {
    client: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    origin: String,
    key: HeaderValue,
}

/// The door, for one account.
#[derive(Clone)]
pub struct Door {
    entrance: Entrance,
    account: HeaderValue,
}

impl Entrance {
    /// # Errors
    /// A part of the address is not usable.
    pub fn new(address: Address<'_>) -> Result<Self, Unusable> {
        let key = HeaderValue::try_from(format!("Bearer {}", address.key));
        let mut key = key.map_err(|_| Unusable::Key)?;
        key.set_sensitive(true);

        let url = address.url.parse();
        let mut url: reqwest::Url = url.map_err(|why| Unusable::Url(format!("{why}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Unusable::Url("not an http:// or https:// URL".to_owned()));
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() {
            let why = "a URL without user, query and fragment";
            return Err(Unusable::Url(why.to_owned()));
        }
        let mut client = client(address.cacert, address.connections)?.timeout(TIMEOUT);
        if let Some(connect) = address.connect {
            let Some(host) = url.domain().map(str::to_owned) else {
                return Err(Unusable::Connect(
                    "the URL has an address already, and no name",
                ));
            };
            // The client takes the address from here and the port from the URL.
            if url.port().is_some_and(|port| port != connect.port()) {
                return Err(Unusable::Connect("the URL has another port"));
            }
            let _ = url.set_port(Some(connect.port()));
            client = client.resolve(&host, connect);
        }
        let client = client.build();
        Ok(Self {
            client: client.map_err(|error| Unusable::Client(words(&error)))?,
            base: url.as_str().trim_end_matches('/').to_owned(),
            origin: url.origin().ascii_serialization(),
            key,
        })
    }

    /// The door for an account, as the door's configuration names it.
    ///
    /// # Errors
    /// [`Unusable::Account`].
    pub fn door(&self, account: &str) -> Result<Door, Unusable> {
        Ok(Door {
            entrance: self.clone(),
            account: HeaderValue::try_from(account).map_err(|_| Unusable::Account)?,
        })
    }

    /// Where it is, for people.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }
}

/// What came back of a call.
#[derive(Debug, PartialEq)]
pub enum Reply {
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
pub struct Told {
    /// Absent from many an answer of a call that worked.
    pub errcode: Option<i64>,
    /// All of it.
    pub body: Value,
}

impl Told {
    /// WeChat's words, or none.
    #[must_use]
    pub fn errmsg(&self) -> &str {
        self.body["errmsg"].as_str().unwrap_or_default()
    }
}

impl Door {
    /// Where it is, for people.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.entrance.origin
    }

    /// A GET, once. `target`: a path of the API, with its query.
    pub async fn get(&self, target: &str) -> Reply {
        let Entrance { client, base, .. } = &self.entrance;
        self.call(client.get(format!("{base}{target}"))).await
    }

    /// A POST, once.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        let Entrance { client, base, .. } = &self.entrance;
        let request = client.post(format!("{base}{path}"));
        let request = request.header("content-type", "application/json");
        self.call(request.body(body.to_string())).await
    }

    async fn call(&self, request: reqwest::RequestBuilder) -> Reply {
        let request = request
            .header(AUTHORIZATION, self.entrance.key.clone())
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
pub fn client(cacert: Option<&Path>, connections: u32) -> Result<reqwest::ClientBuilder, Unusable> {
    let mut client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(connections as usize)
        .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = cacert {
        let told = |why: &dyn std::fmt::Display| {
            Unusable::Client(format!("CA file {}: {why}", path.display()))
        };
        let pem = std::fs::read(path).map_err(|error| told(&error))?;
        client = client.tls_built_in_root_certs(false);
        let authorities = reqwest::Certificate::from_pem_bundle(&pem);
        for authority in authorities.map_err(|error| told(&words(&error)))? {
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
#[must_use]
pub fn words(error: &reqwest::Error) -> String {
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
