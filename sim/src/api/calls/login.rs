//! Mini programs: who logged in, and which number they gave.

use serde_json::{Value, json};

use super::{ApiError, Call, Caller, spend, text, tokens};
use crate::api::login::{CodeFault, watermark};
use crate::api::world::{AccountState, State};

pub(super) fn jscode2session(
    state: &mut State,
    now_ms: i64,
    call: &Call,
) -> Result<Value, ApiError> {
    let (account, code) = with_code(state, call, "js_code")?;
    spend(account, now_ms, &call.path)?;
    let login = account
        .logins
        .log_in(now_ms, code)
        .map_err(|fault| match fault {
            CodeFault::Used => 40163,
            CodeFault::Unknown | CodeFault::Expired => 40029,
        })?
        .ok_or(40226)?;
    let mut answer = json!({"session_key": login.session_key, "openid": login.openid});
    if let Some(unionid) = account.users.unionid(&login.openid) {
        answer["unionid"] = json!(unionid);
    }
    Ok(answer)
}

pub(super) fn getuserphonenumber(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let code = text(&body, "code").ok_or(40029)?;
    let now_ms = caller.now_ms;
    let account = caller.account();
    let phone = account.logins.phone(now_ms, code).map_err(|_| 40029)?;
    let mut info = phone.info();
    info["watermark"] = watermark(now_ms, &account.account.appid);
    Ok(json!({"errcode": 0, "errmsg": "ok", "phone_info": info}))
}

/// The account of `appid` and `secret`, and the code in the parameter of that name.
pub(super) fn with_code<'a, 'c>(
    state: &'a mut State,
    call: &'c Call,
    name: &str,
) -> Result<(&'a mut AccountState, &'c str), ApiError> {
    let appid = call.query("appid").ok_or(41002)?;
    let secret = call.query("secret").ok_or(41004)?;
    let code = call.query(name).ok_or(41008)?;
    if call.query("grant_type") != Some("authorization_code") {
        return Err(40002.into());
    }
    Ok((tokens::authenticate(state, call, appid, secret)?, code))
}
