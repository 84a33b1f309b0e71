//! The modules' HTTP callouts.
//!
//! A callout belongs to the root context. It goes on when the stream that dispatched it is gone, and ends, with its
//! connection, when the root does. What the module gets of a failure is what Envoy gives it:
//!
//! | upstream | dispatch | callback |
//! |---|---|---|
//! | unknown cluster, `:path`, `:method` or `:authority` missing | `BadArgument` | none |
//! | no host, circuit breaker open | `InternalFailure` | none |
//! | no connection, or an end before the headers | ok | `:status` 503 and a body that says so |
//! | no answer in time | ok | `:status` 504, "upstream request timeout" |
//! | an end after the headers, a body above the limit | ok | no headers, status 11 "reset" |

use std::rc::{Rc, Weak};
use std::time::Duration;

use super::forward::{self, Failure, Incoming, Outgoing};
use super::pool::{Pool, Reservation};
use super::retry::Policy;
use crate::abi::Status;
use crate::context::CallResponse;
use crate::faults::Oddity;
use crate::http::headers::Headers;
use crate::http::pipe::PipeBody;
use crate::vm::{Vm, VmState, abi_size};

/// The most bytes of a response's body.
const MAX_RESPONSE_BYTES: usize = 32 * 1024 * 1024;
/// The numbers of callouts go up by this: the low bits tell kinds of callouts apart.
const TOKEN_STEP: u32 = 4;

/// A callout as the module asks for it.
pub(crate) struct Request {
    pub(crate) cluster: String,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    /// Zero: no limit.
    pub(crate) timeout: Duration,
}

/// Begins a callout on behalf of the acting root, and gives its number.
pub(crate) fn dispatch(state: &mut VmState, request: Request) -> Result<u32, Status> {
    let pool = state
        .lane
        .pool(&request.cluster)
        .ok_or(Status::BadArgument)?;
    for name in [":path", ":method", ":authority"] {
        request
            .headers
            .get(name.as_bytes())
            .ok_or(Status::BadArgument)?;
    }
    let first = pool.reserve().map_err(|_| Status::InternalFailure)?;
    let id = state.acting_root();
    let vm = state.vm.clone();
    state.next_call += TOKEN_STEP;
    let token = state.next_call;
    let root = state.root(id).ok_or(Status::BadArgument)?;
    let task = tokio::task::spawn_local(run(vm, id, token, pool, first, request));
    root.calls.insert(token, task.abort_handle());
    Ok(token)
}

async fn run(
    vm: Weak<Vm>,
    root: u32,
    token: u32,
    pool: Rc<Pool>,
    first: Reservation,
    request: Request,
) {
    let outcome = attempts(&pool, first, request).await;
    if let Some(vm) = vm.upgrade() {
        deliver(&vm, root, token, outcome);
    }
}

/// The response, or that it was broken off after its headers.
type Outcome = Result<CallResponse, BrokenOff>;

struct BrokenOff;

async fn attempts(pool: &Rc<Pool>, first: Reservation, request: Request) -> Outcome {
    let Request {
        mut headers,
        body,
        timeout,
        ..
    } = request;
    let policy = Policy::take(&mut headers);
    let timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
    let deadline = timeout.map(|timeout| tokio::time::Instant::now() + timeout);
    prepare(&mut headers, &body, timeout);
    let mut reservation = Some(first);
    for tried in 0.. {
        let left = deadline.map(|at| at.saturating_duration_since(tokio::time::Instant::now()));
        let reserved = match reservation.take() {
            Some(reserved) => Ok(reserved),
            None => pool.reserve().map_err(|_| Failure::Overflow),
        };
        let attempt = match reserved {
            Ok(reserved) => {
                let outgoing = Outgoing {
                    headers: headers.clone(),
                    body: PipeBody::full(body.clone()),
                    timeout: shorter(left, policy.per_try),
                };
                attempt(reserved, outgoing).await
            }
            Err(failure) => Attempt::Failed(failure),
        };
        let out_of_time = deadline.is_some_and(|at| at <= tokio::time::Instant::now());
        let last = tried >= policy.retries || out_of_time;
        match attempt {
            Attempt::Complete(response, status) => {
                if last || !policy.takes_status(status) {
                    return Ok(response);
                }
            }
            Attempt::Failed(failure) => {
                if last || !policy.takes_failure(&failure) {
                    return Ok(local(&failure));
                }
            }
            Attempt::BrokenOff => return Err(BrokenOff),
        }
        tokio::time::sleep(policy.pause(tried)).await;
    }
    Err(BrokenOff)
}

fn shorter(a: Option<Duration>, b: Option<Duration>) -> Option<Duration> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// What Envoy adds to a callout's headers.
fn prepare(headers: &mut Headers, body: &[u8], timeout: Option<Duration>) {
    if !body.is_empty() {
        headers.set(b"content-length", body.len().to_string().as_bytes());
    }
    headers.set(b"x-envoy-internal", b"true");
    if let Some(timeout) = timeout {
        let ms = timeout.as_millis().to_string();
        headers.set(b"x-envoy-expected-rq-timeout-ms", ms.as_bytes());
    }
}

enum Attempt {
    Complete(CallResponse, u16),
    /// There were no headers yet.
    Failed(Failure),
    /// There were.
    BrokenOff,
}

async fn attempt(reservation: Reservation, outgoing: Outgoing) -> Attempt {
    let mut exchange = forward::start(reservation, outgoing);
    let (headers, end) = match exchange.next().await {
        Incoming::Headers(headers, end) => (headers, end),
        Incoming::Failed(failure) => return Attempt::Failed(failure),
        Incoming::Data(..) | Incoming::Trailers(_) => return Attempt::Failed(Failure::Reset),
    };
    let status = headers.get_text(":status");
    let status = status.and_then(|status| status.parse().ok()).unwrap_or(0);
    let mut response = CallResponse {
        headers,
        ..CallResponse::default()
    };
    if end {
        return Attempt::Complete(response, status);
    }
    loop {
        match exchange.next().await {
            Incoming::Data(data, end) => {
                if response.body.len() + data.len() > MAX_RESPONSE_BYTES {
                    return Attempt::BrokenOff;
                }
                response.body.extend(data);
                if end {
                    return Attempt::Complete(response, status);
                }
            }
            Incoming::Trailers(trailers) => {
                response.trailers = Some(trailers);
                return Attempt::Complete(response, status);
            }
            Incoming::Headers(..) | Incoming::Failed(_) => return Attempt::BrokenOff,
        }
    }
}

/// A failure before the headers, as the response that Envoy makes of it.
fn local(failure: &Failure) -> CallResponse {
    let reply = failure.local_reply();
    CallResponse {
        headers: reply.response_headers(),
        body: reply.body,
        trailers: None,
    }
}

/// Calls the root back, if it is still there.
fn deliver(vm: &Rc<Vm>, root: u32, token: u32, mut outcome: Outcome) {
    if let Ok(response) = &mut outcome
        && vm.is_odd(Oddity::StatusZero)
    {
        response.headers.set(b":status", b"0");
    }
    let mut sizes = match &outcome {
        Ok(response) => (
            abi_size(response.headers.len()),
            abi_size(response.body.len()),
            response.trailers.as_ref().map_or(0, |t| abi_size(t.len())),
        ),
        Err(BrokenOff) => (0, 0, 0),
    };
    let known = vm.with_state(|state| {
        let Some(root) = state.root(root) else {
            return false;
        };
        if root.calls.remove(&token).is_none() {
            return false;
        }
        match outcome {
            Ok(response) => root.response = Some(Rc::new(response)),
            Err(BrokenOff) => root.status = (Status::BrokenConnection as u32, "reset"),
        }
        true
    });
    if !known {
        return;
    }
    if vm.is_odd(Oddity::NoHeaders) {
        sizes.0 = 0;
    }
    if vm.is_odd(Oddity::ShortBody) {
        sizes.1 += 1;
    }
    let (headers, body, trailers) = sizes;
    let mut tokens = vec![token];
    if vm.is_odd(Oddity::AnswerToNobody) {
        tokens.insert(0, u32::MAX);
    }
    if vm.is_odd(Oddity::AnswerTwice) {
        tokens.push(token);
    }
    for token in tokens {
        vm.call(
            "proxy_on_http_call_response",
            &vm.callbacks.on_http_call_response,
            root,
            (root, token, headers, body, trailers),
        );
    }
    vm.with_state(|state| {
        if let Some(root) = state.root(root) {
            root.response = None;
            root.status.1 = "";
        }
    });
    vm.settle();
}
