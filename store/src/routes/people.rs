//! `/v1/people`: somebody, across accounts and apps.

use std::time::{Duration, Instant};

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;
use weir_store_api::read::{Audit, Decision, Fields, Person};

use super::{Parameters, now_ms};
use crate::body;
use crate::error::Error;
use crate::event::NewEvent;
use crate::openapi::{BodyRefused, NotFound, Patch, Uid};
use crate::repo::care::{self, FieldsError};
use crate::repo::select;
use crate::server::AppState;

/// Longest name of a field, in characters.
const FIELD_NAME_MAX_CHARS: usize = 128;

/// `GET /v1/people/{uid}`: the person whom this number finds, be it theirs or one that points to it. What another process of
/// the store was told a moment ago may be missing, unless the request says `cache-control: no-cache`.
#[utoipa::path(get, path = "/v1/people/{uid}", tag = "people", params(Uid),
    responses((status = OK, body = Person), NotFound))]
pub(crate) async fn show(
    State(state): State<AppState>,
    path: Result<Path<i64>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let uid = uid(path)?;
    let is_patient = headers
        .get(CACHE_CONTROL)
        .is_none_or(|value| value != "no-cache");
    let kept = state.people.get(uid, Instant::now()).filter(|_| is_patient);
    let answer = match kept {
        Some(answer) => answer,
        None => {
            let begun = state.people.begin();
            let person = person(&state, uid).await?;
            let answer = serde_json::to_vec(&person).map_err(|_| Error::Internal)?;
            let answer = Bytes::from(answer);
            state
                .people
                .keep(uid, &person, answer.clone(), begun, Instant::now());
            answer
        }
    };
    Ok(([(CONTENT_TYPE, "application/json")], answer).into_response())
}

/// `PUT /v1/people/{uid}/audit`: notes what is decided about a person, and answers with it. Nothing that was decided before is
/// lost; the last word counts, also when it was about somebody who turned out to be the same.
#[utoipa::path(put, path = "/v1/people/{uid}/audit", tag = "people", params(Uid), request_body = Decision,
    responses((status = OK, body = Audit), NotFound, BodyRefused))]
pub(crate) async fn decide(
    State(state): State<AppState>,
    path: Result<Path<i64>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Audit>, Error> {
    let uid = uid(path)?;
    let decision: Decision = json(&state, &headers, body, &["application/json"]).await?;
    check(&decision)?;
    let person = person(&state, uid).await?;
    care::decide(&*state.repo, person.uid, &decision, now_ms()).await?;
    forget(&state, &person);
    let audit = self::person(&state, uid).await?.audit;
    audit.map(Json).ok_or(Error::Internal)
}

/// `PATCH /v1/people/{uid}/extensions/{account}`: changes the fields that are kept of a person at one account by a merge
/// patch (RFC 7396), and answers with all of them.
#[utoipa::path(patch, path = "/v1/people/{uid}/extensions/{account}", tag = "people", params(
    Uid, ("account" = String, Path, description = "The account's name."),
), request_body(content = Patch, content_type = "application/merge-patch+json"),
    responses((status = OK, body = Patch), NotFound, BodyRefused))]
pub(crate) async fn extend(
    State(state): State<AppState>,
    path: Result<Path<(i64, String)>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Fields>, Error> {
    let Path((uid, account)) =
        path.map_err(|rejection| Error::BadParameter(rejection.body_text()))?;
    let kinds = ["application/merge-patch+json", "application/json"];
    let patch: Fields = json(&state, &headers, body, &kinds).await?;
    if patch
        .keys()
        .any(|name| name.chars().count() > FIELD_NAME_MAX_CHARS)
    {
        return Err(Error::BadParameter(format!(
            "a field's name has at most {FIELD_NAME_MAX_CHARS} characters"
        )));
    }
    let accounts = select::account_names(&*state.repo, Some(&account)).await?;
    let (account_key, _) =
        (accounts.first()).ok_or(Error::NotFound("no event was of this account"))?;
    let person = person(&state, uid).await?;
    let uids: Vec<i64> = person.identities.iter().map(|known| known.uid).collect();
    let changed = care::patch(
        &*state.repo,
        &uids,
        (*account_key, &account),
        &patch,
        state.limits.max_extension_bytes,
        now_ms(),
    )
    .await;
    // Also after a failure: some of it may have been done.
    forget(&state, &person);
    changed.map(Json).map_err(|error| match error {
        FieldsError::TooLarge => {
            Error::TooLarge("the fields of this person would be larger than the limit")
        }
        FieldsError::Contended => Error::Contended,
        FieldsError::Repo(error) => error.into(),
    })
}

/// Who erases, and why.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EraseParameters {
    /// Who says so: 1 to 100 characters, none of them a control character.
    #[param(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,100}$")]
    by: String,
    /// Why, likewise up to 500.
    #[param(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,500}$")]
    reason: String,
}

/// `DELETE /v1/people/{uid}`: erases what is personal of a person, all of it or nothing: profiles, phone numbers, messages,
/// what they allowed to be sent, what was sent to them, what members told of themselves, fields, their places in campaigns, the
/// contents of all events about them. What stays are uids, openids, unionids, the names of events, and of cards their names,
/// state and worth; and the decision `erased`, which is the answer.
#[utoipa::path(delete, path = "/v1/people/{uid}", tag = "people", params(Uid, EraseParameters),
    responses((status = OK, body = Audit), NotFound))]
pub(crate) async fn erase(
    State(state): State<AppState>,
    path: Result<Path<i64>, PathRejection>,
    Parameters(parameters): Parameters<EraseParameters>,
) -> Result<Json<Audit>, Error> {
    let uid = uid(path)?;
    let decision = Decision {
        state: "erased".to_owned(),
        reason: parameters.reason,
        by: parameters.by,
    };
    check(&decision)?;
    let person = person(&state, uid).await?;
    let now_ms = now_ms();
    let events = person.identities.iter().map(|known| {
        let (account, openid) = (&known.user.account, &known.user.openid);
        let decision = (known.uid == person.uid).then(|| decision.clone());
        NewEvent::erasure(account, openid, known.uid, decision, now_ms)
    });
    let events: Vec<NewEvent> = events.collect();
    // A commit of their own: together with others' events they could be parted.
    let erased = state.repo.commit(&events.into()).await;
    // Also after a failure: it may have been done all the same.
    forget(&state, &person);
    erased?;
    let audit = self::person(&state, uid).await?.audit;
    audit.map(Json).ok_or(Error::Internal)
}

fn uid(path: Result<Path<i64>, PathRejection>) -> Result<i64, Error> {
    let Path(uid) = path.map_err(|rejection| Error::BadParameter(rejection.body_text()))?;
    Ok(uid)
}

async fn person(state: &AppState, uid: i64) -> Result<Person, Error> {
    let person = select::person(&*state.repo, uid).await?;
    person.ok_or(Error::NotFound("nobody has this uid"))
}

/// Nobody is answered any more with what this person was.
fn forget(state: &AppState, person: &Person) {
    state.people.changed(state.people.marks_of(person));
}

/// The request's body, JSON of one of these media types.
async fn json<T: serde::de::DeserializeOwned>(
    state: &AppState,
    headers: &HeaderMap,
    body: Body,
    kinds: &[&'static str],
) -> Result<T, Error> {
    body::json_only(headers, kinds)?;
    let patience = Duration::from_millis(state.limits.request_timeout_ms);
    let most = state.limits.max_extension_bytes.saturating_mul(2);
    let body = body::read(body, most, patience).await?;
    serde_json::from_slice(&body)
        .map_err(|_| Error::BrokenBody("the body is not what is described for it"))
}

/// Whether a decision is one that can be kept and shown.
fn check(decision: &Decision) -> Result<(), Error> {
    let is_word = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    let is_state = (1..=32).contains(&decision.state.len()) && decision.state.bytes().all(is_word);
    let is_text = |text: &str, most: usize| {
        (1..=most).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    };
    for (is_right, problem) in [
        (is_state, "state must be 1 to 32 of a-z 0-9 _"),
        (
            is_text(&decision.reason, 500),
            "reason must be 1 to 500 characters without control characters",
        ),
        (
            is_text(&decision.by, 100),
            "by must be 1 to 100 characters without control characters",
        ),
    ] {
        if !is_right {
            return Err(Error::BadParameter(problem.to_owned()));
        }
    }
    Ok(())
}
