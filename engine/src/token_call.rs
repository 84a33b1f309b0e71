//! The call that fetches an access token, for modules that share [`tokens`](crate::tokens) with the push filter.

use weir_protocol::api::{self, AnswerError, ApiError, Class, StableTokenRequest, TokenAnswer};

use crate::config::{Peer, Secret};
use crate::tokens::Fetched;
use crate::{CallOutcome, HttpRequest};

/// The request. It has the AppSecret in it.
#[must_use]
pub fn request(wechat_api: &Peer, appid: &str, app_secret: &Secret) -> HttpRequest {
    let request = StableTokenRequest {
        appid,
        secret: app_secret.expose(),
        force_refresh: false,
    };
    HttpRequest {
        method: "POST".to_owned(),
        path: api::STABLE_TOKEN_PATH.to_owned(),
        content_type: Some("application/json".to_owned()),
        body: request.encode(),
        cluster: wechat_api.cluster.clone(),
        authority: wechat_api.authority.clone(),
        timeout_ms: wechat_api.timeout_ms,
    }
}

/// What came of it, and WeChat's words where it refused.
#[must_use]
pub fn read(outcome: &CallOutcome<'_>) -> (Fetched, Option<ApiError>) {
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
