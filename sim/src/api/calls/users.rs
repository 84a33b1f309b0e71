//! Users.

use serde_json::{Value, json};

use super::{ApiError, Call, Caller, text};
use crate::api::world::AccountState;

/// Openids per `batchget`.
const MAX_BATCH: usize = 100;
/// Openids per page of `user/get`.
const PAGE: usize = 10_000;

pub(super) fn info(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let openid = call.query("openid").ok_or(41009)?;
    user(caller.account(), openid)
}

pub(super) fn batchget(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let list = body["user_list"].as_array().ok_or(47001)?;
    if !(1..=MAX_BATCH).contains(&list.len()) {
        return Err(40032.into());
    }
    let infos: Vec<Value> = list
        .iter()
        .map(|entry| user(caller.account(), text(entry, "openid").ok_or(40003)?))
        .collect::<Result<_, ApiError>>()?;
    Ok(json!({"user_info_list": infos}))
}

fn user(account: &mut AccountState, openid: &str) -> Result<Value, ApiError> {
    match account.users.info(openid) {
        Some(info) => Ok(info),
        None if account.any_openid => Ok(json!({
            "subscribe": 1, "openid": openid, "language": "zh_CN", "subscribe_time": 1_714_104_000, "remark": "",
            "groupid": 0, "tagid_list": [], "subscribe_scene": "ADD_SCENE_SEARCH", "qr_scene": 0, "qr_scene_str": "",
        })),
        None => Err(40003.into()),
    }
}

pub(super) fn get(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let users = &caller.account().users;
    let page = users.followers(call.query("next_openid"), PAGE);
    let page = page.ok_or(40003)?;
    let total = users.following();
    // A page names its last id; only an empty page names none and has no data.
    Ok(match page.last() {
        None => json!({"total": total, "count": 0, "next_openid": ""}),
        Some(last) => json!({
            "total": total, "count": page.len(), "data": {"openid": page}, "next_openid": last,
        }),
    })
}
