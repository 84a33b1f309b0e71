//! `/v1/users`: people, as the accounts know them.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Deserialize;
use utoipa::IntoParams;
use weir_store_api::read::{FollowState, Page, User, UserDetail};

use super::{Parameters, range, slice};
use crate::error::Error;
use crate::openapi::{NotFound, Time};
use crate::repo::select::{self, UserFilter};
use crate::server::AppState;

/// Which people.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Of this account.
    account: Option<String>,
    /// `following` or `unfollowed`.
    state: Option<FollowState>,
    /// Who came by the QR code of this scene.
    scene: Option<String>,
    /// Whose follow began then or later.
    #[param(value_type = Option<Time>)]
    since: Option<String>,
    /// Whose follow began earlier.
    #[param(value_type = Option<Time>)]
    until: Option<String>,
    /// With this unionid.
    unionid: Option<String>,
    /// Whom the account's blacklist has, or has not. `true` sorts as without a filter about follows.
    blacklisted: Option<bool>,
    /// `next_cursor` of the page before.
    #[param(format = "cursor")]
    cursor: Option<String>,
    /// 1 to 200; 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// `GET /v1/users`: last stored first; with a filter about follows, last followed first.
#[utoipa::path(get, path = "/v1/users", tag = "people", params(ListParameters), responses((status = OK, body = Page<User>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Page<User>>, Error> {
    let filter = UserFilter {
        followed: range(parameters.since.as_deref(), parameters.until.as_deref())?,
        account: parameters.account,
        state: parameters.state,
        scene: parameters.scene,
        unionid: parameters.unionid,
        blacklisted: parameters.blacklisted,
    };
    let slice = slice(
        filter.order(),
        parameters.cursor.as_deref(),
        parameters.limit,
    )?;
    Ok(Json(select::users(&*state.repo, &filter, slice).await?))
}

/// `GET /v1/users/{account}/{openid}`: one person, with what they did.
#[utoipa::path(get, path = "/v1/users/{account}/{openid}", tag = "people", params(
    ("account" = String, Path, description = "The account's name."),
    ("openid" = String, Path, description = "The person's id within it."),
), responses((status = OK, body = UserDetail), NotFound))]
pub(crate) async fn show(
    State(state): State<AppState>,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<UserDetail>, Error> {
    let Path((account, openid)) =
        path.map_err(|rejection| Error::BadParameter(rejection.body_text()))?;
    let user = select::user(&*state.repo, &account, &openid).await?;
    user.map(Json)
        .ok_or(Error::NotFound("this account has not seen this person"))
}
