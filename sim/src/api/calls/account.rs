//! What concerns the whole account: its menu, tickets for the JS-SDK, quotas, WeChat's addresses.

use serde_json::{Value, json};

use super::{ApiError, Call, Caller, text};

pub(super) fn menu_create(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let buttons = body["button"].as_array().ok_or(40016)?;
    if !(1..=3).contains(&buttons.len()) {
        return Err(40016.into());
    }
    for button in buttons {
        if text(button, "name").is_none() {
            return Err(40018.into());
        }
        if button["sub_button"]
            .as_array()
            .is_some_and(|below| below.len() > 5)
        {
            return Err(40023.into());
        }
    }
    caller.account().menu = Some(body);
    ok()
}

pub(super) fn menu_get(caller: &mut Caller<'_>, _: &Call) -> Result<Value, ApiError> {
    match &caller.account().menu {
        None => Err(46003.into()),
        Some(menu) => Ok(json!({"menu": menu})),
    }
}

pub(super) fn menu_delete(caller: &mut Caller<'_>, _: &Call) -> Result<Value, ApiError> {
    caller.account().menu = None;
    ok()
}

pub(super) fn ticket(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let kind = match call.query("type") {
        Some("jsapi") => "jsapi",
        Some("wx_card") => "wx_card",
        _ => return Err(40097.into()),
    };
    let now_ms = caller.now_ms;
    let (ticket, expires_in) = caller.account().tickets.get(now_ms, kind);
    Ok(json!({"errcode": 0, "errmsg": "ok", "ticket": ticket, "expires_in": expires_in}))
}

pub(super) fn clear_quota(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let now_ms = caller.now_ms;
    let account = caller.account();
    if text(&body, "appid") != Some(account.account.appid.as_str()) {
        return Err(40013.into());
    }
    if !account.quotas.clear(now_ms) {
        return Err(48006.into());
    }
    ok()
}

pub(super) fn quota_get(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let path = text(&body, "cgi_path")
        .filter(|path| super::exists(path))
        .ok_or(76021)?;
    let now_ms = caller.now_ms;
    let (limit, used) = caller.account().quotas.today(now_ms, path);
    Ok(json!({
        "errcode": 0, "errmsg": "ok",
        "quota": {"daily_limit": limit, "used": used, "remain": limit.saturating_sub(used)},
    }))
}

pub(super) fn addresses(_: &mut Caller<'_>, _: &Call) -> Result<Value, ApiError> {
    Ok(json!({"ip_list": ["127.0.0.1"]}))
}

pub(super) fn ok() -> Result<Value, ApiError> {
    Ok(json!({"errcode": 0, "errmsg": "ok"}))
}
