//! `/v1/accounts/{account}/tags`: the tags of an account's followers, at WeChat.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::json;
use weir_store_api::tags::{Tag, TagMembers, TagName, Tags, TagsChanged};

use super::cards::{later, refused};
use crate::asking::Questions;
use crate::body;
use crate::error::Error;
use crate::openapi::{AskedWechat, BodyRefused};
use crate::server::AppState;
use crate::tags::{self, Change};
use crate::wechat::Verdict;

/// Followers of one request.
const MEMBERS: usize = 1_000;

type OfAccount = Result<Path<String>, PathRejection>;
type OfTag = Result<Path<(String, i64)>, PathRejection>;

fn named<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Error> {
    let Path(names) = path.map_err(|rejection| Error::BadParameter(rejection.body_text()))?;
    Ok(names)
}

fn questions(state: &AppState) -> Result<&Questions, Error> {
    state.questions.as_deref().ok_or(Error::NoDoor)
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

/// `GET /v1/accounts/{account}/tags`: all tags, as WeChat has them now.
#[utoipa::path(get, path = "/v1/accounts/{account}/tags", tag = "tags", params(
    ("account" = String, Path, description = "The account's name in the gateway's configuration."),
), responses((status = OK, body = Tags), AskedWechat))]
pub(crate) async fn list(
    State(state): State<AppState>,
    path: OfAccount,
) -> Result<Json<Tags>, Error> {
    let account = named(path)?;
    let wechat = questions(&state)?.wechat();
    match wechat.get(&account, "/cgi-bin/tags/get").await {
        Verdict::Done(answer) => {
            let items = tags::listed(&answer).map(|(id, name, count)| Tag { id, name, count });
            Ok(Json(Tags {
                items: items.collect(),
            }))
        }
        Verdict::Refused(refusal) => Err(refused(refusal)),
        Verdict::Later(delay) => Err(later(&delay)),
    }
}

/// `POST /v1/accounts/{account}/tags`: makes a tag.
#[utoipa::path(post, path = "/v1/accounts/{account}/tags", tag = "tags", params(
    ("account" = String, Path, description = "The account's name in the gateway's configuration."),
), request_body = TagName, responses((status = CREATED, body = Tag), AskedWechat, BodyRefused))]
pub(crate) async fn create(
    State(state): State<AppState>,
    path: OfAccount,
    body: Body,
) -> Result<(StatusCode, Json<Tag>), Error> {
    let account = named(path)?;
    let name = name(&state, body).await?;
    let wechat = questions(&state)?.wechat();
    let wanted = json!({"tag": {"name": name}});
    match wechat.post(&account, "/cgi-bin/tags/create", &wanted).await {
        Verdict::Done(answer) => {
            let id = answer["tag"]["id"].as_i64().ok_or_else(|| {
                Error::WechatUnavailable("the answer has no tag; it may have been done".to_owned())
            })?;
            let tag = Tag {
                id,
                name,
                count: None,
            };
            Ok((StatusCode::CREATED, Json(tag)))
        }
        Verdict::Refused(refusal) => Err(refused(refusal)),
        Verdict::Later(delay) => Err(later(&delay)),
    }
}

/// `PATCH /v1/accounts/{account}/tags/{id}`: gives a tag another name.
#[utoipa::path(patch, path = "/v1/accounts/{account}/tags/{id}", tag = "tags", params(
    ("account" = String, Path, description = "The account's name in the gateway's configuration."),
    ("id" = i64, Path, description = "WeChat's id of the tag."),
), request_body = TagName, responses((status = OK, body = Tag), AskedWechat, BodyRefused))]
pub(crate) async fn rename(
    State(state): State<AppState>,
    path: OfTag,
    body: Body,
) -> Result<Json<Tag>, Error> {
    let (account, id) = named(path)?;
    let name = name(&state, body).await?;
    let wechat = questions(&state)?.wechat();
    let wanted = json!({"tag": {"id": id, "name": name}});
    match wechat.post(&account, "/cgi-bin/tags/update", &wanted).await {
        Verdict::Done(_) => Ok(Json(Tag {
            id,
            name,
            count: None,
        })),
        Verdict::Refused(refusal) => Err(refused(refusal)),
        Verdict::Later(delay) => Err(later(&delay)),
    }
}

/// `DELETE /v1/accounts/{account}/tags/{id}`: deletes a tag; nobody has it then.
#[utoipa::path(delete, path = "/v1/accounts/{account}/tags/{id}", tag = "tags", params(
    ("account" = String, Path, description = "The account's name in the gateway's configuration."),
    ("id" = i64, Path, description = "WeChat's id of the tag."),
), responses((status = NO_CONTENT, description = "It is gone."), AskedWechat))]
pub(crate) async fn delete(
    State(state): State<AppState>,
    path: OfTag,
) -> Result<StatusCode, Error> {
    let (account, id) = named(path)?;
    let wechat = questions(&state)?.wechat();
    let wanted = json!({"tag": {"id": id}});
    match wechat.post(&account, "/cgi-bin/tags/delete", &wanted).await {
        Verdict::Done(_) => Ok(StatusCode::NO_CONTENT),
        Verdict::Refused(refusal) => Err(refused(refusal)),
        Verdict::Later(delay) => Err(later(&delay)),
    }
}

/// `POST /v1/accounts/{account}/tags/{id}/members`: gives followers a tag.
#[utoipa::path(post, path = "/v1/accounts/{account}/tags/{id}/members", tag = "tags", params(
    ("account" = String, Path, description = "The account's name in the gateway's configuration."),
    ("id" = i64, Path, description = "WeChat's id of the tag."),
), request_body = TagMembers, responses((status = OK, body = TagsChanged), AskedWechat, BodyRefused))]
pub(crate) async fn give(
    State(state): State<AppState>,
    path: OfTag,
    body: Body,
) -> Result<Json<TagsChanged>, Error> {
    change(&state, named(path)?, Change::Give, body).await
}

/// `DELETE /v1/accounts/{account}/tags/{id}/members`: takes a tag from followers.
#[utoipa::path(delete, path = "/v1/accounts/{account}/tags/{id}/members", tag = "tags", params(
    ("account" = String, Path, description = "The account's name in the gateway's configuration."),
    ("id" = i64, Path, description = "WeChat's id of the tag."),
), request_body = TagMembers, responses((status = OK, body = TagsChanged), AskedWechat, BodyRefused))]
pub(crate) async fn take(
    State(state): State<AppState>,
    path: OfTag,
    body: Body,
) -> Result<Json<TagsChanged>, Error> {
    change(&state, named(path)?, Change::Take, body).await
}

async fn change(
    state: &AppState,
    (account, tag): (String, i64),
    change: Change,
    body: Body,
) -> Result<Json<TagsChanged>, Error> {
    let TagMembers { mut openids } = read(state, body).await?;
    if !(1..=MEMBERS).contains(&openids.len()) {
        return Err(Error::BadParameter(format!(
            "openids: 1 to {MEMBERS} of them"
        )));
    }
    openids.sort_unstable();
    openids.dedup();
    let questions = questions(state)?;
    let changed = tags::change(questions.wechat(), &account, tag, change, openids).await;
    let changed = changed.map_err(refused)?;
    // What WeChat has of them now is what the store is to have.
    questions.tell_users(&account, &changed.done).await;
    Ok(Json(changed))
}
