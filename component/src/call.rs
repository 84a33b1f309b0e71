//! One outgoing call: its body goes out and its answer comes in whenever the host is ready for it, so that any number of
//! calls go on beside one another.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::poll::Pollable;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use weir_engine::{CallOutcome, HttpRequest};

/// Most bytes of an answer; a larger one is none.
const MAX_ANSWER: usize = 16 << 20;
/// Most bytes asked for at a time.
const CHUNK: u64 = 65_536;

/// What a call has come to.
pub(crate) enum Outcome {
    /// An answer of the peer, or of the host on its behalf.
    Answer {
        status: u16,
        retry_after_s: Option<u32>,
        body: Vec<u8>,
    },
    /// The connection broke.
    Reset,
}

impl Outcome {
    /// What a proxy would have answered for a peer that takes too long.
    pub(crate) const TOO_LATE: Self = Self::of_host(504);

    const fn of_host(status: u16) -> Self {
        Self::Answer {
            status,
            retry_after_s: None,
            body: Vec::new(),
        }
    }

    /// As the engine wants it told.
    pub(crate) fn told(&self) -> CallOutcome<'_> {
        match self {
            Self::Answer {
                status,
                retry_after_s,
                body,
            } => CallOutcome::Answer {
                status: *status,
                retry_after_s: *retry_after_s,
                body,
            },
            Self::Reset => CallOutcome::Reset,
        }
    }
}

/// A call under way. Where one field is made from another it stands before it: so the host wants them dropped.
pub(crate) enum Outgoing {
    Sending {
        stream: OutputStream,
        body: OutgoingBody,
        rest: Vec<u8>,
        answer: FutureIncomingResponse,
    },
    Waiting {
        answer: FutureIncomingResponse,
    },
    Reading {
        stream: InputStream,
        _body: IncomingBody,
        _response: IncomingResponse,
        status: u16,
        retry_after_s: Option<u32>,
        read: Vec<u8>,
    },
}

impl Outgoing {
    /// Starts a call; `None` when the host does not take it.
    pub(crate) fn start(call: HttpRequest) -> Option<Self> {
        let (scheme, authority) = match call.cluster.split_once("://")? {
            ("http", authority) => (Scheme::Http, authority),
            (_, authority) => (Scheme::Https, authority),
        };
        let length = call.body.len().to_string().into_bytes();
        let mut headers = vec![("content-length".to_owned(), length)];
        if let Some(content_type) = call.content_type {
            headers.push(("content-type".to_owned(), content_type.as_bytes().to_vec()));
        }
        let request = OutgoingRequest::new(Fields::from_list(&headers).ok()?);
        let method = match &*call.method {
            "GET" => Method::Get,
            _ => Method::Post,
        };
        request.set_method(&method).ok()?;
        request.set_scheme(Some(&scheme)).ok()?;
        request.set_authority(Some(authority)).ok()?;
        request.set_path_with_query(Some(&call.path)).ok()?;
        let body = request.body().ok()?;
        let stream = body.write().ok()?;
        // The deadline is in `drive`, whatever limits a host knows.
        let answer = outgoing_handler::handle(request, None).ok()?;
        Some(Self::Sending {
            stream,
            body,
            rest: call.body,
            answer,
        })
    }

    /// What it waits for.
    pub(crate) fn ready(&self) -> Pollable {
        match self {
            Self::Sending { stream, .. } => stream.subscribe(),
            Self::Waiting { answer } => answer.subscribe(),
            Self::Reading { stream, .. } => stream.subscribe(),
        }
    }

    /// Goes as far as it can without waiting.
    pub(crate) fn advance(mut self) -> Result<Self, Outcome> {
        loop {
            self = match self {
                Self::Sending {
                    stream,
                    body,
                    mut rest,
                    answer,
                } => {
                    if !rest.is_empty() {
                        let room = stream.check_write().ok();
                        let Some(room) = room.and_then(|room| usize::try_from(room).ok()) else {
                            // The peer takes no more. It may have answered all the same.
                            drop((stream, body));
                            self = Self::Waiting { answer };
                            continue;
                        };
                        let later = rest.split_off(rest.len().min(room));
                        let stuck = rest.is_empty();
                        let written = stuck || stream.write(&rest).is_ok();
                        let sending = Self::Sending {
                            stream,
                            body,
                            rest: if written { later } else { Vec::new() },
                            answer,
                        };
                        if stuck {
                            return Ok(sending);
                        }
                        self = sending;
                        continue;
                    }
                    drop(stream);
                    let _ = OutgoingBody::finish(body, None);
                    Self::Waiting { answer }
                }
                Self::Waiting { answer } => match answer.get() {
                    None => return Ok(Self::Waiting { answer }),
                    Some(Ok(Ok(response))) => Self::read(response)?,
                    Some(Ok(Err(error))) => return Err(failed(&error)),
                    Some(Err(())) => return Err(Outcome::Reset),
                },
                Self::Reading {
                    ref stream,
                    ref mut read,
                    status,
                    retry_after_s,
                    ..
                } => match stream.read(CHUNK) {
                    Ok(bytes) if bytes.is_empty() => return Ok(self),
                    Ok(bytes) if read.len() + bytes.len() <= MAX_ANSWER => {
                        read.extend_from_slice(&bytes);
                        continue;
                    }
                    Err(StreamError::Closed) => {
                        return Err(Outcome::Answer {
                            status,
                            retry_after_s,
                            body: std::mem::take(read),
                        });
                    }
                    // Half an answer is none.
                    Ok(_) | Err(StreamError::LastOperationFailed(_)) => {
                        return Err(Outcome::Reset);
                    }
                },
            };
        }
    }

    fn read(response: IncomingResponse) -> Result<Self, Outcome> {
        let status = response.status();
        let retry_after_s = if (200..300).contains(&status) {
            None
        } else {
            let value = response.headers().get("retry-after").into_iter().next();
            let number = |value: Vec<u8>| std::str::from_utf8(&value).ok()?.trim().parse().ok();
            value.and_then(number)
        };
        let body = response.consume().map_err(|()| Outcome::Reset)?;
        let stream = body.stream().map_err(|()| Outcome::Reset)?;
        Ok(Self::Reading {
            stream,
            _body: body,
            status,
            retry_after_s,
            _response: response,
            read: Vec::new(),
        })
    }
}

/// What a proxy says when its peer does not: 503 for one that was not reached, 504 for one that takes too long.
fn failed(error: &ErrorCode) -> Outcome {
    let status = match error {
        ErrorCode::DnsTimeout
        | ErrorCode::DnsError(_)
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::DestinationIpUnroutable
        | ErrorCode::ConnectionRefused
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionLimitReached
        | ErrorCode::TlsProtocolError
        | ErrorCode::TlsCertificateError
        | ErrorCode::TlsAlertReceived(_) => 503,
        ErrorCode::ConnectionReadTimeout | ErrorCode::HttpResponseTimeout => 504,
        _ => return Outcome::Reset,
    };
    Outcome::of_host(status)
}
