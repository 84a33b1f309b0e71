//! `/v1/replies`: the work behind pushes, and what became of its replies.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use weir_store_api::read::{Page, Reply, ReplyState};

use super::{Parameters, slice};
use crate::cursor::Order;
use crate::error::Error;
use crate::repo::select::{self, ReplyFilter};
use crate::server::AppState;

/// Which replies.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Of this account.
    account: Option<String>,
    /// `waiting`, `answered`, `sent` or `undeliverable`.
    state: Option<ReplyState>,
    /// `next_cursor` of the page before.
    #[param(format = "cursor")]
    cursor: Option<String>,
    /// 1 to 200; 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// `GET /v1/replies`: last claimed first.
#[utoipa::path(get, path = "/v1/replies", tag = "messages", params(ListParameters), responses((status = OK, body = Page<Reply>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Page<Reply>>, Error> {
    let filter = ReplyFilter {
        account: parameters.account,
        state: parameters.state,
    };
    let slice = slice(
        Order::Replies,
        parameters.cursor.as_deref(),
        parameters.limit,
    )?;
    Ok(Json(select::replies(&*state.repo, &filter, slice).await?))
}
