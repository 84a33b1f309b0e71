//! `/v1/messages`: what people sent.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use weir_store_api::read::{Message, Page};

use super::{Parameters, range, slice};
use crate::cursor::Order;
use crate::error::Error;
use crate::openapi::Time;
use crate::repo::select::{self, MessageFilter};
use crate::server::AppState;

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// To this account.
    account: Option<String>,
    /// From this person.
    openid: Option<String>,
    /// `MsgType`: `text`, `image` …
    kind: Option<String>,
    /// Sent then or later.
    #[param(value_type = Option<Time>)]
    since: Option<String>,
    /// Sent earlier.
    #[param(value_type = Option<Time>)]
    until: Option<String>,
    /// `next_cursor` of the page before.
    #[param(format = "cursor")]
    cursor: Option<String>,
    /// 1 to 200; 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// `GET /v1/messages`: newest first, by WeChat's time.
#[utoipa::path(get, path = "/v1/messages", tag = "messages", params(ListParameters), responses((status = OK, body = Page<Message>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Page<Message>>, Error> {
    let filter = MessageFilter {
        sent: range(parameters.since.as_deref(), parameters.until.as_deref())?,
        account: parameters.account,
        openid: parameters.openid,
        kind: parameters.kind.map(|kind| kind.to_ascii_lowercase()),
    };
    let slice = slice(
        Order::Messages,
        parameters.cursor.as_deref(),
        parameters.limit,
    )?;
    Ok(Json(select::messages(&*state.repo, &filter, slice).await?))
}
