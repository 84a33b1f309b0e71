//! `/cgi-bin/token` and `/cgi-bin/stable_token`.

use serde_json::{Value, json};

use super::{ApiError, Call, spend, text};
use crate::api::tokens::Grant;
use crate::api::world::{AccountState, State};

pub(super) fn token(state: &mut State, now_ms: i64, call: &Call) -> Result<Value, ApiError> {
    let account = client(
        state,
        call,
        [
            call.query("grant_type"),
            call.query("appid"),
            call.query("secret"),
        ],
    )?;
    spend(account, now_ms, &call.path)?;
    Ok(granted(account.tokens.classic(now_ms)))
}

pub(super) fn stable_token(state: &mut State, now_ms: i64, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let account = client(
        state,
        call,
        [
            text(&body, "grant_type"),
            text(&body, "appid"),
            text(&body, "secret"),
        ],
    )?;
    spend(account, now_ms, &call.path)?;
    let force = body["force_refresh"].as_bool().unwrap_or(false);
    account
        .tokens
        .stable(now_ms, force)
        .map(granted)
        .map_err(|_| 45009.into())
}

/// The account of `[grant_type, appid, secret]`.
fn client<'a>(
    state: &'a mut State,
    call: &Call,
    [grant_type, appid, secret]: [Option<&str>; 3],
) -> Result<&'a mut AccountState, ApiError> {
    if grant_type != Some("client_credential") {
        return Err(40002.into());
    }
    authenticate(state, call, appid.ok_or(41002)?, secret.ok_or(41004)?)
}

/// The account of that appid, if its secret is right and the caller's address allowed.
pub(super) fn authenticate<'a>(
    state: &'a mut State,
    call: &Call,
    appid: &str,
    secret: &str,
) -> Result<&'a mut AccountState, ApiError> {
    let account = state
        .accounts
        .iter_mut()
        .find(|account| account.account.appid == appid)
        .ok_or(40013)?;
    if account.account.secret != secret {
        return Err(40125.into());
    }
    if account
        .ip_whitelist
        .as_ref()
        .is_some_and(|allowed| !allowed.contains(&call.peer))
    {
        return Err(ApiError {
            errcode: 40164,
            detail: Some(call.peer.to_string()),
        });
    }
    Ok(account)
}

fn granted(grant: Grant) -> Value {
    json!({"access_token": grant.token, "expires_in": grant.expires_in})
}
