//! Batches of CloudEvents that instances send to one place at the same time go there as one.
//!
//! An instance has one request at a time, and mostly one event of it; a store takes a hundred for the price of one, and has to write
//! once for them. So while a call is under way, what comes for the same place waits, and goes together:
//!
//! ```text
//! instances ─▶ [a] [b] [c] ─▶ lane ─▶ [a,b,c] ─▶ store ─▶ {"results":[A,B,C]} ─▶ {"results":[A]} {"results":[B]} {"results":[C]}
//! ```
//!
//! Nobody is told what is meant for another: a yes without a result for each event is a bare yes to each, and where the whole is
//! refused for what is in it ([`is_about_content`]), or the answer is longer than [`MAX_ANSWER`], each batch goes again by itself.
//! Events are known by their ids, so that is no harm. Any other answer is for all.
//!
//! # Bounds
//! [`Options::batch`](super::Options::batch) together; a larger batch goes alone. A call that takes longer than [`HOLDS`] holds nobody
//! up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::Batch;
use super::outgoing::{Client, Failure};

/// Media type of a batch. Source: CloudEvents JSON format 1.0, section 4.
const BATCH: &str = "application/cloudevents-batch+json";
/// Most bytes of an answer to a joined batch.
const MAX_ANSWER: usize = 1 << 20;
/// How long a call may keep others waiting.
const HOLDS: Duration = Duration::from_millis(200);
/// When a call is over, whoever may still wait: instances have deadlines of their own.
const LIMIT: Duration = Duration::from_secs(60);

/// What an instance hears.
pub(super) type Answer = Result<Response<Bytes>, Failure>;

/// One instance's batch.
struct Part {
    body: Bytes,
    events: usize,
    answer: oneshot::Sender<Answer>,
}

/// Where a call goes: what all of a lane have in common.
#[derive(Clone, PartialEq, Eq)]
struct Place {
    uri: Uri,
    /// Without the length.
    headers: HeaderMap,
}

/// The lanes: as many as the configuration has stores.
#[derive(Clone)]
pub(super) struct Joined {
    client: Client,
    most: Batch,
    lanes: Arc<Mutex<Vec<Lane>>>,
}

struct Lane {
    place: Place,
    parts: mpsc::UnboundedSender<Part>,
}

impl Joined {
    pub(super) fn new(client: Client, most: Batch) -> Self {
        Self {
            client,
            most,
            lanes: Arc::default(),
        }
    }

    /// Sends a request with others, if it is a batch that can go with others; otherwise it comes back.
    pub(super) async fn send(&self, request: Request<Bytes>) -> Result<Answer, Request<Bytes>> {
        let kind = request.headers().get(CONTENT_TYPE);
        let is_batch = request.method() == Method::POST && kind.is_some_and(|kind| kind == BATCH);
        let events = (is_batch && request.body().len() <= self.most.bytes)
            .then(|| serde_json::from_slice::<Vec<IgnoredAny>>(request.body()).ok())
            .flatten()
            .map_or(0, |events| events.len());
        if !(1..=self.most.events).contains(&events) {
            return Err(request);
        }
        let (head, body) = request.into_parts();
        let mut place = Place {
            uri: head.uri,
            headers: head.headers,
        };
        place.headers.remove(CONTENT_LENGTH);
        let (answer, answered) = oneshot::channel();
        let part = Part {
            body,
            events,
            answer,
        };
        self.take(place, part);
        Ok(answered.await.unwrap_or(Err(Failure::Broken)))
    }

    /// Puts it into its lane.
    fn take(&self, place: Place, part: Part) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        // A lane that has ended, as at the end of the program, takes nothing: then there is no answer.
        if let Some(lane) = lanes.iter().find(|lane| lane.place == place) {
            let _ = lane.parts.send(part);
            return;
        }
        let (parts, waiting) = mpsc::unbounded_channel();
        tokio::spawn(run(self.client.clone(), place.clone(), self.most, waiting));
        let _ = parts.send(part);
        lanes.push(Lane { place, parts });
    }
}

/// One call after another, each with all that came meanwhile.
async fn run(
    client: Client,
    place: Place,
    most: Batch,
    mut waiting: mpsc::UnboundedReceiver<Part>,
) {
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(part) => part,
            None => match waiting.recv().await {
                Some(part) => part,
                None => return,
            },
        };
        let (mut events, mut bytes) = (first.events, first.body.len());
        let mut parts = vec![first];
        while let Ok(part) = waiting.try_recv() {
            events += part.events;
            bytes += part.body.len();
            if events > most.events || bytes > most.bytes {
                next = Some(part);
                break;
            }
            parts.push(part);
        }
        let call = tokio::spawn(deliver(client.clone(), place.clone(), parts));
        // Whatever becomes of it, those who wait for it hear of it; it goes on by itself.
        let _ = tokio::time::timeout(HOLDS, call).await;
    }
}

async fn deliver(client: Client, place: Place, parts: Vec<Part>) {
    if parts.len() > 1
        && let Some(answer) = post(&client, &place, join(&parts)).await
        && let Some(shares) = shares(&answer, &parts)
    {
        for (part, share) in parts.into_iter().zip(shares) {
            let _ = part.answer.send(share);
        }
        return;
    }
    let mut alone = JoinSet::new();
    for part in parts {
        let (client, place) = (client.clone(), place.clone());
        alone.spawn(async move {
            let answer = post(&client, &place, part.body).await;
            // An instance that has given up takes it that nobody knows whether the store has it.
            let _ = part.answer.send(answer.unwrap_or(Err(Failure::Broken)));
        });
    }
    alone.join_all().await;
}

/// What the store says; `None`: more than anybody reads.
async fn post(client: &Client, place: &Place, body: Bytes) -> Option<Answer> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = place.uri.clone();
    *request.headers_mut() = place.headers.clone();
    let call = async {
        let answer = client.request(request).await.map_err(|e| Failure::of(&e))?;
        let (head, body) = answer.into_parts();
        match Limited::new(body, MAX_ANSWER).collect().await {
            Ok(body) => Ok(Some(Response::from_parts(head, body.to_bytes()))),
            Err(error) if error.is::<LengthLimitError>() => Ok(None),
            Err(_) => Err(Failure::Broken),
        }
    };
    let answer = tokio::time::timeout(LIMIT, call).await;
    answer.unwrap_or(Err(Failure::Broken)).transpose()
}

/// All events in one list.
fn join(parts: &[Part]) -> Bytes {
    let mut joined = Vec::with_capacity(parts.iter().map(|part| part.body.len()).sum());
    for part in parts {
        joined.push(if joined.is_empty() { b'[' } else { b',' });
        // Lists that are not empty: what is between their brackets.
        let list = part.body.trim_ascii();
        joined.extend_from_slice(list.get(1..list.len() - 1).unwrap_or_default());
    }
    joined.push(b']');
    joined.into()
}

/// Whether a refusal is of what was sent: the same for which the engine halves a batch.
fn is_about_content(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 410 | 413 | 415 | 422)
}

/// What each is to hear of an answer to all; `None`: that does not say it.
fn shares(answer: &Answer, parts: &[Part]) -> Option<Vec<Answer>> {
    #[derive(Deserialize)]
    struct Results<'a> {
        #[serde(borrow)]
        results: Vec<&'a RawValue>,
    }
    let answer = match answer {
        Ok(answer) => answer,
        // Those who were not connected were all not connected, and so on.
        Err(failure) => return Some(parts.iter().map(|_| Err(*failure)).collect()),
    };
    let status = answer.status();
    if is_about_content(status) {
        return None;
    }
    if !status.is_success() {
        return Some(parts.iter().map(|_| Ok(answer.clone())).collect());
    }
    let results: Option<Results<'_>> = serde_json::from_slice(answer.body()).ok();
    let mut results = results.map(|results| results.results).unwrap_or_default();
    let events: usize = parts.iter().map(|part| part.events).sum();
    // Any endpoint of CloudEvents may answer so.
    let is_bare = results.len() != events;
    let share = |part: &Part| {
        let body = if is_bare {
            Bytes::new()
        } else {
            let own: Vec<&str> = results.drain(..part.events).map(RawValue::get).collect();
            format!(r#"{{"results":[{}]}}"#, own.join(",")).into()
        };
        let mut share = Response::new(body);
        *share.status_mut() = status;
        Ok(share)
    };
    Some(parts.iter().map(share).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(bodies: &[&str]) -> Vec<Part> {
        let part = |body: &&str| Part {
            body: Bytes::copy_from_slice(body.as_bytes()),
            events: serde_json::from_str::<Vec<&RawValue>>(body).unwrap().len(),
            answer: oneshot::channel().0,
        };
        bodies.iter().map(part).collect()
    }

    fn said(status: u16, body: &str) -> Answer {
        let mut answer = Response::new(Bytes::copy_from_slice(body.as_bytes()));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        Ok(answer)
    }

    fn heard(answer: &Answer, parts: &[Part]) -> Option<Vec<String>> {
        let text = |share: Answer| match share {
            Ok(share) => {
                let body = String::from_utf8_lossy(share.body());
                format!("{} {body}", share.status().as_u16())
            }
            Err(failure) => format!("{failure:?}"),
        };
        Some(shares(answer, parts)?.into_iter().map(text).collect())
    }

    #[test]
    fn each_hears_of_its_own_events() {
        let parts = parts(&[
            r#"[{"id":"a"}]"#,
            " [ {\"id\":\"b\"}, {\"id\":\"]\"} ]\n",
            "[7]",
        ]);
        let joined = join(&parts);
        let events: Vec<&RawValue> = serde_json::from_slice(&joined).unwrap();
        assert_eq!(events.len(), 4);
        let answer = said(
            200,
            r#"{"results":[{"x":1}, {"x":2},{"x":[3]},{"x":4}],"more":1}"#,
        );
        assert_eq!(
            heard(&answer, &parts).unwrap(),
            [
                r#"200 {"results":[{"x":1}]}"#,
                r#"200 {"results":[{"x":2},{"x":[3]}]}"#,
                r#"200 {"results":[{"x":4}]}"#,
            ]
        );
    }

    #[test]
    fn what_is_not_about_the_events_is_told_to_all() {
        let parts = parts(&["[1]", "[2]"]);
        for status in [302, 401, 403, 404, 429, 500, 503] {
            let all = heard(&said(status, "no"), &parts).unwrap();
            assert_eq!(all, vec![format!("{status} no"); 2]);
        }
        for (failure, name) in [
            (Failure::Unreached, "Unreached"),
            (Failure::Broken, "Broken"),
        ] {
            assert_eq!(heard(&Err(failure), &parts).unwrap(), [name, name]);
        }
    }

    #[test]
    fn what_does_not_say_whose_fault_it_is_is_told_to_nobody() {
        let parts = parts(&["[1]", "[2,3]"]);
        for status in [400, 410, 413, 415, 422] {
            assert_eq!(
                heard(&said(status, "one of them"), &parts),
                None,
                "{status}"
            );
        }
        for body in [
            "",
            r#"{"results":[1,2]}"#,
            r#"{"results":[1,2,3,4]}"#,
            r#"{"results":1}"#,
            "<html>",
        ] {
            let all = heard(&said(202, body), &parts).unwrap();
            assert_eq!(all, ["202 ", "202 "], "{body}");
        }
    }
}
