//! Active messages: checked as far as the recipient and the variables go, then recorded in the ledger.

use serde_json::{Value, json};

use super::{ApiError, Call, Caller, account::ok, data, text};
use crate::api::ledger::Sent;
use crate::api::users::SendRefused;
use crate::wechat::ids;

pub(super) fn custom(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let touser = text(&body, "touser").ok_or(40003)?.to_owned();
    let msgtype = text(&body, "msgtype").ok_or(40008)?;
    if msgtype == "text" && text(&body["text"], "content").is_none() {
        return Err(44004.into());
    }
    let now_ms = caller.now_ms;
    // A stranger who counts as a follower has just written.
    if known(caller, &touser)?.is_some() {
        caller
            .account()
            .users
            .take_send(now_ms, &touser)
            .map_err(|refused| match refused {
                SendRefused::OutOfTime => 45015,
                SendRefused::OutOfCount => 45047,
            })?;
    }
    record(caller, "custom", &touser, 0, &body);
    ok()
}

pub(super) fn template(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let touser = text(&body, "touser").ok_or(40003)?;
    if text(&body, "template_id").is_none() {
        return Err(40037.into());
    }
    if known(caller, touser)? == Some(false) {
        return Err(43004.into());
    }
    data::check(&body["data"])?;
    let now_ms = caller.now_ms;
    let client_msg_id = text(&body, "client_msg_id");
    let sends = &mut caller.account().sends;
    // WeChat says that no second message is sent, not what is answered: the first one's id.
    let msgid = match client_msg_id.and_then(|id| sends.sent_before(now_ms, touser, id)) {
        Some(msgid) => {
            caller.state.ledger.repeats += 1;
            msgid
        }
        None => {
            let msgid = ids::msg_id();
            if let Some(id) = client_msg_id {
                sends.remember(now_ms, touser, id, msgid);
            }
            record(caller, "template", touser, msgid, &body);
            msgid
        }
    };
    Ok(json!({"errcode": 0, "errmsg": "ok", "msgid": msgid}))
}

/// Subscribe messages of Mini Programs.
pub(super) fn subscribe(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let msgid = by_credit(caller, call, "subscribe")?;
    Ok(json!({"errcode": 0, "errmsg": "ok", "msgid": msgid}))
}

/// Subscription notifications of Official Accounts; their id is known from the push alone.
pub(super) fn bizsend(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    by_credit(caller, call, "bizsend")?;
    ok()
}

fn by_credit(caller: &mut Caller<'_>, call: &Call, api: &str) -> Result<u64, ApiError> {
    let body = call.json()?;
    let touser = text(&body, "touser").ok_or(40003)?;
    let template = text(&body, "template_id").ok_or(40037)?;
    known(caller, touser)?;
    data::check(&body["data"])?;
    if !caller.account().sends.take_credit(touser, template) {
        return Err(43101.into());
    }
    let msgid = ids::msg_id();
    record(caller, api, touser, msgid, &body);
    Ok(msgid)
}

/// Whether they follow; `None` for a stranger, where the account takes any.
fn known(caller: &mut Caller<'_>, openid: &str) -> Result<Option<bool>, ApiError> {
    let account = caller.account();
    if account.users.is_blacklisted(openid) {
        return Err(43019.into());
    }
    match account.users.follows(openid) {
        None if !account.any_openid => Err(40003.into()),
        known => Ok(known),
    }
}

fn record(caller: &mut Caller<'_>, api: &str, openid: &str, msgid: u64, body: &Value) {
    let at_ms = caller.now_ms;
    let account = caller.account();
    account.sends.count(api, openid);
    let account = account.account.name.clone();
    caller.state.record(Sent {
        account,
        api: api.to_owned(),
        msgid,
        at_ms,
        body: body.clone(),
    });
}
