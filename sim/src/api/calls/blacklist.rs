//! The blacklist: who is not heard, and gets nothing.

use serde_json::{Value, json};

use super::{ApiError, Call, Caller, members, text};

/// Openids per page of `getblacklist`.
const PAGE: usize = 10_000;
/// Openids per `batchblacklist`. Source: WeChat's page on it.
const MAX_BATCH: usize = 20;

pub(super) fn get(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let after = text(&body, "begin_openid");
    let users = &caller.account().users;
    let page = users.blacklist_page(after, PAGE).ok_or(40003)?;
    let total = users.blacklisted();
    // As of the followers: a page names its last id; only an empty one names none and has no data.
    Ok(match page.last() {
        None => json!({"total": total, "count": 0, "next_openid": ""}),
        Some(last) => json!({
            "total": total, "count": page.len(), "data": {"openid": page}, "next_openid": last,
        }),
    })
}

pub(super) fn add(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    for openid in named(caller, call)? {
        caller.account().users.blacklist(&openid);
    }
    Ok(json!({"errcode": 0, "errmsg": "ok"}))
}

pub(super) fn remove(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    for openid in named(caller, call)? {
        caller.account().users.unblacklist(&openid);
    }
    Ok(json!({"errcode": 0, "errmsg": "ok"}))
}

/// The users of a body: all of them or none.
fn named(caller: &mut Caller<'_>, call: &Call) -> Result<Vec<String>, ApiError> {
    members(caller, &call.json()?["openid_list"], MAX_BATCH)
}
