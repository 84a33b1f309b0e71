//! `/v1/accounts/{account}/campaigns`: one message to many, each of them once.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::IntoParams;
use weir_store_api::jobs::{Campaign, CampaignRequest, Recipient, ResumeRequest};
use weir_store_api::read::Page;

use super::syncs::{AccountPath, ListParameters, object, within};
use super::{Parameters, slice};
use crate::body;
use crate::cursor::Order;
use crate::error::Error;
use crate::jobs::campaigns;
use crate::openapi::{BodyRefused, Conflict, NotFound};
use crate::server::AppState;

/// Which.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct CampaignPath {
    /// The account's name in the gateway's configuration.
    account: String,
    /// What it is called.
    name: String,
}

async fn bytes(state: &AppState, body: Body) -> Result<Bytes, Error> {
    let patience = Duration::from_millis(state.limits.request_timeout_ms);
    body::read(body, state.limits.max_body_bytes, patience).await
}

/// `POST /v1/accounts/{account}/campaigns`: asks for one. Asked for again by its name it is the same: recipients who are not in it
/// are added, and it goes on if it had ended; 409 if its message is another.
#[utoipa::path(post, path = "/v1/accounts/{account}/campaigns", tag = "jobs", params(AccountPath),
    request_body(content((CampaignRequest = "application/json"), (String = "application/x-ndjson"))),
    responses((status = ACCEPTED, body = Campaign), BodyRefused, Conflict))]
pub(crate) async fn ask(
    State(state): State<AppState>,
    path: Result<Path<AccountPath>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Error> {
    let AccountPath { account } = within(path)?;
    let body = bytes(&state, body).await?;
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    let is_lines = kind.trim().eq_ignore_ascii_case("application/x-ndjson");
    let request = if is_lines {
        lines(&body)?
    } else {
        first(
            &body,
            "the body must be {\"name\", \"message\", \"recipients\": [objects], …}",
        )?
    };
    drop(body);
    let errands = state.errands.as_ref().ok_or(Error::NoDoor)?;
    let campaign = errands.send(&*state.repo, &account, &request).await?;
    Ok((StatusCode::ACCEPTED, Json(campaign)))
}

/// The request, which is an object: a list of its fields would be taken too.
fn first(text: &[u8], words: &'static str) -> Result<CampaignRequest, Error> {
    let request = Some(text).filter(|text| text.trim_ascii().first() == Some(&b'{'));
    let request = request.and_then(|text| serde_json::from_slice(text).ok());
    request.ok_or(Error::BrokenBody(words))
}

/// The first line is the request, the others are its recipients.
fn lines(body: &[u8]) -> Result<CampaignRequest, Error> {
    let mut lines = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.trim_ascii().is_empty());
    let mut request = first(
        lines.next().unwrap_or_default(),
        "the first line must be {\"name\", \"message\", …}",
    )?;
    for line in lines {
        let recipient = serde_json::from_slice(line)
            .map_err(|_| Error::BrokenBody("every line after the first must be a JSON object"))?;
        request.recipients.push(recipient);
    }
    Ok(request)
}

/// `GET /v1/accounts/{account}/campaigns`: last asked for first.
#[utoipa::path(get, path = "/v1/accounts/{account}/campaigns", tag = "jobs", params(AccountPath, ListParameters),
    responses((status = OK, body = Page<Campaign>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    path: Result<Path<AccountPath>, PathRejection>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Page<Campaign>>, Error> {
    let AccountPath { account } = within(path)?;
    let slice = slice(Order::Jobs, parameters.cursor.as_deref(), parameters.limit)?;
    Ok(Json(
        campaigns::campaigns(&*state.repo, &account, slice).await?,
    ))
}

/// `GET /v1/accounts/{account}/campaigns/{name}`: how far it is, as of a second ago at most.
#[utoipa::path(get, path = "/v1/accounts/{account}/campaigns/{name}", tag = "jobs", params(CampaignPath),
    responses((status = OK, body = Campaign), NotFound))]
pub(crate) async fn show(
    State(state): State<AppState>,
    path: Result<Path<CampaignPath>, PathRejection>,
) -> Result<Json<Campaign>, Error> {
    let CampaignPath { account, name } = within(path)?;
    let campaign = campaigns::campaign(&*state.repo, &account, &name).await?;
    campaign.map(Json).ok_or(campaigns::NOT_FOUND)
}

/// `DELETE /v1/accounts/{account}/campaigns/{name}`: has it end. Messages on their way are let finish; what is kept of it stays.
#[utoipa::path(delete, path = "/v1/accounts/{account}/campaigns/{name}", tag = "jobs", params(CampaignPath),
    responses((status = ACCEPTED, body = Campaign), NotFound))]
pub(crate) async fn stop(
    State(state): State<AppState>,
    path: Result<Path<CampaignPath>, PathRejection>,
) -> Result<impl IntoResponse, Error> {
    let CampaignPath { account, name } = within(path)?;
    let campaign = campaigns::stop(&*state.repo, &account, &name).await?;
    Ok((StatusCode::ACCEPTED, Json(campaign)))
}

/// `POST /v1/accounts/{account}/campaigns/{name}/resume`: goes on with one that ended, or rests.
#[utoipa::path(post, path = "/v1/accounts/{account}/campaigns/{name}/resume", tag = "jobs", params(CampaignPath),
    request_body(content = Option<ResumeRequest>),
    responses((status = ACCEPTED, body = Campaign), NotFound, BodyRefused, Conflict))]
pub(crate) async fn resume(
    State(state): State<AppState>,
    path: Result<Path<CampaignPath>, PathRejection>,
    body: Body,
) -> Result<impl IntoResponse, Error> {
    let CampaignPath { account, name } = within(path)?;
    let body = bytes(&state, body).await?;
    let request: ResumeRequest = object(
        &body,
        "the body must be empty, or {\"repeat_unknown\", \"repeat_refused\"}",
    )?;
    let errands = state.errands.as_ref().ok_or(Error::NoDoor)?;
    let campaign = errands
        .resume(&*state.repo, &account, &name, request)
        .await?;
    Ok((StatusCode::ACCEPTED, Json(campaign)))
}

/// `GET /v1/accounts/{account}/campaigns/{name}/recipients`: what became of each, last added first.
#[utoipa::path(get, path = "/v1/accounts/{account}/campaigns/{name}/recipients", tag = "jobs",
    params(CampaignPath, ListParameters), responses((status = OK, body = Page<Recipient>), NotFound))]
pub(crate) async fn recipients(
    State(state): State<AppState>,
    path: Result<Path<CampaignPath>, PathRejection>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Page<Recipient>>, Error> {
    let CampaignPath { account, name } = within(path)?;
    let slice = slice(Order::Jobs, parameters.cursor.as_deref(), parameters.limit)?;
    let page = campaigns::recipients(&*state.repo, &account, &name, slice).await?;
    page.map(Json).ok_or(campaigns::NOT_FOUND)
}
