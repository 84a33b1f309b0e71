//! Where a request goes when the filters have let it through: a direct response, an upstream, or nowhere.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use tokio::task::AbortHandle;

use super::headers::Headers;
use super::local_reply::LocalReply;
use super::pipe::{PipeBody, PipeSender, pipe};
use super::property::split_query;
use super::stream::{self, Stream, Way};
use crate::config::{PathMatch, Route, RouteAction};
use crate::upstream::forward::{self, Incoming, Outgoing};
use crate::upstream::pool::{Refused, Reservation};

/// What the router keeps for a stream.
#[derive(Default)]
pub(crate) struct State {
    /// Feeds the request to the upstream.
    body: RefCell<Option<PipeSender>>,
    task: RefCell<Option<AbortHandle>>,
}

impl State {
    /// Whether the upstream takes more of the request.
    pub(crate) fn has_room(&self) -> bool {
        self.body.borrow().as_ref().is_none_or(PipeSender::has_room)
    }

    /// What is to be awaited until it does.
    pub(crate) fn room(&self) -> Option<impl Future<Output = ()> + use<>> {
        self.body.borrow().as_ref().map(PipeSender::room)
    }
}

pub(crate) fn on_headers(stream: &Rc<Stream>, end: bool) {
    let Some(route) = &stream.route else {
        stream.outcome.borrow_mut().flags |= stream::FLAG_NO_ROUTE;
        return stream.send_local_reply(LocalReply::new(404, "", "route_not_found"));
    };
    match &route.action {
        RouteAction::Direct { status, body } => {
            let mut reply = LocalReply::new(*status, "", "direct_response");
            reply.body.clone_from(body);
            stream.send_local_reply(reply);
        }
        RouteAction::Cluster { name, timeout, .. } => {
            let Some(pool) = stream.lane.pool(name) else {
                return stream.send_local_reply(LocalReply::new(503, "", "cluster_not_found"));
            };
            let reservation = match pool.reserve() {
                Ok(reservation) => reservation,
                Err(refused) => return refuse(stream, &refused),
            };
            let headers = upstream_headers(stream, route);
            let (sender, body) = pipe();
            let body = if end { PipeBody::empty() } else { body };
            if !end {
                *stream.router.body.borrow_mut() = Some(sender);
            }
            let outgoing = Outgoing {
                headers,
                body,
                timeout: *timeout,
            };
            let task = tokio::task::spawn_local(run(Rc::downgrade(stream), reservation, outgoing));
            *stream.router.task.borrow_mut() = Some(task.abort_handle());
        }
    }
}

pub(crate) fn on_data(stream: &Rc<Stream>, data: Vec<u8>, end: bool) {
    if let Some(body) = &*stream.router.body.borrow() {
        body.data(data);
    }
    if end {
        stream.router.body.take();
    }
}

pub(crate) fn on_trailers(stream: &Rc<Stream>) {
    if let Some(body) = stream.router.body.take() {
        let trailers = stream.decode.trailers.borrow();
        body.trailers(trailers.as_ref().map(Headers::to_http).unwrap_or_default());
    }
}

/// The stream has no more use for its upstream.
pub(crate) fn cancel(stream: &Stream) {
    if let Some(body) = stream.router.body.take() {
        body.break_off();
    }
    if let Some(task) = stream.router.task.take() {
        task.abort();
    }
}

fn refuse(stream: &Rc<Stream>, refused: &Refused) {
    stream.outcome.borrow_mut().flags |= stream::FLAG_UPSTREAM_FAILURE;
    let (body, details) = match refused {
        Refused::NoHost => ("no healthy upstream", "no_healthy_upstream"),
        Refused::Overflow => (
            forward::OVERFLOW,
            "upstream_reset_before_response_started{overflow}",
        ),
    };
    let mut reply = LocalReply::new(503, body, details);
    if *refused == Refused::Overflow && !stream.place.manager.suppress_envoy_headers {
        reply.headers.add(b"x-envoy-overloaded", b"true");
    }
    stream.send_local_reply(reply);
}

fn upstream_headers(stream: &Stream, route: &Route) -> Headers {
    let mut headers = stream.decode.headers.borrow().clone().unwrap_or_default();
    for name in &route.removed_headers {
        headers.remove(name.as_bytes());
    }
    if let RouteAction::Cluster {
        prefix_rewrite,
        host_rewrite,
        timeout,
        ..
    } = &route.action
    {
        if let Some(host) = host_rewrite {
            headers.set(b":authority", host.as_bytes());
        }
        if let (Some(rewrite), Some(path)) = (prefix_rewrite, headers.get(b":path")) {
            let matched = match &route.matches {
                PathMatch::Prefix(matched) | PathMatch::Exact(matched) => matched.len(),
            };
            let rest = path.get(matched..).unwrap_or_else(|| split_query(path).1);
            let path = [rewrite.as_bytes(), rest].concat();
            headers.set(b":path", &path);
        }
        if !stream.place.manager.suppress_envoy_headers
            && let Some(timeout) = timeout
        {
            let ms = timeout.as_millis().to_string();
            headers.set(b"x-envoy-expected-rq-timeout-ms", ms.as_bytes());
        }
    }
    headers
}

/// Feeds what comes from the upstream into the stream. Holds the stream only while it has something for it.
async fn run(stream: Weak<Stream>, reservation: Reservation, outgoing: Outgoing) {
    let suppress = match stream.upgrade() {
        Some(stream) => stream.place.manager.suppress_envoy_headers,
        None => return,
    };
    let mut upstream = forward::start(reservation, outgoing);
    loop {
        let incoming = upstream.next().await;
        let Some(stream) = stream.upgrade().filter(|stream| !stream.has_ended()) else {
            return;
        };
        // A filter may hold the response for long after its last piece came.
        let is_last = matches!(
            incoming,
            Incoming::Headers(_, true) | Incoming::Data(_, true) | Incoming::Trailers(_)
        );
        let room = match incoming {
            Incoming::Headers(mut headers, end) => {
                if suppress {
                    headers.remove(b"x-envoy-upstream-service-time");
                }
                stream.outcome.borrow_mut().details = "via_upstream".to_owned();
                stream.receive_headers(Way::Encode, headers, end);
                None
            }
            Incoming::Data(data, end) => {
                stream.receive_data(Way::Encode, data, end);
                stream.responder.room()
            }
            Incoming::Trailers(trailers) => {
                stream.receive_trailers(Way::Encode, trailers);
                None
            }
            Incoming::Failed(failure) => {
                let flag = if failure.is_timeout() {
                    stream::FLAG_UPSTREAM_TIMEOUT
                } else {
                    stream::FLAG_UPSTREAM_FAILURE
                };
                stream.outcome.borrow_mut().flags |= flag;
                // After the response has begun, a local reply can only break it off.
                stream.send_local_reply(failure.local_reply());
                return;
            }
        };
        if is_last || stream.has_ended() {
            return;
        }
        drop(stream);
        if let Some(room) = room {
            room.await;
        }
    }
}
