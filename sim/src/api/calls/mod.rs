//! One call: what it is, who may make it, and the table of paths.

mod messages;
mod tokens;
mod users;

use std::net::IpAddr;

use serde_json::{Value, json};

use super::error::ApiError;
use super::quotas::Exceeded;
use super::tokens::{TokenFault, well_formed};
use super::world::{AccountState, State};

/// The method, as far as WeChat cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// Anything else: refused everywhere.
    Other,
}

/// A request to the API. No `Debug`: query and body carry secrets.
pub struct Call {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    body: Vec<u8>,
    peer: IpAddr,
}

impl Call {
    /// From a request's parts; `query` is percent-encoded.
    pub fn new(method: Method, path: &str, query: &str, body: Vec<u8>, peer: IpAddr) -> Self {
        let query = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        Self {
            method,
            path: path.to_owned(),
            query,
            body,
            peer,
        }
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn query(&self, name: &str) -> Option<&str> {
        let (_, value) = self.query.iter().find(|(n, _)| n == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    fn json(&self) -> Result<Value, ApiError> {
        if self.body.is_empty() {
            return Err(44002.into());
        }
        let value: Value = serde_json::from_slice(&self.body).map_err(|_| 47001)?;
        if value.is_object() {
            Ok(value)
        } else {
            Err(47001.into())
        }
    }
}

/// What a path needs: a method, and whether an access token goes with it.
enum Door {
    /// Tokens are fetched with appid and secret.
    Secret(
        Method,
        fn(&mut State, i64, &Call) -> Result<Value, ApiError>,
    ),
    /// Everything else needs a token, which also says whose account it is.
    Token(
        Method,
        fn(&mut Caller<'_>, &Call) -> Result<Value, ApiError>,
    ),
}

/// Whoever holds a good token.
struct Caller<'a> {
    state: &'a mut State,
    index: usize,
    now_ms: i64,
}

impl Caller<'_> {
    fn account(&mut self) -> &mut AccountState {
        &mut self.state.accounts[self.index]
    }
}

fn door(path: &str) -> Option<Door> {
    use Method::{Get, Post};
    Some(match path {
        "/cgi-bin/token" => Door::Secret(Get, tokens::token),
        "/cgi-bin/stable_token" => Door::Secret(Post, tokens::stable_token),
        "/cgi-bin/user/info" => Door::Token(Get, users::info),
        "/cgi-bin/user/info/batchget" => Door::Token(Post, users::batchget),
        "/cgi-bin/user/get" => Door::Token(Get, users::get),
        "/cgi-bin/tags/get" => Door::Token(Get, users::tags),
        "/cgi-bin/tags/members/batchtagging" => Door::Token(Post, users::batchtagging),
        "/cgi-bin/message/custom/send" => Door::Token(Post, messages::custom),
        "/cgi-bin/message/template/send" => Door::Token(Post, messages::template),
        "/cgi-bin/getcallbackip" | "/cgi-bin/get_api_domain_ip" => Door::Token(Get, addresses),
        _ => return None,
    })
}

pub(super) fn exists(path: &str) -> bool {
    door(path).is_some()
}

pub(super) fn answer(state: &mut State, now_ms: i64, call: &Call) -> Result<Value, ApiError> {
    match door(&call.path).ok_or(40066)? {
        Door::Secret(method, handle) => {
            require(method, call)?;
            handle(state, now_ms, call)
        }
        Door::Token(method, handle) => {
            require(method, call)?;
            let index = authorise(state, now_ms, call)?;
            spend(&mut state.accounts[index], now_ms, &call.path)?;
            handle(
                &mut Caller {
                    state,
                    index,
                    now_ms,
                },
                call,
            )
        }
    }
}

fn require(method: Method, call: &Call) -> Result<(), ApiError> {
    match method {
        _ if call.method == method => Ok(()),
        Method::Post => Err(43002.into()),
        _ => Err(43001.into()),
    }
}

/// The account the token belongs to.
fn authorise(state: &mut State, now_ms: i64, call: &Call) -> Result<usize, ApiError> {
    let token = call.query("access_token").ok_or(41001)?;
    if !well_formed(token) {
        return Err(40014.into());
    }
    let index = state
        .accounts
        .iter()
        .position(|account| account.tokens.knows(token))
        .ok_or(40001)?;
    match state.accounts[index].tokens.check(now_ms, token) {
        Ok(()) => Ok(index),
        Err(TokenFault::Expired) => Err(42001.into()),
        Err(TokenFault::Invalid) => Err(40001.into()),
    }
}

fn spend(account: &mut AccountState, now_ms: i64, path: &str) -> Result<(), ApiError> {
    account
        .quotas
        .take(now_ms, path)
        .map_err(|exceeded| match exceeded {
            Exceeded::Day => 45009.into(),
            Exceeded::Minute => 45011.into(),
        })
}

fn addresses(_: &mut Caller<'_>, _: &Call) -> Result<Value, ApiError> {
    Ok(json!({"ip_list": ["127.0.0.1"]}))
}

/// Text of a member, if it is one and not empty.
fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value[name].as_str().filter(|text| !text.is_empty())
}
