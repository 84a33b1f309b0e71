//! `/v1/people`: somebody, across accounts and apps.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use weir_store_api::read::Person;

use crate::error::Error;
use crate::openapi::{NotFound, Uid};
use crate::repo::select;
use crate::server::AppState;

/// `GET /v1/people/{uid}`: the person whom this number finds, be it theirs or one that points to it.
#[utoipa::path(get, path = "/v1/people/{uid}", tag = "people", params(Uid),
    responses((status = OK, body = Person), NotFound))]
pub(crate) async fn show(
    State(state): State<AppState>,
    path: Result<Path<i64>, PathRejection>,
) -> Result<Json<Person>, Error> {
    let Path(uid) = path.map_err(|rejection| Error::BadParameter(rejection.body_text()))?;
    let person = select::person(&*state.repo, uid).await?;
    person
        .map(Json)
        .ok_or(Error::NotFound("nobody has this uid"))
}
