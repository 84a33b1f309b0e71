//! `/v1/accounts`: the accounts whose events were seen.

use axum::Json;
use axum::extract::State;
use weir_store_api::read::{Account, Page};

use crate::error::Error;
use crate::repo::select;
use crate::server::AppState;

/// `GET /v1/accounts`: all of them, by name, in one page.
#[utoipa::path(get, path = "/v1/accounts", tag = "accounts", responses((status = OK, body = Page<Account>)))]
pub(crate) async fn list(State(state): State<AppState>) -> Result<Json<Page<Account>>, Error> {
    Ok(Json(Page {
        items: select::accounts(&*state.repo).await?,
        next_cursor: None,
    }))
}
