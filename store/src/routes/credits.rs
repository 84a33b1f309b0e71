//! `/v1/credits`: how many subscribe messages users still allow.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;
use weir_store_api::read::{Credit, Page};

use super::{Parameters, slice};
use crate::cursor::Order;
use crate::error::Error;
use crate::repo::select::{self, CreditFilter};
use crate::server::AppState;

/// Whose, and for what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Of this account.
    account: Option<String>,
    /// Of this user.
    openid: Option<String>,
    /// For this template.
    template_id: Option<String>,
    /// `next_cursor` of the page before.
    #[param(format = "cursor")]
    cursor: Option<String>,
    /// 1 to 200; 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// `GET /v1/credits`: last heard of first.
#[utoipa::path(get, path = "/v1/credits", tag = "sends", params(ListParameters), responses((status = OK, body = Page<Credit>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Page<Credit>>, Error> {
    let filter = CreditFilter {
        account: parameters.account,
        openid: parameters.openid,
        template_id: parameters.template_id,
    };
    let slice = slice(
        Order::Credits,
        parameters.cursor.as_deref(),
        parameters.limit,
    )?;
    Ok(Json(select::credits(&*state.repo, &filter, slice).await?))
}
