//! `/v1/deliveries`: active messages, and what became of them.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use weir_store_api::read::{Delivery, Page};

use super::{Parameters, slice};
use crate::cursor::Order;
use crate::error::Error;
use crate::repo::select::{self, DeliveryFilter};
use crate::server::AppState;

/// Which messages.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Of this account.
    account: Option<String>,
    /// To this user.
    openid: Option<String>,
    /// Of this name, which WeChat gave it.
    msgid: Option<String>,
    /// `next_cursor` of the page before.
    #[param(format = "cursor")]
    cursor: Option<String>,
    /// 1 to 200; 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// `GET /v1/deliveries`: last stored first.
#[utoipa::path(get, path = "/v1/deliveries", tag = "sends", params(ListParameters), responses((status = OK, body = Page<Delivery>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Page<Delivery>>, Error> {
    let filter = DeliveryFilter {
        account: parameters.account,
        openid: parameters.openid,
        msgid: parameters.msgid,
    };
    let slice = slice(
        Order::Deliveries,
        parameters.cursor.as_deref(),
        parameters.limit,
    )?;
    Ok(Json(
        select::deliveries(&*state.repo, &filter, slice).await?,
    ))
}
