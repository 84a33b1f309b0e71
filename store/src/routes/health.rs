//! `/healthz`: whether events can be stored now.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::Error;
use crate::server::AppState;

/// The answer when all is well; otherwise it is a problem.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    status: &'static str,
}

/// `GET /healthz`: 200 if the database can be read and written, else 503.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses((status = OK, body = Health)))]
pub(crate) async fn show(State(state): State<AppState>) -> Result<Json<Health>, Error> {
    state.repo.check().await?;
    Ok(Json(Health { status: "ok" }))
}
