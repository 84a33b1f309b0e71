//! The client's connection: hyper on one side, streams on the other.
//!
//! A stream learns that its client is gone because hyper drops what it holds of the exchange: the future that waits
//! for the response's head, or the response's body. Both carry a [`Presence`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::filter::Filter;
use super::headers::Headers;
use super::local_reply::LocalReply;
use super::pipe::{Broken, PipeBody, PipeSender, pipe};
use super::request::{self, Client, Place};
use super::stream::{self, Parts, Stream, Way};
use crate::config::{Codec, ConnectionManager};
use crate::lane::Lane;
use crate::plugin::Admission;

/// Runs tasks of a connection on its own thread.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F> hyper::rt::Executor<F> for OnThisThread
where
    F: Future + 'static,
{
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// Serves one connection until it ends.
pub(crate) async fn serve(lane: Rc<Lane>, listener: String, tcp: TcpStream) {
    static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
    let (Ok(peer), Ok(local)) = (tcp.peer_addr(), tcp.local_addr()) else {
        return; // gone already
    };
    let _ = tcp.set_nodelay(true);
    let Some(place) = lane.place(&listener) else {
        return; // the listener was removed
    };
    let connection = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
    let service = service_fn(move |request: Request<Incoming>| {
        let client = Client {
            connection,
            peer,
            local,
            version: request.version(),
        };
        let (lane, listener) = (Rc::clone(&lane), listener.clone());
        async move { exchange(lane, &listener, client, request).await }
    });
    // A connection that ends badly is the client's affair.
    let _ = builder(&place.manager)
        .serve_connection(TokioIo::new(tcp), service)
        .await;
}

fn builder(manager: &ConnectionManager) -> auto::Builder<OnThisThread> {
    let mut builder = auto::Builder::new(OnThisThread);
    builder = match manager.codec {
        Codec::Auto => builder,
        Codec::Http1 => builder.http1_only(),
        Codec::Http2 => builder.http2_only(),
    };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(manager.idle_timeout)
        .max_headers(manager.max_headers)
        .max_buf_size(manager.max_header_bytes.max(8 * 1024));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(manager.max_header_bytes).unwrap_or(u32::MAX));
    builder
}

/// One request: makes its stream, feeds it, and hands hyper the response's head when there is one.
async fn exchange(
    lane: Rc<Lane>,
    listener: &str,
    client: Client,
    request: Request<Incoming>,
) -> Result<Response<PipeBody>, Broken> {
    let place = lane.place(listener).ok_or(Broken)?;
    let (parts, body) = request.into_parts();
    let Ok(head) = request::read(&parts, &place.manager, &client) else {
        return Ok(bad_request());
    };
    let filters = admit(&lane, &place, head.route.as_ref());
    let (response, waiting) = oneshot::channel();
    let trailers = place.manager.http1_trailers || !client.is_http1();
    let stream = Stream::new(Parts {
        lane,
        place: Rc::new(place),
        client: Rc::new(client),
        route: head.route,
        filters,
        responder: Responder::new(response),
        request_id: head.request_id,
        is_head: head.is_head,
    });
    let presence = Presence(Rc::clone(&stream));
    let end = body.is_end_stream();
    if let Some(refused) = head.refused {
        *stream.decode.headers.borrow_mut() = Some(head.headers);
        stream.decode.complete.set(end);
        stream.send_local_reply(refused);
    } else {
        stream.receive_headers(Way::Decode, head.headers, end);
    }
    if !stream.has_ended() {
        tokio::task::spawn_local(feed(Rc::clone(&stream), body, end, trailers));
    }
    drop(stream);
    let mut response = waiting.await.map_err(|_| Broken)?;
    response.body_mut().keeps = Some(Box::new(presence));
    Ok(response)
}

/// Asks each filter of the listener for its place on the new stream.
fn admit(lane: &Rc<Lane>, place: &Place, route: Option<&crate::config::Route>) -> Vec<Filter> {
    let mut filters = Vec::new();
    for (slot, configured) in lane.slots(place).iter().zip(&place.manager.filters) {
        if route.is_some_and(|route| route.disabled_filters.contains(&configured.name)) {
            continue;
        }
        match slot.admit(lane) {
            Admission::Filter(handle) => {
                filters.push(Filter::new(Arc::clone(&slot.plugin), handle))
            }
            Admission::Skip => {}
        }
    }
    filters
}

fn bad_request() -> Response<PipeBody> {
    let mut response = Response::new(PipeBody::empty());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// Held by whatever hyper holds of an exchange. When it goes before the stream has ended, the client is gone.
struct Presence(Rc<Stream>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.on_disconnect();
    }
}

/// Reads the request into the stream, and ends a stream that takes too long.
async fn feed(stream: Rc<Stream>, mut body: Incoming, mut complete: bool, trailers: bool) {
    let begun = Instant::now();
    loop {
        if stream.has_ended() {
            return;
        }
        let (deadline, late) = next_deadline(&stream, begun, complete);
        let room = stream.router.room();
        tokio::select! {
            biased;
            () = stream.news.notified() => {}
            frame = body.frame(), if !complete && stream.has_room() => match frame {
                None => {
                    complete = true;
                    stream.receive_data(Way::Decode, Vec::new(), true);
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => stream.receive_data(Way::Decode, data.into(), false),
                    Err(frame) => {
                        complete = true;
                        match frame.into_trailers() {
                            Ok(map) if trailers => {
                                stream.receive_trailers(Way::Decode, Headers::from_http(&map));
                            }
                            _ => stream.receive_data(Way::Decode, Vec::new(), true),
                        }
                    }
                },
                Some(Err(_)) => return stream.on_disconnect(),
            },
            () = async { room.expect("the branch is guarded").await }, if room.is_some() && !stream.router.has_room() => {}
            () = sleep_until(deadline) => if let Some(late) = late.filter(|_| Instant::now() >= deadline) {
                late_reply(&stream, late, complete);
            },
        }
    }
}

/// Which limit a stream ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Late {
    Idle,
    Duration,
    Request,
}

fn next_deadline(stream: &Stream, begun: Instant, complete: bool) -> (Instant, Option<Late>) {
    let manager = &stream.place.manager;
    let request = manager.request_timeout.filter(|_| !complete);
    let candidates = [
        (
            manager
                .stream_idle_timeout
                .map(|time| stream.moved.get() + time),
            Late::Idle,
        ),
        (
            manager.max_stream_duration.map(|time| begun + time),
            Late::Duration,
        ),
        (request.map(|time| begun + time), Late::Request),
    ];
    let first = candidates
        .into_iter()
        .filter_map(|(at, late)| Some((at?, late)))
        .min_by_key(|(at, _)| *at);
    match first {
        Some((at, late)) => (at, Some(late)),
        None => (Instant::now() + std::time::Duration::from_secs(3600), None),
    }
}

fn late_reply(stream: &Rc<Stream>, late: Late, complete: bool) {
    // Who made it late: the client that did not finish its request, or whoever should have answered.
    let status = if complete && late != Late::Request {
        504
    } else {
        408
    };
    let (body, details, flag) = match late {
        Late::Idle => (
            "stream timeout",
            "stream_idle_timeout",
            stream::FLAG_STREAM_IDLE,
        ),
        Late::Duration => (
            "downstream duration timeout",
            "max_duration_timeout",
            stream::FLAG_DURATION,
        ),
        Late::Request => ("request timeout", "request_overall_timeout", 0),
    };
    stream.outcome.borrow_mut().flags |= flag;
    stream.send_local_reply(LocalReply::new(status, body, details));
}

/// Where a stream's response goes.
pub(crate) struct Responder {
    head: RefCell<Option<oneshot::Sender<Response<PipeBody>>>>,
    body: RefCell<Option<PipeSender>>,
    started: Cell<bool>,
}

impl Responder {
    fn new(head: oneshot::Sender<Response<PipeBody>>) -> Self {
        Self {
            head: RefCell::new(Some(head)),
            body: RefCell::default(),
            started: Cell::new(false),
        }
    }

    /// Whether a response has gone out, at least its head.
    pub(crate) fn has_started(&self) -> bool {
        self.started.get()
    }

    /// Sends the head. Says the status that was sent.
    pub(crate) fn start(&self, stream: &Stream, headers: Headers, end: bool) -> u16 {
        self.started.set(true);
        let status = headers
            .get_text(":status")
            .and_then(|status| status.parse().ok())
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (sender, body) = pipe();
        let body = if end { PipeBody::empty() } else { body };
        if !end {
            *self.body.borrow_mut() = Some(sender);
        }
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let mut map = headers.to_http();
        for name in ["connection", "keep-alive", "transfer-encoding", "upgrade"] {
            map.remove(name);
        }
        if stream.client.is_http1() {
            if !stream.decode.complete.get() {
                // The rest of the request would be taken for the next one.
                map.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
        } else {
            *response.version_mut() = Version::HTTP_2;
        }
        let server = stream.place.manager.server_name.as_deref();
        if let Some(Ok(server)) = server.map(HeaderValue::from_str) {
            map.insert(header::SERVER, server);
        }
        *response.headers_mut() = map;
        if let Some(head) = self.head.take() {
            let _ = head.send(response);
        }
        status.as_u16()
    }

    pub(crate) fn data(&self, data: Vec<u8>) {
        if let Some(body) = &*self.body.borrow() {
            body.data(data);
        }
    }

    pub(crate) fn trailers(&self, trailers: &Headers) {
        if let Some(body) = &*self.body.borrow() {
            body.trailers(trailers.to_http());
        }
    }

    /// What is to be awaited before more of the body is sent.
    pub(crate) fn room(&self) -> Option<impl Future<Output = ()> + use<>> {
        self.body.borrow().as_ref().map(PipeSender::room)
    }

    /// The response is complete.
    pub(crate) fn finish(&self) {
        self.body.take();
    }

    /// The response is broken off, or never comes.
    pub(crate) fn reset(&self) {
        self.started.set(true);
        self.head.take();
        if let Some(body) = self.body.take() {
            body.break_off();
        }
    }
}
