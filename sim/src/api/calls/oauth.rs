//! Web logins: a user's own tokens, which have nothing to do with the account's.

use serde_json::{Value, json};

use super::login::with_code;
use super::{ApiError, Call, account, spend};
use crate::api::login::{ACCESS_LIFETIME_MS, CodeFault, Grant, Scope, Visitor};
use crate::api::users::Users;
use crate::api::world::{AccountState, State};

pub(super) fn access_token(state: &mut State, now_ms: i64, call: &Call) -> Result<Value, ApiError> {
    let (account, code) = with_code(state, call, "code")?;
    spend(account, now_ms, &call.path)?;
    let grant = account
        .oauth
        .exchange(now_ms, code)
        .map_err(|fault| match fault {
            CodeFault::Unknown => 40029,
            CodeFault::Expired => 42003,
            CodeFault::Used => 40163,
        })?;
    Ok(granted(grant, &account.users))
}

pub(super) fn refresh_token(
    state: &mut State,
    now_ms: i64,
    call: &Call,
) -> Result<Value, ApiError> {
    let appid = call.query("appid").ok_or(41002)?;
    let token = call.query("refresh_token").ok_or(41003)?;
    if call.query("grant_type") != Some("refresh_token") {
        return Err(40002.into());
    }
    let account = state
        .accounts
        .iter_mut()
        .find(|account| account.account.appid == appid)
        .ok_or(40013)?;
    spend(account, now_ms, &call.path)?;
    let grant = account.oauth.refresh(now_ms, token)?;
    Ok(granted(grant, &account.users))
}

pub(super) fn userinfo(state: &mut State, now_ms: i64, call: &Call) -> Result<Value, ApiError> {
    let (account, visitor) = visitor(state, now_ms, call)?;
    if visitor.scope == Scope::Base {
        return Err(48001.into());
    }
    let mut info = json!({
        "openid": visitor.openid, "nickname": "微信用户", "sex": 0, "province": "", "city": "", "country": "",
        "headimgurl": "", "privilege": [],
    });
    // What was set of these, as `user/info` has it.
    if let Some(profile) = account.users.profile(&visitor.openid) {
        let profile = json!(profile);
        for name in [
            "nickname",
            "sex",
            "province",
            "city",
            "country",
            "headimgurl",
        ] {
            if !profile[name].is_null() {
                info[name] = profile[name].clone();
            }
        }
    }
    add_unionid(&mut info, visitor, &account.users);
    Ok(info)
}

pub(super) fn auth(state: &mut State, now_ms: i64, call: &Call) -> Result<Value, ApiError> {
    visitor(state, now_ms, call)?;
    account::ok()
}

/// Whose token came with the call, if the openid is theirs.
fn visitor<'a>(
    state: &'a State,
    now_ms: i64,
    call: &Call,
) -> Result<(&'a AccountState, &'a Visitor), ApiError> {
    let token = call.query("access_token").ok_or(41001)?;
    let openid = call.query("openid").ok_or(41009)?;
    let (account, visitor) = state
        .accounts
        .iter()
        .find_map(|account| Some((account, account.oauth.visitor(now_ms, token)?)))
        .ok_or(40001)?;
    let visitor = visitor?;
    if visitor.openid == openid {
        Ok((account, visitor))
    } else {
        Err(40003.into())
    }
}

fn granted(grant: &Grant, users: &Users) -> Value {
    let visitor = &grant.visitor;
    let mut answer = json!({
        "access_token": grant.access_token, "expires_in": ACCESS_LIFETIME_MS / 1000,
        "refresh_token": grant.refresh_token, "openid": visitor.openid, "scope": visitor.scope,
    });
    if visitor.is_snapshot {
        answer["is_snapshotuser"] = json!(1);
    }
    add_unionid(&mut answer, visitor, users);
    answer
}

/// Only of those who agreed to more than `snsapi_base`.
fn add_unionid(answer: &mut Value, visitor: &Visitor, users: &Users) {
    if visitor.scope != Scope::Base
        && let Some(unionid) = users.unionid(&visitor.openid)
    {
        answer["unionid"] = json!(unionid);
    }
}
