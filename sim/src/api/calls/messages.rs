//! Active messages: checked as far as the recipient goes, then recorded in the ledger.

use serde_json::{Value, json};

use super::{ApiError, Call, Caller, text};
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
    let account = caller.account();
    if account.users.follows(&touser).is_none() {
        return Err(40003.into());
    }
    account
        .users
        .take_send(now_ms, &touser)
        .map_err(|refused| match refused {
            SendRefused::OutOfTime => 45015,
            SendRefused::OutOfCount => 45047,
        })?;
    record(caller, "custom", 0, body);
    Ok(json!({"errcode": 0, "errmsg": "ok"}))
}

pub(super) fn template(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let touser = text(&body, "touser").ok_or(40003)?;
    if text(&body, "template_id").is_none() {
        return Err(40037.into());
    }
    match caller.account().users.follows(touser) {
        None => return Err(40003.into()),
        Some(false) => return Err(43004.into()),
        Some(true) => {}
    }
    let msgid = ids::msg_id();
    record(caller, "template", msgid, body);
    Ok(json!({"errcode": 0, "errmsg": "ok", "msgid": msgid}))
}

fn record(caller: &mut Caller<'_>, api: &str, msgid: u64, body: Value) {
    let account = caller.account().account.name.clone();
    let at_ms = caller.now_ms;
    caller.state.record(Sent {
        account,
        api: api.to_owned(),
        msgid,
        at_ms,
        body,
    });
}
