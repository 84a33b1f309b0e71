//! `/v1/accounts/{account}/syncs`: all followers of an account, as WeChat has them, into the store.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;
use weir_store_api::jobs::{Sync, SyncRequest};
use weir_store_api::read::Page;

use super::{Parameters, slice};
use crate::body;
use crate::cursor::Order;
use crate::error::Error;
use crate::jobs;
use crate::openapi::{BodyRefused, Conflict, NotFound};
use crate::server::AppState;

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct AccountPath {
    /// The account's name in the gateway's configuration.
    pub(super) account: String,
}

/// Which.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SyncPath {
    /// The account's name in the gateway's configuration.
    account: String,
    /// The sync's number.
    id: i64,
}

pub(super) fn within<T>(path: Result<Path<T>, PathRejection>) -> Result<T, Error> {
    let Path(path) = path.map_err(|rejection| Error::BadParameter(rejection.body_text()))?;
    Ok(path)
}

/// Reads a body that is an object, or nothing: then it is the default.
pub(super) fn object<T: DeserializeOwned + Default>(
    body: &[u8],
    words: &'static str,
) -> Result<T, Error> {
    match body.trim_ascii() {
        [] | b"null" => Ok(T::default()),
        // A list of its fields would be taken too.
        [b'{', ..] => serde_json::from_slice(body).map_err(|_| Error::BrokenBody(words)),
        _ => Err(Error::BrokenBody(words)),
    }
}

/// `POST /v1/accounts/{account}/syncs`: asks for one. 409 while another of the account is not over; `location` says which.
#[utoipa::path(post, path = "/v1/accounts/{account}/syncs", tag = "jobs", params(AccountPath),
    request_body(content = Option<SyncRequest>),
    responses((status = ACCEPTED, body = Sync), BodyRefused, Conflict))]
pub(crate) async fn ask(
    State(state): State<AppState>,
    path: Result<Path<AccountPath>, PathRejection>,
    body: Body,
) -> Result<impl IntoResponse, Error> {
    let AccountPath { account } = within(path)?;
    let patience = Duration::from_millis(state.limits.request_timeout_ms);
    let body = body::read(body, state.limits.max_body_bytes, patience).await?;
    let request: SyncRequest = object(
        &body,
        "the body must be empty, or {\"openids\": [texts], \"appid\", \"by\", \"why\"}",
    )?;
    let errands = state.errands.as_ref().ok_or(Error::NoDoor)?;
    let sync = errands.ask(&*state.repo, &account, request).await?;
    let location = format!("/v1/accounts/{account}/syncs/{}", sync.id);
    Ok((StatusCode::ACCEPTED, [(LOCATION, location)], Json(sync)))
}

/// Which part of the listing.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// `next_cursor` of the page before.
    #[param(format = "cursor")]
    pub(super) cursor: Option<String>,
    /// 1 to 200; 50.
    #[param(minimum = 1, maximum = 200)]
    pub(super) limit: Option<usize>,
}

/// `GET /v1/accounts/{account}/syncs`: last asked for first. They are kept: who asked, why, when, and what came of it.
#[utoipa::path(get, path = "/v1/accounts/{account}/syncs", tag = "jobs", params(AccountPath, ListParameters),
    responses((status = OK, body = Page<Sync>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    path: Result<Path<AccountPath>, PathRejection>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Page<Sync>>, Error> {
    let AccountPath { account } = within(path)?;
    let slice = slice(Order::Jobs, parameters.cursor.as_deref(), parameters.limit)?;
    Ok(Json(jobs::syncs(&*state.repo, &account, slice).await?))
}

/// `GET /v1/accounts/{account}/syncs/{id}`: how far it is, as of a second ago at most.
#[utoipa::path(get, path = "/v1/accounts/{account}/syncs/{id}", tag = "jobs", params(SyncPath),
    responses((status = OK, body = Sync), NotFound))]
pub(crate) async fn show(
    State(state): State<AppState>,
    path: Result<Path<SyncPath>, PathRejection>,
) -> Result<Json<Sync>, Error> {
    let SyncPath { account, id } = within(path)?;
    let sync = jobs::sync(&*state.repo, &account, id).await?;
    sync.map(Json)
        .ok_or(Error::NotFound("this account has no such sync"))
}

/// `DELETE /v1/accounts/{account}/syncs/{id}`: has it end. What is under way is let finish; the next sync goes on where it was.
#[utoipa::path(delete, path = "/v1/accounts/{account}/syncs/{id}", tag = "jobs", params(SyncPath),
    responses((status = ACCEPTED, body = Sync), NotFound))]
pub(crate) async fn stop(
    State(state): State<AppState>,
    path: Result<Path<SyncPath>, PathRejection>,
) -> Result<impl IntoResponse, Error> {
    let SyncPath { account, id } = within(path)?;
    let sync = jobs::stop_sync(&*state.repo, &account, id).await?;
    Ok((StatusCode::ACCEPTED, Json(sync)))
}
