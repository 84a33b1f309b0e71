//! One request to an upstream, and what comes of it, piece by piece.

use std::time::{Duration, Instant};

use http::{Method, Request, Response, Uri, Version, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming as HyperBody;
use tokio::time;

use super::pool::{Cluster, Lease, Reservation};
use crate::config::HeaderMutation;
use crate::http::headers::Headers;
use crate::http::local_reply::LocalReply;
use crate::http::pipe::PipeBody;

const BEFORE_HEADERS: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: ";
/// What is said when a circuit breaker is open.
pub(crate) const OVERFLOW: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: overflow";

/// A request to be sent.
pub(crate) struct Outgoing {
    pub(crate) headers: Headers,
    pub(crate) body: PipeBody,
    /// From now to the end of the response.
    pub(crate) timeout: Option<Duration>,
}

/// What comes back.
pub(crate) enum Incoming {
    /// The response's head; `true` if it is all.
    Headers(Headers, bool),
    /// A piece of the body; `true` for the last, which may be empty.
    Data(Vec<u8>, bool),
    /// The trailers, and with them the end.
    Trailers(Headers),
    /// Nothing more.
    Failed(Failure),
}

/// Why there is no response, or not all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection.
    Connect(NoConnection),
    /// No answer in time.
    Timeout,
    /// The connection ended too early.
    Reset,
    /// A circuit breaker is open.
    Overflow,
}

/// Why there is no connection: in the word that Envoy has for it, and more closely, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoConnection {
    pub(crate) reason: &'static str,
    pub(crate) details: String,
}

impl NoConnection {
    pub(crate) fn refused(details: impl std::fmt::Display) -> Self {
        Self {
            reason: "remote connection failure",
            details: details.to_string(),
        }
    }

    pub(crate) fn timeout() -> Self {
        Self {
            reason: "connection timeout",
            details: "no connection in time".to_owned(),
        }
    }

    fn malformed(details: &str) -> Self {
        Self {
            reason: "protocol error",
            details: details.to_owned(),
        }
    }
}

impl Failure {
    pub(crate) fn is_timeout(&self) -> bool {
        *self == Self::Timeout
    }

    /// The answer that Envoy makes of it.
    pub(crate) fn local_reply(&self) -> LocalReply {
        let reset = |reason: &str, details: &str| {
            let details = format!("upstream_reset_before_response_started{{{details}}}");
            LocalReply::new(503, &format!("{BEFORE_HEADERS}{reason}"), &details)
        };
        match self {
            Self::Connect(none) => reset(none.reason, "remote_connection_failure"),
            Self::Timeout => LocalReply::new(504, "upstream request timeout", "response_timeout"),
            Self::Reset => reset("connection termination", "connection_termination"),
            Self::Overflow => LocalReply::new(
                503,
                OVERFLOW,
                "upstream_reset_before_response_started{overflow}",
            ),
        }
    }
}

enum State {
    Begin(Reservation, Box<Outgoing>),
    /// `true` if trailers are passed on.
    Body(Lease, HyperBody, bool),
    End,
}

/// A request in progress. Dropped before its end, the connection is closed.
pub(crate) struct Exchange {
    state: State,
    deadline: Option<time::Instant>,
}

/// Begins a request; nothing is sent before [`Exchange::next`].
pub(crate) fn start(reservation: Reservation, outgoing: Outgoing) -> Exchange {
    Exchange {
        deadline: outgoing
            .timeout
            .map(|timeout| time::Instant::now() + timeout),
        state: State::Begin(reservation, Box::new(outgoing)),
    }
}

impl Exchange {
    /// The next piece. After the end, or a failure, there is only [`Failure::Reset`].
    pub(crate) async fn next(&mut self) -> Incoming {
        let state = std::mem::replace(&mut self.state, State::End);
        let step = step(state);
        let result = match self.deadline {
            None => step.await,
            Some(deadline) => match time::timeout_at(deadline, step).await {
                Ok(result) => result,
                Err(_) => Err(Failure::Timeout),
            },
        };
        match result {
            Ok((incoming, state)) => {
                self.state = state;
                incoming
            }
            Err(failure) => Incoming::Failed(failure),
        }
    }
}

async fn step(state: State) -> Result<(Incoming, State), Failure> {
    match state {
        State::Begin(reservation, outgoing) => {
            let with_trailers = reservation.cluster().config.http1_trailers;
            let request = to_http(*outgoing, reservation.cluster())?;
            let lease = reservation.lease().await?;
            let begun = Instant::now();
            let (response, lease) = send(lease, request).await?;
            let (parts, body) = response.into_parts();
            let mut headers = Headers::default();
            headers.add(b":status", parts.status.as_str().as_bytes());
            for (name, value) in Headers::from_http(&parts.headers).iter() {
                if !matches!(name, b"connection" | b"keep-alive" | b"transfer-encoding") {
                    headers.add(name, value);
                }
            }
            let ms = begun.elapsed().as_millis().to_string();
            headers.set(b"x-envoy-upstream-service-time", ms.as_bytes());
            if body.is_end_stream() {
                lease.release();
                return Ok((Incoming::Headers(headers, true), State::End));
            }
            let state = State::Body(lease, body, with_trailers);
            Ok((Incoming::Headers(headers, false), state))
        }
        State::Body(lease, mut body, with_trailers) => match body.frame().await {
            None => {
                lease.release();
                Ok((Incoming::Data(Vec::new(), true), State::End))
            }
            Some(Err(_)) => Err(Failure::Reset),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    let state = State::Body(lease, body, with_trailers);
                    Ok((Incoming::Data(data.into(), false), state))
                }
                Err(frame) => {
                    lease.release();
                    let incoming = match frame.into_trailers() {
                        Ok(map) if with_trailers => Incoming::Trailers(Headers::from_http(&map)),
                        _ => Incoming::Data(Vec::new(), true),
                    };
                    Ok((incoming, State::End))
                }
            },
        },
        State::End => Err(Failure::Reset),
    }
}

/// Sends the request; once more, on a new connection, if the upstream had closed the old one before the first byte.
async fn send(
    mut lease: Lease,
    request: Request<PipeBody>,
) -> Result<(Response<HyperBody>, Lease), Failure> {
    match lease.sender.try_send_request(request).await {
        Ok(response) => Ok((response, lease)),
        Err(mut error) => {
            let unsent = error.take_message().ok_or(Failure::Reset)?;
            let mut lease = lease.renew().await?;
            let sent = lease.sender.try_send_request(unsent).await;
            Ok((sent.map_err(|_| Failure::Reset)?, lease))
        }
    }
}

fn to_http(outgoing: Outgoing, cluster: &Cluster) -> Result<Request<PipeBody>, Failure> {
    let mut headers = outgoing.headers;
    for mutation in &cluster.config.request_mutations {
        match mutation {
            HeaderMutation::Remove(name) => headers.remove(name.as_bytes()),
            HeaderMutation::Set(name, value) => headers.set(name.as_bytes(), value.as_bytes()),
        }
    }
    let malformed = || Failure::Connect(NoConnection::malformed("the request cannot be written"));
    let part = |name: &[u8]| headers.get(name).ok_or_else(malformed);
    let mut request = Request::new(outgoing.body);
    *request.version_mut() = Version::HTTP_11;
    *request.method_mut() = Method::from_bytes(part(b":method")?).map_err(|_| malformed())?;
    *request.uri_mut() = Uri::try_from(part(b":path")?).map_err(|_| malformed())?;
    let host = http::HeaderValue::from_bytes(part(b":authority")?).map_err(|_| malformed())?;
    *request.headers_mut() = headers.to_http();
    request.headers_mut().insert(header::HOST, host);
    Ok(request)
}
