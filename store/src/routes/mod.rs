//! The routes, one file per resource, and what their listings have in common.

pub(crate) mod accounts;
pub(crate) mod campaigns;
pub(crate) mod cards;
pub(crate) mod credits;
pub(crate) mod deliveries;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod messages;
pub(crate) mod metrics;
pub(crate) mod people;
pub(crate) mod replies;
pub(crate) mod syncs;
pub(crate) mod tags;
pub(crate) mod users;

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cursor::{Order, Position};
use crate::error::Error;
use crate::repo::select::Slice;

/// Items of a page, unless asked otherwise.
const DEFAULT_LIMIT: usize = 50;
/// Most items of a page.
const MAX_LIMIT: usize = 200;

/// The query's parameters; what does not fit is answered as a problem.
pub(crate) struct Parameters<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(Error::BadParameter(rejection.body_text())),
        }
    }
}

/// The store's clock, Unix milliseconds.
fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// Which part of a listing the parameters `cursor` and `limit` ask for.
fn slice(order: Order, cursor: Option<&str>, limit: Option<usize>) -> Result<Slice, Error> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Error::BadParameter(format!(
            "limit must be 1 to {MAX_LIMIT}"
        )));
    }
    let after = match cursor {
        None => Position::START,
        Some(cursor) => order.position(cursor).ok_or_else(|| {
            Error::BadParameter("cursor is not one of this listing with these filters".to_owned())
        })?,
    };
    Ok(Slice { after, limit })
}

/// The Unix seconds that the parameters `since` (inclusive) and `until` (exclusive) enclose; `None` without either.
fn range(since: Option<&str>, until: Option<&str>) -> Result<Option<Range<i64>>, Error> {
    if since.is_none() && until.is_none() {
        return Ok(None);
    }
    let second = |name: &str, value: Option<&str>, open: i64| {
        let Some(value) = value else {
            return Ok(open);
        };
        let time = || OffsetDateTime::parse(value, &Rfc3339).map(OffsetDateTime::unix_timestamp);
        let second = value.parse().or_else(|_| time());
        second.map_err(|_| Error::BadParameter(format!("{name} must be RFC 3339 or Unix seconds")))
    };
    Ok(Some(
        second("since", since, i64::MIN)?..second("until", until, i64::MAX)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_or_seconds_and_open_ends_are_open() {
        assert_eq!(range(None, None), Ok(None));
        assert_eq!(range(Some("100"), None), Ok(Some(100..i64::MAX)));
        let until = range(None, Some("2024-04-26T14:30:02+08:00"));
        assert_eq!(until, Ok(Some(i64::MIN..1_714_113_002)));
        assert!(matches!(
            range(Some("yesterday"), None),
            Err(Error::BadParameter(_))
        ));
    }

    #[test]
    fn a_page_has_1_to_200_items() {
        let limit = |limit| slice(Order::Users, None, limit).map(|slice| slice.limit);
        assert_eq!(limit(None), Ok(50));
        assert_eq!(limit(Some(200)), Ok(200));
        assert!(limit(Some(0)).is_err());
        assert!(limit(Some(201)).is_err());
    }
}
