//! `/v1/accounts/{account}/tags`: the tags of an account's followers, at WeChat where the account may use tags there, else here.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use weir_errands::errcodes;
use weir_store_api::jobs::JobState;
use weir_store_api::read::Page;
use weir_store_api::tags::{Tag, TagMembers, TagName, TagOperation, TagRefused, Tags, TagsChanged};

use super::cards::refused;
use super::syncs::{ListParameters, within};
use super::{Parameters, slice};
use crate::body;
use crate::cursor::Order;
use crate::error::Error;
use crate::jobs::{self, TagsWanted as Wanted, is_account};
use crate::openapi::{AskedWechat, BodyRefused, NotFound};
use crate::repo::tags as known;
use crate::server::AppState;
use crate::tags::{self, OF_ACCOUNT, OF_USER, is_local};
use crate::wechat::Verdict;

/// Followers of one request.
const MEMBERS: usize = 1_000;
/// How long a request waits for WeChat; what takes longer goes on without it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Why tags are the store's own where it cannot ask WeChat.
const NO_DOOR: &str = "the store was started without --door: it does not reach WeChat";

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct AccountPath {
    /// The account's name in the gateway's configuration.
    #[param(pattern = "^[a-z0-9_-]{1,32}$")]
    account: String,
}

/// Which.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct TagPath {
    /// The account's name in the gateway's configuration.
    #[param(pattern = "^[a-z0-9_-]{1,32}$")]
    account: String,
    /// WeChat's id of the tag; of one of the store's own its number below 0.
    id: i64,
}

/// Which.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct OperationPath {
    /// The account's name in the gateway's configuration.
    #[param(pattern = "^[a-z0-9_-]{1,32}$")]
    account: String,
    /// The operation's number.
    id: i64,
}

type OfAccount = Result<Path<AccountPath>, PathRejection>;
type OfTag = Result<Path<TagPath>, PathRejection>;

fn account_of(path: OfAccount) -> Result<String, Error> {
    let AccountPath { account } = within(path)?;
    checked(account)
}

fn tag_of(path: OfTag) -> Result<(String, i64), Error> {
    let TagPath { account, id } = within(path)?;
    Ok((checked(account)?, id))
}

fn checked(account: String) -> Result<String, Error> {
    if is_account(&account) {
        return Ok(account);
    }
    let why = "an account's name has 1 to 32 of a-z, 0-9, _ and -";
    Err(Error::BadParameter(why.to_owned()))
}

async fn read<T: DeserializeOwned>(state: &AppState, body: Body) -> Result<T, Error> {
    let patience = Duration::from_millis(state.limits.request_timeout_ms);
    let body = body::read(body, state.limits.max_body_bytes, patience).await?;
    serde_json::from_slice(&body)
        .map_err(|_| Error::BrokenBody("the body is not the JSON that this call takes"))
}

async fn name(state: &AppState, body: Body) -> Result<String, Error> {
    let TagName { name } = read(state, body).await?;
    match tags::unfit(&name) {
        Some(why) => Err(Error::BadParameter(why)),
        None => Ok(name),
    }
}

/// Refuses as WeChat would.
fn as_wechat(errcode: i64) -> Error {
    refused(tags::refusal(errcode))
}

/// Has it done at WeChat; once it is, answers by `done`, and until then with the operation.
async fn at_wechat(
    state: &AppState,
    account: &str,
    wanted: Wanted,
    done: impl FnOnce(TagOperation) -> Response,
) -> Result<Response, Error> {
    let errands = state.errands.as_ref().ok_or(Error::NoDoor)?;
    let made = errands.change_tags(&*state.repo, account, &wanted, PATIENCE);
    let operation = made.await?;
    match operation.state {
        JobState::Done => Ok(done(operation)),
        JobState::Failed | JobState::Stopped => {
            let why = operation.reason.unwrap_or_default();
            Err(match operation.errcode {
                Some(errcode) => refused(crate::wechat::Refusal { errcode, why }),
                None => Error::WechatUnavailable(why),
            })
        }
        JobState::Waiting | JobState::Running | JobState::Resting => {
            let location = format!("/v1/accounts/{account}/tag-operations/{}", operation.id);
            Ok((
                StatusCode::ACCEPTED,
                [(LOCATION, location)],
                Json(operation),
            )
                .into_response())
        }
    }
}

/// `GET /v1/accounts/{account}/tags`: all tags, as WeChat has them now, and the store's own. Where WeChat cannot be asked, its
/// tags are as they were known last, with a `warning`.
#[utoipa::path(get, path = "/v1/accounts/{account}/tags", tag = "tags", params(AccountPath),
    responses((status = OK, body = Tags)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    path: OfAccount,
) -> Result<Json<Tags>, Error> {
    let account = account_of(path)?;
    let repo = &*state.repo;
    let warning = match &state.questions {
        None => Some(NO_DOOR.to_owned()),
        Some(questions) => {
            let asked_ms = known::now_ms(repo).await?;
            match questions.wechat().get(&account, "/cgi-bin/tags/get").await {
                Verdict::Done(answer) => {
                    let listed: Vec<Tag> = tags::listed(&answer).collect();
                    known::correct(repo, &account, &listed, asked_ms).await?;
                    None
                }
                Verdict::Refused(refusal) => {
                    Some(format!("WeChat says {}: {}", refusal.errcode, refusal.why))
                }
                Verdict::Later(delay) => Some(delay.why),
            }
        }
    };
    let items = known::tags(repo, &account).await?;
    Ok(Json(Tags { items, warning }))
}

/// `POST /v1/accounts/{account}/tags`: makes a tag. 202 with an operation: WeChat has not done it yet, and will when it can be
/// asked. Where the account may not use tags at WeChat, the store keeps it: `place` is `local`, and `why_local` says why.
#[utoipa::path(post, path = "/v1/accounts/{account}/tags", tag = "tags", params(AccountPath), request_body = TagName,
    responses((status = CREATED, body = Tag), (status = ACCEPTED, body = TagOperation), AskedWechat, BodyRefused))]
pub(crate) async fn create(
    State(state): State<AppState>,
    path: OfAccount,
    body: Body,
) -> Result<Response, Error> {
    let account = account_of(path)?;
    let name = name(&state, body).await?;
    let all = known::tags(&*state.repo, &account).await?;
    if all.iter().any(|tag| is_local(tag.id) && tag.name == name) {
        return Err(as_wechat(errcodes::NAME_TAKEN));
    }
    if all.iter().filter(|tag| tags::is_own(tag.id)).count() >= OF_ACCOUNT {
        return Err(as_wechat(errcodes::TOO_MANY_TAGS));
    }
    if state.errands.is_none() {
        let made = known::make_local(&*state.repo, &account, &name, NO_DOOR).await?;
        // Another tag has the name, or got the last place: one that WeChat was known to have, or that was made just now.
        let tag = made.ok_or_else(|| as_wechat(errcodes::NAME_TAKEN))?;
        return Ok((StatusCode::CREATED, Json(tag)).into_response());
    }
    let made = |operation: TagOperation| (StatusCode::CREATED, Json(operation.tag)).into_response();
    at_wechat(&state, &account, Wanted::Create { name }, made).await
}

/// `PATCH /v1/accounts/{account}/tags/{id}`: gives a tag another name. 202: as of the call that makes one.
#[utoipa::path(patch, path = "/v1/accounts/{account}/tags/{id}", tag = "tags", params(TagPath), request_body = TagName,
    responses((status = OK, body = Tag), (status = ACCEPTED, body = TagOperation), AskedWechat, BodyRefused))]
pub(crate) async fn rename(
    State(state): State<AppState>,
    path: OfTag,
    body: Body,
) -> Result<Response, Error> {
    let (account, id) = tag_of(path)?;
    let name = name(&state, body).await?;
    if !is_local(id) {
        let made = |operation: TagOperation| Json(operation.tag).into_response();
        return at_wechat(&state, &account, Wanted::Rename { id, name }, made).await;
    }
    let repo = &*state.repo;
    if known::rename_local(repo, &account, id, &name).await? {
        let all = known::tags(repo, &account).await?;
        let tag = all.into_iter().find(|tag| tag.id == id);
        return Ok(Json(tag.ok_or_else(|| as_wechat(errcodes::NO_SUCH_TAG))?).into_response());
    }
    let all = known::tags(repo, &account).await?;
    let is_there = all.iter().any(|tag| tag.id == id);
    Err(as_wechat(if is_there {
        errcodes::NAME_TAKEN
    } else {
        errcodes::NO_SUCH_TAG
    }))
}

/// `DELETE /v1/accounts/{account}/tags/{id}`: deletes a tag; nobody has it then. 202: as of the call that makes one.
#[utoipa::path(delete, path = "/v1/accounts/{account}/tags/{id}", tag = "tags", params(TagPath),
    responses((status = NO_CONTENT, description = "It is gone."), (status = ACCEPTED, body = TagOperation), AskedWechat))]
pub(crate) async fn delete(State(state): State<AppState>, path: OfTag) -> Result<Response, Error> {
    let (account, id) = tag_of(path)?;
    if !is_local(id) {
        let made = |_| StatusCode::NO_CONTENT.into_response();
        return at_wechat(&state, &account, Wanted::Delete { id }, made).await;
    }
    if !known::forget(&*state.repo, &account, id).await? {
        return Err(as_wechat(errcodes::NO_SUCH_TAG));
    }
    state.people.all_changed();
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `POST /v1/accounts/{account}/tags/{id}/members`: gives followers a tag. 202: as of the call that makes one.
#[utoipa::path(post, path = "/v1/accounts/{account}/tags/{id}/members", tag = "tags", params(TagPath), request_body = TagMembers,
    responses((status = OK, body = TagsChanged), (status = ACCEPTED, body = TagOperation), AskedWechat, BodyRefused))]
pub(crate) async fn give(
    State(state): State<AppState>,
    path: OfTag,
    body: Body,
) -> Result<Response, Error> {
    let (account, id) = tag_of(path)?;
    let openids = members(&state, body).await?;
    if is_local(id) {
        let changed = give_local(&state, &account, id, openids).await?;
        return Ok(Json(changed).into_response());
    }
    let made = |operation: TagOperation| Json(operation.members).into_response();
    at_wechat(&state, &account, Wanted::Give { id, openids }, made).await
}

/// `DELETE /v1/accounts/{account}/tags/{id}/members`: takes a tag from followers. 202: as of the call that makes one.
#[utoipa::path(delete, path = "/v1/accounts/{account}/tags/{id}/members", tag = "tags", params(TagPath), request_body = TagMembers,
    responses((status = OK, body = TagsChanged), (status = ACCEPTED, body = TagOperation), AskedWechat, BodyRefused))]
pub(crate) async fn take(
    State(state): State<AppState>,
    path: OfTag,
    body: Body,
) -> Result<Response, Error> {
    let (account, id) = tag_of(path)?;
    let openids = members(&state, body).await?;
    if !is_local(id) {
        let made = |operation: TagOperation| Json(operation.members).into_response();
        return at_wechat(&state, &account, Wanted::Take { id, openids }, made).await;
    }
    let repo = &*state.repo;
    exists(&state, &account, id).await?;
    let users = known::of_users(repo, &account, &openids, id).await?;
    let mut changed = TagsChanged::default();
    for openid in openids {
        match users.contains_key(&openid) {
            true => changed.done.push(openid),
            false => changed.refused.push(unknown(openid)),
        }
    }
    known::take_local(repo, &account, id, &changed.done).await?;
    state.people.users_changed(&account, &changed.done);
    Ok(Json(changed).into_response())
}

async fn members(state: &AppState, body: Body) -> Result<Vec<String>, Error> {
    let TagMembers { mut openids } = read(state, body).await?;
    if !(1..=MEMBERS).contains(&openids.len()) {
        return Err(Error::BadParameter(format!(
            "openids: 1 to {MEMBERS} of them"
        )));
    }
    openids.sort_unstable();
    openids.dedup();
    Ok(openids)
}

async fn exists(state: &AppState, account: &str, id: i64) -> Result<(), Error> {
    let all = known::tags(&*state.repo, account).await?;
    match all.iter().any(|tag| tag.id == id) {
        true => Ok(()),
        false => Err(as_wechat(errcodes::NO_SUCH_TAG)),
    }
}

fn unknown(openid: String) -> TagRefused {
    refused_one(openid, errcodes::INVALID_OPENID)
}

fn refused_one(openid: String, errcode: i64) -> TagRefused {
    TagRefused {
        openid,
        errcode,
        reason: errcodes::meaning(errcode).reason.to_owned(),
    }
}

/// Gives a tag of the store's own to those whom the store knows and who may have another.
async fn give_local(
    state: &AppState,
    account: &str,
    id: i64,
    openids: Vec<String>,
) -> Result<TagsChanged, Error> {
    let repo = &*state.repo;
    exists(state, account, id).await?;
    let users = known::of_users(repo, account, &openids, id).await?;
    let mut changed = TagsChanged::default();
    let mut given = Vec::new();
    for openid in openids {
        match users.get(&openid) {
            None => changed.refused.push(unknown(openid)),
            Some(user) if !user.may_get(id) => {
                let refused = refused_one(openid, errcodes::TOO_MANY_OF_USER);
                changed.refused.push(refused);
            }
            Some(user) => {
                given.push((openid.clone(), OF_USER.saturating_sub(user.wechat.len())));
                changed.done.push(openid);
            }
        }
    }
    known::give_local(repo, account, id, &given).await?;
    state.people.users_changed(account, &changed.done);
    Ok(changed)
}

/// `GET /v1/accounts/{account}/tag-operations`: the changes of tags at WeChat, last asked for first.
#[utoipa::path(get, path = "/v1/accounts/{account}/tag-operations", tag = "tags", params(AccountPath, ListParameters),
    responses((status = OK, body = Page<TagOperation>)))]
pub(crate) async fn operations(
    State(state): State<AppState>,
    path: OfAccount,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Page<TagOperation>>, Error> {
    let account = account_of(path)?;
    let slice = slice(Order::Jobs, parameters.cursor.as_deref(), parameters.limit)?;
    let page = jobs::tag_operations(&*state.repo, &account, slice).await?;
    Ok(Json(page))
}

/// `GET /v1/accounts/{account}/tag-operations/{id}`: how a change of a tag at WeChat is, and what came of it.
#[utoipa::path(get, path = "/v1/accounts/{account}/tag-operations/{id}", tag = "tags", params(OperationPath),
    responses((status = OK, body = TagOperation), NotFound))]
pub(crate) async fn operation(
    State(state): State<AppState>,
    path: Result<Path<OperationPath>, PathRejection>,
) -> Result<Json<TagOperation>, Error> {
    let OperationPath { account, id } = within(path)?;
    let found = jobs::tag_operation(&*state.repo, &account, id).await?;
    found
        .map(Json)
        .ok_or(Error::NotFound("this account has no such operation"))
}
