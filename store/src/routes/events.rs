//! `/v1/events`: the one door in, and the log behind it.

use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;
use weir_store_api::read::{Page, StoredEvent};
use weir_store_api::{BatchAnswer, EventResult, EventStatus};

use super::{Parameters, now_ms, slice};
use crate::body::{self, Shape};
use crate::cursor::Order;
use crate::error::Error;
use crate::event::{self, NewEvent};
use crate::ingest::{Outcome, Refusal};
use crate::openapi::{BodyRefused, Sent, SentEither};
use crate::repo::Stored;
use crate::repo::select::{self, Ask, EventFilter};
use crate::server::AppState;

/// `POST /v1/events`: stores one event or a batch. 200 means that each is durable, or refused by name.
#[utoipa::path(post, path = "/v1/events", tag = "events", request_body(content(
        (Sent = "application/cloudevents+json"),
        (Vec<serde_json::Value> = "application/cloudevents-batch+json"),
        (SentEither = "application/json"),
    )),
    responses((status = OK, body = BatchAnswer), BodyRefused))]
pub(crate) async fn ingest(
    State(state): State<AppState>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<BatchAnswer>, Error> {
    let shape = body::shape(&headers)?;
    let patience = Duration::from_millis(state.limits.request_timeout_ms);
    let body = body::read(body, state.limits.max_body_bytes, patience).await?;
    let (mut results, events) = read(&state, &body, shape)?;
    let asks_user = asks(&results, &events, |event| event.asks_user);
    let asks_uid = asks(&results, &events, |event| event.asks_uid);
    let bytes = body.len();
    drop(body);

    let count = events.len();
    let outcomes = state
        .ingest
        .store(events, bytes)
        .await
        .map_err(|refusal| match refusal {
            Refusal::Full => Error::QueueFull,
            Refusal::Ending => Error::ShuttingDown,
            Refusal::Failed => {
                state.metrics.events("failed", count);
                Error::DatabaseUnavailable
            }
        })?;
    let mut outcomes = outcomes.into_iter();
    for result in &mut results {
        if result.status == EventStatus::Rejected {
            continue;
        }
        match outcomes.next() {
            Some(Outcome::Stored(taken)) => {
                if taken.stored == Stored::Duplicate {
                    result.status = EventStatus::Duplicate;
                }
                if let Some(work) = &taken.work {
                    state.metrics.claim(work.state);
                }
                result.work = taken.work;
            }
            Some(Outcome::Refused) => {
                result.status = EventStatus::Rejected;
                result.reason = Some("the database cannot hold it".to_owned());
            }
            None => return Err(Error::Internal),
        }
    }
    for (status, name) in [
        (EventStatus::Created, "created"),
        (EventStatus::Duplicate, "duplicate"),
        (EventStatus::Rejected, "rejected"),
    ] {
        let count = results
            .iter()
            .filter(|result| result.status == status)
            .count();
        state.metrics.events(name, count);
    }
    if !asks_user.is_empty() {
        let known = select::known(state.repo.as_ref(), &asks_user)
            .await
            .map_err(|_| Error::DatabaseUnavailable)?;
        for (ask, user) in asks_user.iter().zip(known) {
            if let Some(result) = results.get_mut(ask.event) {
                result.user = Some(user);
            }
        }
    }
    for ask in asks_uid {
        let uid = select::person_uid(state.repo.as_ref(), &ask.account, &ask.openid).await?;
        if let Some(result) = results.get_mut(ask.event) {
            result.uid = uid;
        }
    }
    Ok(Json(BatchAnswer { results }))
}

/// The events whose sender wants to know something, by their place among the results.
fn asks(
    results: &[EventResult],
    events: &[NewEvent],
    asks: impl Fn(&NewEvent) -> bool,
) -> Vec<Ask> {
    let stored = (0..)
        .zip(results)
        .filter(|(_, r)| r.status != EventStatus::Rejected);
    let asking = stored.zip(events).filter(|(_, event)| asks(event));
    asking
        .filter_map(|((place, _), event)| {
            let fact = event.fact.as_ref()?;
            Some(Ask {
                event: place,
                account: fact.account.clone(),
                openid: fact.sighting.as_ref()?.openid.clone(),
                second: fact.at.second(),
            })
        })
        .collect()
}

/// A result for each event of the body, as if all that can be stored were new; and the events that can be.
fn read(
    state: &AppState,
    body: &Bytes,
    shape: Shape,
) -> Result<(Vec<EventResult>, Vec<NewEvent>), Error> {
    let raw = body::split(body, shape, state.limits.max_batch_events)?;
    let now_ms = now_ms();
    let mut results = Vec::with_capacity(raw.len());
    let mut events = Vec::with_capacity(raw.len());
    for raw in raw {
        match event::read(raw, state.limits.max_event_bytes, now_ms) {
            Ok(mut event) => {
                if let Some(fact) = &mut event.fact {
                    fact.erase_on_unfollow(&state.erase_on_unfollow);
                }
                if event.is_unread() {
                    state.metrics.unread();
                }
                results.push(EventResult {
                    id: event.id.clone(),
                    status: EventStatus::Created,
                    reason: None,
                    user: None,
                    uid: None,
                    work: None,
                });
                events.push(event);
            }
            Err(rejection) => results.push(rejection.into()),
        }
    }
    Ok((results, events))
}

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListParameters {
    /// Concerning this account.
    account: Option<String>,
    /// `next_cursor` of the page before.
    #[param(format = "cursor")]
    cursor: Option<String>,
    /// 1 to 200; 50.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

/// `GET /v1/events`: the log, last stored first.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(ListParameters), responses((status = OK, body = Page<StoredEvent>)))]
pub(crate) async fn list(
    State(state): State<AppState>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<Page<StoredEvent>>, Error> {
    let filter = EventFilter {
        account: parameters.account,
    };
    let slice = slice(
        Order::Events,
        parameters.cursor.as_deref(),
        parameters.limit,
    )?;
    Ok(Json(select::events(&*state.repo, &filter, slice).await?))
}
