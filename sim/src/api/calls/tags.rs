//! Tags, and who has them.

use serde_json::{Value, json};

use super::{ApiError, Call, Caller, members, text};

/// Tags that an account may have.
const MAX_TAGS: usize = 100;
/// Characters of a name.
const MAX_NAME: usize = 30;
/// The last of the ids that WeChat keeps for itself.
const RESERVED: i64 = 2;
/// The first id of the account's own.
const FIRST: i64 = 100;
/// A tag with more followers cannot be deleted.
const MAX_DELETED: usize = 100_000;
/// Openids per `batchtagging`.
const MAX_TAGGED: usize = 50;
/// Tags a user may have.
const MAX_OF_USER: usize = 20;

fn done() -> Value {
    json!({"errcode": 0, "errmsg": "ok"})
}

pub(super) fn get(caller: &mut Caller<'_>, _: &Call) -> Result<Value, ApiError> {
    let account = caller.account();
    let tags: Vec<Value> = account
        .tags
        .iter()
        .map(|(id, name)| json!({"id": id, "name": name, "count": account.users.tagged(*id)}))
        .collect();
    Ok(json!({"tags": tags}))
}

/// The name in a body, if no other tag has it.
fn name(caller: &mut Caller<'_>, body: &Value, own: Option<i64>) -> Result<String, ApiError> {
    let name = text(&body["tag"], "name").ok_or(45157)?;
    if name.chars().count() > MAX_NAME {
        return Err(45158.into());
    }
    let tags = &caller.account().tags;
    if tags
        .iter()
        .any(|(id, known)| known == name && Some(*id) != own)
    {
        return Err(45157.into());
    }
    Ok(name.to_owned())
}

pub(super) fn create(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let name = name(caller, &call.json()?, None)?;
    let tags = &mut caller.account().tags;
    if tags.keys().filter(|id| **id > RESERVED).count() >= MAX_TAGS {
        return Err(45056.into());
    }
    let id = tags.keys().max().map_or(FIRST, |last| FIRST.max(last + 1));
    tags.insert(id, name.clone());
    Ok(json!({"tag": {"id": id, "name": name}}))
}

/// A tag of the account's own.
fn own(caller: &mut Caller<'_>, body: &Value) -> Result<i64, ApiError> {
    let id = body["tag"]["id"].as_i64().ok_or(45159)?;
    if id <= RESERVED {
        return Err(45058.into());
    }
    if !caller.account().tags.contains_key(&id) {
        return Err(45159.into());
    }
    Ok(id)
}

pub(super) fn update(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let id = own(caller, &body)?;
    let name = name(caller, &body, Some(id))?;
    caller.account().tags.insert(id, name);
    Ok(done())
}

pub(super) fn delete(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let id = own(caller, &call.json()?)?;
    let account = caller.account();
    if account.users.tagged(id) > MAX_DELETED {
        return Err(45057.into());
    }
    account.tags.remove(&id);
    account.users.forget_tag(id);
    Ok(done())
}

pub(super) fn batchtagging(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let (tag, openids) = tagged(caller, call)?;
    let account = caller.account();
    // All of them or none.
    for openid in &openids {
        let tags = account.users.tags_of(openid).unwrap_or_default();
        if tags.len() >= MAX_OF_USER && !tags.contains(&tag) {
            return Err(45059.into());
        }
    }
    for openid in openids {
        account.users.tag(&openid, tag);
    }
    Ok(done())
}

pub(super) fn batchuntagging(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let (tag, openids) = tagged(caller, call)?;
    for openid in openids {
        caller.account().users.untag(&openid, tag);
    }
    Ok(done())
}

/// The tag and the users of a body, all of which are known.
fn tagged(caller: &mut Caller<'_>, call: &Call) -> Result<(i64, Vec<String>), ApiError> {
    let body = call.json()?;
    let tag = body["tagid"].as_i64().ok_or(45159)?;
    let account = caller.account();
    if !account.any_openid && !account.tags.contains_key(&tag) {
        return Err(45159.into());
    }
    let openids = members(caller, &body["openid_list"], MAX_TAGGED)?;
    Ok((tag, openids))
}

pub(super) fn getidlist(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let body = call.json()?;
    let openid = text(&body, "openid").ok_or(40003)?;
    let tags = caller.account().users.tags_of(openid).ok_or(40003)?;
    Ok(json!({"tagid_list": tags}))
}
