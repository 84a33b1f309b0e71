//! The call that fetches an access token, for modules that share [`tokens`] with the push filter.

use weir_protocol::api::{self, AnswerError, ApiError, Class, StableTokenRequest, TokenAnswer};

use crate::config::{Peer, Secret};
use crate::owners::OwnerId;
use crate::tokens::{self, Fetched};
use crate::{CallOutcome, Env, HttpRequest};

/// Whether WeChat is to be asked for an access token.
pub enum Need {
    /// There is one, and its end is not near.
    Nothing,
    /// With this request, by this worker. It has the AppSecret in it.
    Call(HttpRequest),
    /// Another worker asks, or WeChat has just refused.
    Patience,
}

/// Whether `me` is to ask WeChat for the token of `appid` now.
#[must_use]
pub fn need(
    env: &Env<'_>,
    wechat_api: &Peer,
    appid: &str,
    app_secret: &Secret,
    me: OwnerId,
) -> Need {
    let now_ms = env.now.mono_ms;
    if tokens::current(env.shared, appid, now_ms).is_some_and(|(_, _, early)| !early) {
        return Need::Nothing;
    }
    match tokens::access(env.shared, appid, me, now_ms).fetch {
        true => Need::Call(request(wechat_api, appid, app_secret)),
        false => Need::Patience,
    }
}

/// The call is over: all workers learn what came of it. Returns that, and WeChat's words where it refused.
pub fn settle(
    env: &mut Env<'_>,
    appid: &str,
    me: OwnerId,
    outcome: &CallOutcome<'_>,
) -> (Fetched, Option<ApiError>) {
    let read = read(outcome);
    let (random, now_ms) = (env.random_u32(), env.now.mono_ms);
    tokens::fetched(env.shared, appid, me, &read.0, now_ms, random);
    read
}

fn request(wechat_api: &Peer, appid: &str, app_secret: &Secret) -> HttpRequest {
    let request = StableTokenRequest {
        appid,
        secret: app_secret.expose(),
        force_refresh: false,
    };
    let path = api::STABLE_TOKEN_PATH.to_owned();
    HttpRequest::post(wechat_api, path, "application/json", request.encode())
}

fn read(outcome: &CallOutcome<'_>) -> (Fetched, Option<ApiError>) {
    let CallOutcome::Answer {
        status: 200, body, ..
    } = outcome
    else {
        return (Fetched::Failed, None);
    };
    match TokenAnswer::parse(body) {
        Ok(answer) => {
            let fetched = Fetched::Token {
                token: answer.access_token.into_owned(),
                expires_in_s: answer.expires_in,
            };
            (fetched, None)
        }
        Err(AnswerError::Malformed) => (Fetched::Failed, None),
        Err(AnswerError::Refused(error)) => {
            let by_operator = matches!(
                error.token_call_class(),
                Class::Credentials | Class::Permission
            );
            let fetched = if by_operator {
                Fetched::Refused
            } else {
                Fetched::Failed
            };
            (fetched, Some(error))
        }
    }
}
