//! `/v1/messages`: what people sent.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use weir_store_api::read::{Message, Page};

use super::{Parameters, range, slice};
use crate::cursor::Order;
use crate::error::Error;
use crate::repo::select::{self, MessageFilter};
use crate::server::AppState;

/// Which messages.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListParameters {
    /// To this account.
    account: Option<String>,
    /// From this person.
    openid: Option<String>,
    /// `MsgType`: `text`, `image` …
    kind: Option<String>,
    /// Sent then or later.
    since: Option<String>,
    /// Sent earlier.
    until: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// 1 to 200; 50.
    limit: Option<usize>,
}

/// `GET /v1/messages`: newest first, by WeChat's time.
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
