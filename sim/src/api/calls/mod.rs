//! One call: what it is, who may make it, and the table of paths.

mod account;
mod blacklist;
mod cards;
mod data;
mod login;
mod media;
mod messages;
mod oauth;
mod tags;
mod tokens;
mod users;

use std::net::IpAddr;

use serde_json::Value;

use super::error::ApiError;
use super::media::Medium;
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
    content_type: Option<String>,
    peer: IpAddr,
}

/// What a call is answered.
#[derive(Debug)]
pub enum Answer {
    /// Almost always.
    Json(Value),
    /// `media/get`.
    Medium(Medium),
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
            content_type: None,
            peer,
        }
    }

    /// With the request's `Content-Type`.
    #[must_use]
    pub fn of_type(mut self, content_type: Option<&str>) -> Self {
        self.content_type = content_type.map(str::to_owned);
        self
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    fn query(&self, name: &str) -> Option<&str> {
        let (_, value) = self.query.iter().find(|(n, _)| n == name)?;
        Some(value.as_str()).filter(|value| !value.is_empty())
    }

    /// The boundary of a `multipart/form-data` body.
    fn boundary(&self) -> Option<&str> {
        let content_type = self.content_type.as_deref()?;
        content_type
            .to_ascii_lowercase()
            .starts_with("multipart/form-data")
            .then(|| media::parameter(content_type, "boundary"))
            .flatten()
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

/// What a path needs: a method, and whether an access token of the account goes with it.
enum Door {
    /// Tokens are fetched, and codes exchanged, with appid and secret; what a user agreed to is asked for with the user's own
    /// token. The call looks to that.
    Own(
        Method,
        fn(&mut State, i64, &Call) -> Result<Value, ApiError>,
    ),
    /// Everything else needs a token, which also says whose account it is.
    Token(
        Method,
        fn(&mut Caller<'_>, &Call) -> Result<Value, ApiError>,
    ),
    /// A token, for something other than JSON.
    Media(fn(&mut Caller<'_>, &Call) -> Result<Medium, ApiError>),
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
        "/cgi-bin/token" => Door::Own(Get, tokens::token),
        "/cgi-bin/stable_token" => Door::Own(Post, tokens::stable_token),
        "/cgi-bin/user/info" => Door::Token(Get, users::info),
        "/cgi-bin/user/info/batchget" => Door::Token(Post, users::batchget),
        "/cgi-bin/user/get" => Door::Token(Get, users::get),
        "/cgi-bin/tags/get" => Door::Token(Get, tags::get),
        "/cgi-bin/tags/create" => Door::Token(Post, tags::create),
        "/cgi-bin/tags/update" => Door::Token(Post, tags::update),
        "/cgi-bin/tags/delete" => Door::Token(Post, tags::delete),
        "/cgi-bin/tags/getidlist" => Door::Token(Post, tags::getidlist),
        "/cgi-bin/tags/members/batchtagging" => Door::Token(Post, tags::batchtagging),
        "/cgi-bin/tags/members/batchuntagging" => Door::Token(Post, tags::batchuntagging),
        "/cgi-bin/tags/members/getblacklist" => Door::Token(Post, blacklist::get),
        "/cgi-bin/tags/members/batchblacklist" => Door::Token(Post, blacklist::add),
        "/cgi-bin/tags/members/batchunblacklist" => Door::Token(Post, blacklist::remove),
        "/card/membercard/userinfo/get" => Door::Token(Post, cards::userinfo),
        "/card/membercard/activate" => Door::Token(Post, cards::activate),
        "/card/membercard/updateuser" => Door::Token(Post, cards::updateuser),
        "/card/code/get" => Door::Token(Post, cards::code),
        "/cgi-bin/message/custom/send" => Door::Token(Post, messages::custom),
        "/cgi-bin/message/template/send" => Door::Token(Post, messages::template),
        "/cgi-bin/message/subscribe/send" => Door::Token(Post, messages::subscribe),
        "/cgi-bin/message/subscribe/bizsend" => Door::Token(Post, messages::bizsend),
        "/cgi-bin/media/upload" => Door::Token(Post, media::upload),
        "/cgi-bin/media/get" => Door::Media(media::get),
        "/cgi-bin/menu/create" => Door::Token(Post, account::menu_create),
        "/cgi-bin/menu/get" => Door::Token(Get, account::menu_get),
        "/cgi-bin/menu/delete" => Door::Token(Get, account::menu_delete),
        "/cgi-bin/ticket/getticket" => Door::Token(Get, account::ticket),
        "/cgi-bin/clear_quota" => Door::Token(Post, account::clear_quota),
        "/cgi-bin/openapi/quota/get" => Door::Token(Post, account::quota_get),
        "/cgi-bin/getcallbackip" | "/cgi-bin/get_api_domain_ip" => {
            Door::Token(Get, account::addresses)
        }
        "/sns/jscode2session" => Door::Own(Get, login::jscode2session),
        "/sns/oauth2/access_token" => Door::Own(Get, oauth::access_token),
        "/sns/oauth2/refresh_token" => Door::Own(Get, oauth::refresh_token),
        "/sns/userinfo" => Door::Own(Get, oauth::userinfo),
        "/sns/auth" => Door::Own(Get, oauth::auth),
        "/wxa/business/getuserphonenumber" => Door::Token(Post, login::getuserphonenumber),
        _ => return None,
    })
}

pub(super) fn exists(path: &str) -> bool {
    door(path).is_some()
}

pub(super) fn answer(state: &mut State, now_ms: i64, call: &Call) -> Result<Answer, ApiError> {
    match door(&call.path).ok_or(40066)? {
        Door::Own(method, handle) => {
            require(method, call)?;
            handle(state, now_ms, call).map(Answer::Json)
        }
        Door::Token(method, handle) => {
            let mut caller = admit(state, now_ms, method, call)?;
            handle(&mut caller, call).map(Answer::Json)
        }
        Door::Media(handle) => {
            let mut caller = admit(state, now_ms, Method::Get, call)?;
            handle(&mut caller, call).map(Answer::Medium)
        }
    }
}

/// Whether a token that is good now came with the call, whatever the call is.
pub(super) fn is_authorised(state: &mut State, now_ms: i64, call: &Call) -> bool {
    authorise(state, now_ms, call).is_ok()
}

fn admit<'a>(
    state: &'a mut State,
    now_ms: i64,
    method: Method,
    call: &Call,
) -> Result<Caller<'a>, ApiError> {
    require(method, call)?;
    let index = authorise(state, now_ms, call)?;
    spend(&mut state.accounts[index], now_ms, &call.path)?;
    Ok(Caller {
        state,
        index,
        now_ms,
    })
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

/// Text of a member, if it is one and not empty.
/// The openids of a list, all of which this account has met.
fn members(caller: &mut Caller<'_>, list: &Value, most: usize) -> Result<Vec<String>, ApiError> {
    let list = list.as_array().ok_or(47001)?;
    if !(1..=most).contains(&list.len()) {
        return Err(40032.into());
    }
    let accounts = &caller.state.accounts;
    let own = &accounts[caller.index];
    let mut openids = Vec::with_capacity(list.len());
    for openid in list {
        let openid = openid.as_str().ok_or(40003)?;
        if !own.any_openid && own.users.follows(openid).is_none() {
            let is_anothers = |account: &AccountState| account.users.follows(openid).is_some();
            let errcode = if accounts.iter().any(is_anothers) {
                49003
            } else {
                40003
            };
            return Err(errcode.into());
        }
        openids.push(openid.to_owned());
    }
    Ok(openids)
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value[name].as_str().filter(|text| !text.is_empty())
}
