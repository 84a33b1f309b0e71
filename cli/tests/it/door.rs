//! A small door: lets one client in, and sends as WeChat does, or as a test says.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::gateway::serve;

pub(crate) const KEY: &str = "k-hunter2-secret";

/// How to answer a message.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    /// Send it.
    Send,
    /// Send it, and never answer.
    SendInSilence,
    /// Send it, and answer with a status that tells nothing.
    SendAndFail(u16),
    /// Do not send it.
    Refuse(i64, &'static str),
    /// Answer with this, and send nothing.
    Raw(u16, &'static str),
}

/// What was seen.
#[derive(Default)]
struct Seen {
    calls: Vec<(String, Value)>,
    /// Messages that were sent, by openid.
    sent: HashMap<String, u32>,
    by_client_msg_id: HashMap<(String, String), u64>,
    repeats: u32,
}

/// The running door.
pub(crate) struct Door {
    pub(crate) base: String,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    _runtime: tokio::runtime::Runtime,
}

impl Door {
    /// Answers every message as `does` says, which is told its number, from 1, and its body.
    pub(crate) fn start(does: impl Fn(usize, &Value) -> Does + Send + Sync + 'static) -> Self {
        let seen: Arc<(Mutex<Seen>, Condvar)> = Arc::default();
        let (shared, does) = (seen.clone(), Arc::new(does));
        let handle = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let (seen, does) = (shared.clone(), does.clone());
            async move {
                match answer(&uri, &headers, &body, &seen, &*does) {
                    Some(response) => response,
                    None => std::future::pending().await,
                }
            }
        };
        let (base, runtime) = serve(Router::new().fallback(handle));
        Self {
            base,
            seen,
            _runtime: runtime,
        }
    }

    /// One that sends everything.
    pub(crate) fn sending() -> Self {
        Self::start(|_, _| Does::Send)
    }

    /// Paths and bodies so far.
    pub(crate) fn calls(&self) -> Vec<(String, Value)> {
        self.lock().calls.clone()
    }

    /// How many messages each openid got.
    pub(crate) fn sent(&self) -> HashMap<String, u32> {
        self.lock().sent.clone()
    }

    /// How many messages came again and were recognised.
    pub(crate) fn repeats(&self) -> u32 {
        self.lock().repeats
    }

    /// Waits for so many calls.
    #[track_caller]
    pub(crate) fn wait_for_calls(&self, number: usize) {
        let (seen, more) = &*self.seen;
        let seen = seen.lock().unwrap();
        let waited = more.wait_timeout_while(seen, Duration::from_secs(120), |seen| {
            seen.calls.len() < number
        });
        let (seen, timeout) = waited.unwrap();
        assert!(!timeout.timed_out(), "{} calls", seen.calls.len());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.0.lock().unwrap()
    }
}

/// `None`: never.
fn answer(
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
    seen: &(Mutex<Seen>, Condvar),
    does: &(dyn Fn(usize, &Value) -> Does + Send + Sync),
) -> Option<Response> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if header("authorization") != Some(&format!("Bearer {KEY}"))
        || header("x-weir-account") != Some("demo")
        || uri.query().is_some()
    {
        return Some(StatusCode::FORBIDDEN.into_response());
    }
    let body: Value = serde_json::from_slice(body).unwrap();
    let (seen, more) = seen;
    let mut seen = seen.lock().unwrap();
    seen.calls.push((uri.path().to_owned(), body.clone()));
    more.notify_all();
    let does = does(seen.calls.len(), &body);
    let sends = matches!(
        does,
        Does::Send | Does::SendInSilence | Does::SendAndFail(_)
    );
    let msgid = if sends { take(&mut seen, &body) } else { 0 };
    match does {
        Does::Send => Some(
            json!({"errcode": 0, "errmsg": "ok", "msgid": msgid})
                .to_string()
                .into_response(),
        ),
        Does::SendInSilence => None,
        Does::SendAndFail(status) => Some(StatusCode::from_u16(status).unwrap().into_response()),
        Does::Refuse(errcode, errmsg) => {
            let errmsg = format!("{errmsg} rid: 5f3ded7d-22929d02-4ba1f5f6");
            Some(
                json!({"errcode": errcode, "errmsg": errmsg})
                    .to_string()
                    .into_response(),
            )
        }
        Does::Raw(status, body) => {
            Some((StatusCode::from_u16(status).unwrap(), body).into_response())
        }
    }
}

/// Sends a message, unless its `client_msg_id` is known of its recipient.
fn take(seen: &mut Seen, body: &Value) -> u64 {
    let openid = body["touser"].as_str().unwrap().to_owned();
    let msgid = 3_000_000_000_000_000_000 + seen.calls.len() as u64;
    if let Some(id) = body["client_msg_id"].as_str() {
        let known = (openid.clone(), id.to_owned());
        if let Some(msgid) = seen.by_client_msg_id.get(&known).copied() {
            seen.repeats += 1;
            return msgid;
        }
        seen.by_client_msg_id.insert(known, msgid);
    }
    *seen.sent.entry(openid).or_default() += 1;
    msgid
}
