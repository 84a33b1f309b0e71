//! `/metrics`: the counters, for Prometheus.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::error::Error;
use crate::metrics;
use crate::server::AppState;

/// `GET /metrics`.
#[utoipa::path(get, path = "/metrics", tag = "operation",
    responses((status = OK, body = String, content_type = metrics::CONTENT_TYPE)))]
pub(crate) async fn show(State(state): State<AppState>) -> Result<Response, Error> {
    let text = state.metrics.render().map_err(|_| Error::Internal)?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
