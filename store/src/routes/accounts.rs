//! `/v1/accounts`: the accounts whose events were seen.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Deserialize;
use time::format_description::well_known::Iso8601;
use time::{Date, Duration, OffsetDateTime, UtcOffset};
use utoipa::IntoParams;
use weir_store_api::read::{Account, DailyFollows, FollowDay, Page};

use super::Parameters;
use crate::error::Error;
use crate::openapi::NotFound;
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

/// Most days of one answer.
const MAX_DAYS: i64 = 366;
/// Days of an answer, unless asked otherwise.
const DEFAULT_DAYS: i64 = 30;

/// Which days.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DailyParameters {
    /// The first day; 30 days before `until`.
    #[param(format = "date")]
    since: Option<String>,
    /// The day after the last one; tomorrow. At most 366 days before it are answered.
    #[param(format = "date")]
    until: Option<String>,
}

/// `GET /v1/accounts/{account}/follows/daily`: how many came and went, per day in Beijing.
#[utoipa::path(get, path = "/v1/accounts/{account}/follows/daily", tag = "accounts", params(
    ("account" = String, Path, description = "The account's name."),
    DailyParameters,
), responses((status = OK, body = DailyFollows), NotFound))]
pub(crate) async fn daily_follows(
    State(state): State<AppState>,
    path: Result<Path<String>, PathRejection>,
    Parameters(parameters): Parameters<DailyParameters>,
) -> Result<Json<DailyFollows>, Error> {
    let Path(account) = path.map_err(|rejection| Error::BadParameter(rejection.body_text()))?;
    let day = |name: &str, text: &Option<String>| {
        let text = text.as_deref();
        let day = text
            .map(|text| Date::parse(text, &Iso8601::DATE))
            .transpose();
        day.map_err(|_| Error::BadParameter(format!("{name} must be a day: 2024-04-26")))
    };
    let number = |day: Date| (day - EPOCH).whole_days();
    let until = match day("until", &parameters.until)? {
        Some(until) => number(until),
        None => number(OffsetDateTime::now_utc().to_offset(BEIJING).date()) + 1,
    };
    let since = day("since", &parameters.since)?.map_or(until - DEFAULT_DAYS, number);
    let days = since.max(until - MAX_DAYS)..until;

    let accounts = select::account_names(&*state.repo, Some(&account)).await?;
    let (key, account) =
        (accounts.into_iter().next()).ok_or(Error::NotFound("no event was of this account"))?;
    let days = select::daily_follows(&*state.repo, key, days).await?;
    let days = days.into_iter().filter_map(|(day, new, lost)| {
        Some(FollowDay {
            day: EPOCH.checked_add(Duration::days(day))?.to_string(),
            new,
            lost,
            net: new.cast_signed() - lost.cast_signed(),
        })
    });
    Ok(Json(DailyFollows {
        account,
        days: days.collect(),
    }))
}

/// Days are counted from here.
const EPOCH: Date = OffsetDateTime::UNIX_EPOCH.date();
/// The whole of China has one time, all the year.
const BEIJING: UtcOffset = match UtcOffset::from_hms(8, 0, 0) {
    Ok(offset) => offset,
    Err(_) => unreachable!(),
};
