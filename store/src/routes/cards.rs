//! `/v1/cards`: cards that users took.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;
use weir_store_api::read::{Card, CardDetail, Page};

use super::{Parameters, slice};
use crate::cursor::Order;
use crate::error::Error;
use crate::openapi::NotFound;
use crate::repo::select::{self, CardFilter, FoundCard};
use crate::server::AppState;

/// Which cards.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Of this account.
    account: Option<String>,
    /// Of this user.
    openid: Option<String>,
    /// Of this person, whatever account knows them.
    uid: Option<i64>,
    /// Of this sort.
    card_id: Option<String>,
    /// `next_cursor` of the page before.
    #[param(format = "cursor")]
    cursor: Option<String>,
    /// 1 to 200; 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// `GET /v1/cards`: last stored first.
#[utoipa::path(get, path = "/v1/cards", tag = "cards", params(ListParameters),
    responses((status = OK, body = Page<Card>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Page<Card>>, Error> {
    let filter = CardFilter {
        account: parameters.account,
        openid: parameters.openid,
        uid: parameters.uid,
        card_id: parameters.card_id,
    };
    let slice = slice(Order::Cards, parameters.cursor.as_deref(), parameters.limit)?;
    Ok(Json(select::cards(&*state.repo, &filter, slice).await?))
}

/// How to show a card.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ShowParameters {
    /// The account's; needed where several have a card of this name.
    account: Option<String>,
}

/// `GET /v1/cards/{card_id}/{code}`: one card.
#[utoipa::path(get, path = "/v1/cards/{card_id}/{code}", tag = "cards", params(
    ("card_id" = String, Path, description = "The sort of card."),
    ("code" = String, Path, description = "The code of this user's card."),
    ShowParameters,
), responses((status = OK, body = CardDetail), NotFound))]
pub(crate) async fn show(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
    Parameters(parameters): Parameters<ShowParameters>,
) -> Result<Json<CardDetail>, Error> {
    let Path((card_id, code)) =
        path.map_err(|rejection| Error::BadParameter(rejection.body_text()))?;
    let found = stored(&state, parameters.account.as_deref(), &card_id, &code).await?;
    let found = found.ok_or(Error::NotFound("no event was about this card"))?;
    Ok(Json(CardDetail {
        card: found.card,
        warning: None,
    }))
}

/// The card of this name that is stored, if any.
async fn stored(
    state: &AppState,
    account: Option<&str>,
    card_id: &str,
    code: &str,
) -> Result<Option<FoundCard>, Error> {
    let mut found = select::card(&*state.repo, account, card_id, code).await?;
    if found.len() > 1 {
        return Err(Error::BadParameter(
            "several accounts have a card of this name: say which, with account".to_owned(),
        ));
    }
    Ok(found.pop())
}
