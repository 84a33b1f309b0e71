//! One request and its response, from the first header to the last callback.
//!
//! A stream belongs to one worker thread and is driven from four sides: the client's connection, the filters, the
//! upstream, and timers. Each of them calls a method here, and each method may lead through filters into a VM; so
//! nothing is borrowed across such a call, and after each one the stream looks whether it was answered or ended
//! meanwhile.
//!
//! ```text
//!            ┌───────────── filters ─────────────┐
//!  client ──▶│ decode: 0 ─▶ 1 ─▶ …               │──▶ router ──▶ upstream
//!         ◀──│ encode:      … ◀─ 1 ◀─ 0          │◀──
//!            └───────────────────────────────────┘
//! ```
//!
//! The end comes once: when the response is complete, when the client is gone, or when a filter resets the stream.
//! Then each filter gets `on_log`, `on_done` and `on_delete`, in that order.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::filter::Filter;
use super::headers::Headers;
use super::local_reply::LocalReply;
use super::request::{Client, Place};
use super::router;
use super::server::Responder;
use super::travel::{BodyView, Iteration, OnData, OnHeaders, OnTrailers, Travel};
use crate::config::Route;
use crate::lane::Lane;

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// The request's.
    Decode,
    /// The response's.
    Encode,
}

/// What is known once the stream has ended, for `on_log`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// The status sent, if any was.
    pub(crate) status: Option<u16>,
    /// Who answered and why.
    pub(crate) details: String,
    /// Envoy's response flags, as bits.
    pub(crate) flags: u64,
}

/// The client went away.
pub(crate) const FLAG_DOWNSTREAM_TERMINATION: u64 = 1 << 15;
/// The stream was silent for too long.
pub(crate) const FLAG_STREAM_IDLE: u64 = 1 << 16;
/// There was no route.
pub(crate) const FLAG_NO_ROUTE: u64 = 1 << 8;
/// The upstream could not be reached.
pub(crate) const FLAG_UPSTREAM_FAILURE: u64 = 1 << 5;
/// The upstream took too long.
pub(crate) const FLAG_UPSTREAM_TIMEOUT: u64 = 1 << 2;
/// The stream lived for too long.
pub(crate) const FLAG_DURATION: u64 = 1 << 22;

/// One request and its response.
pub(crate) struct Stream {
    pub(crate) lane: Rc<Lane>,
    pub(crate) place: Rc<Place>,
    pub(crate) client: Rc<Client>,
    pub(crate) route: Option<Route>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) decode: Travel,
    pub(crate) encode: Travel,
    pub(crate) responder: Responder,
    pub(crate) router: router::State,
    /// What filters set by `proxy_set_property`.
    pub(crate) filter_state: RefCell<BTreeMap<Vec<u8>, Vec<u8>>>,
    pub(crate) outcome: RefCell<Outcome>,
    pub(crate) started: std::time::SystemTime,
    pub(crate) request_id: String,
    pub(crate) is_head: bool,
    /// When something last moved.
    pub(crate) moved: Cell<Instant>,
    /// Wakes whoever feeds the request: it ended, or there is room again.
    pub(crate) news: Notify,
    ended: Cell<bool>,
    pub(crate) logging: Cell<bool>,
}

/// What a stream is made of.
pub(crate) struct Parts {
    pub(crate) lane: Rc<Lane>,
    pub(crate) place: Rc<Place>,
    pub(crate) client: Rc<Client>,
    pub(crate) route: Option<Route>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) responder: Responder,
    pub(crate) request_id: String,
    pub(crate) is_head: bool,
}

impl Stream {
    pub(crate) fn new(parts: Parts) -> Rc<Self> {
        let count = parts.filters.len();
        let stream = Rc::new(Self {
            lane: parts.lane,
            place: parts.place,
            client: parts.client,
            route: parts.route,
            filters: parts.filters,
            decode: Travel::over(0..count),
            encode: Travel::over((0..count).rev()),
            responder: parts.responder,
            router: router::State::default(),
            filter_state: RefCell::default(),
            outcome: RefCell::default(),
            started: std::time::SystemTime::now(),
            request_id: parts.request_id,
            is_head: parts.is_head,
            moved: Cell::new(Instant::now()),
            news: Notify::new(),
            ended: Cell::new(false),
            logging: Cell::new(false),
        });
        for (index, filter) in stream.filters.iter().enumerate() {
            filter.attach(&stream, index);
        }
        stream
    }

    pub(crate) fn travel(&self, way: Way) -> &Travel {
        match way {
            Way::Decode => &self.decode,
            Way::Encode => &self.encode,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Whether more of the request may be read now.
    pub(crate) fn has_room(&self) -> bool {
        let limit = self.place.manager.buffer_limit_bytes;
        let stopped = self.decode.is_stopped() && self.decode.held_bytes() > limit;
        !stopped && self.router.has_room()
    }

    fn touch(&self) {
        self.moved.set(Instant::now());
    }

    /// Whether the rest of this direction is void: answered otherwise, or over.
    fn is_void(&self, way: Way) -> bool {
        self.ended.get() || self.travel(way).aborted.get()
    }

    // ---- What comes in, from the client or the upstream -------------------------------------------------------

    /// The headers of the request or the response come in.
    pub(crate) fn receive_headers(self: &Rc<Self>, way: Way, headers: Headers, end: bool) {
        if self.is_void(way) {
            return;
        }
        self.touch();
        let travel = self.travel(way);
        *travel.headers.borrow_mut() = Some(headers);
        travel.complete.set(end);
        self.pass_headers(way, 0, end);
    }

    /// A piece of body comes in; the last one may be empty.
    pub(crate) fn receive_data(self: &Rc<Self>, way: Way, data: Vec<u8>, end: bool) {
        if self.is_void(way) {
            return;
        }
        self.touch();
        let travel = self.travel(way);
        travel
            .body_bytes
            .set(travel.body_bytes.get() + data.len() as u64);
        travel.complete.set(end);
        self.pass_data(way, 0, data, end);
    }

    /// Trailers come in: the end, without a last piece of body.
    pub(crate) fn receive_trailers(self: &Rc<Self>, way: Way, trailers: Headers) {
        if self.is_void(way) {
            return;
        }
        self.touch();
        let travel = self.travel(way);
        *travel.trailers.borrow_mut() = Some(trailers);
        travel.complete.set(true);
        self.pass_trailers(way, 0);
    }

    // ---- Through the filters ----------------------------------------------------------------------------------

    fn pass_headers(self: &Rc<Self>, way: Way, from: usize, end: bool) {
        let travel = self.travel(way);
        for step in travel.steps.iter().skip(from) {
            step.ended.set(end);
            let said = self.filters[step.filter].on_headers(self, way, step, end);
            if self.is_void(way) {
                return;
            }
            match said {
                OnHeaders::Continue => {
                    if step.headers_passed.replace(true) {
                        return; // it resumed from inside its own callback: they have gone on already
                    }
                }
                OnHeaders::StopIteration => return step.iteration.set(Iteration::StopSingle),
                OnHeaders::StopAll => return step.iteration.set(Iteration::StopAll),
            }
        }
        match way {
            Way::Decode => router::on_headers(self, end),
            Way::Encode => self.send_headers(end),
        }
    }

    fn pass_data(self: &Rc<Self>, way: Way, from: usize, data: Vec<u8>, end: bool) {
        let travel = self.travel(way);
        let mut data = data;
        for (position, step) in travel.steps.iter().enumerate().skip(from) {
            if step.iteration.get() == Iteration::StopAll {
                travel.hold(data);
                return;
            }
            if step.ended.get() {
                return;
            }
            step.ended.set(end && !travel.has_trailers());
            let said = self.filters[step.filter].on_data(self, way, step, data, end);
            if self.is_void(way) {
                return;
            }
            data = travel.piece.take();
            match said {
                OnData::Continue => {
                    if step.iteration.get() == Iteration::StopSingle {
                        travel.hold(data);
                        return self.resume(way, position);
                    }
                }
                OnData::StopAndBuffer => {
                    step.iteration.set(Iteration::StopSingle);
                    return self.hold_within_limit(way, data);
                }
                OnData::StopAndDrop => {
                    step.iteration.set(Iteration::StopSingle);
                    if travel.complete.get() && !travel.has_trailers() {
                        travel.hold(Vec::new()); // so that resuming still brings the end
                    }
                    return;
                }
            }
        }
        match way {
            Way::Decode => router::on_data(self, data, end),
            Way::Encode => self.send_data(data, end),
        }
    }

    fn pass_trailers(self: &Rc<Self>, way: Way, from: usize) {
        let travel = self.travel(way);
        for (position, step) in travel.steps.iter().enumerate().skip(from) {
            if step.iteration.get() == Iteration::StopAll {
                return;
            }
            let said = self.filters[step.filter].on_trailers(self, way, step);
            if self.is_void(way) {
                return;
            }
            match said {
                OnTrailers::Continue => {
                    if step.iteration.get() == Iteration::StopSingle {
                        return self.resume(way, position);
                    }
                }
                OnTrailers::Stop => {
                    if step.iteration.get() == Iteration::Continue {
                        step.iteration.set(Iteration::StopSingle);
                    }
                    return;
                }
            }
        }
        match way {
            Way::Decode => router::on_trailers(self),
            Way::Encode => self.send_trailers(),
        }
    }

    /// Holds more of the body; too much of a request is a 413, too much of a response a 500.
    pub(crate) fn hold_within_limit(self: &Rc<Self>, way: Way, data: Vec<u8>) {
        if self.travel(way).hold(data) <= self.place.manager.buffer_limit_bytes {
            return;
        }
        self.send_local_reply(match way {
            Way::Decode => LocalReply::new(413, "Payload Too Large", "request_payload_too_large"),
            Way::Encode => {
                LocalReply::new(500, "Internal Server Error", "response_payload_too_large")
            }
        });
    }

    /// A filter lets go from outside of its callbacks.
    pub(crate) fn resume_filter(self: &Rc<Self>, filter: usize, way: Way) {
        if let Some((position, _)) = self.travel(way).step_of(filter) {
            self.touch();
            self.resume(way, position);
        }
    }

    /// Everything that a filter held goes on to the next, in order.
    fn resume(self: &Rc<Self>, way: Way, position: usize) {
        if self.is_void(way) {
            return;
        }
        let travel = self.travel(way);
        let step = &travel.steps[position];
        // A filter that stopped everything has not seen the body yet.
        let data_from = match step.iteration.replace(Iteration::Continue) {
            Iteration::StopAll => position,
            _ => position + 1,
        };
        if step.sees_body.get() == BodyView::Held {
            step.sees_body.set(BodyView::Nothing);
        }
        self.news.notify_one();
        let has_trailers = travel.has_trailers();
        if !step.headers_passed.replace(true) {
            let only_headers =
                travel.complete.get() && travel.held.borrow().is_none() && !has_trailers;
            self.pass_headers(way, position + 1, only_headers);
        }
        let held = travel.held.take();
        if let Some(held) = held
            && !self.is_void(way)
        {
            let end = travel.complete.get() && !has_trailers;
            self.pass_data(way, data_from, held, end);
        }
        if has_trailers && !self.is_void(way) {
            self.pass_trailers(way, data_from);
        }
    }

    // ---- Out to the client ------------------------------------------------------------------------------------

    /// Answers without an upstream: through the response filters if nothing of a response exists yet, past them if
    /// one is on its way through them; once a response has gone out there is nothing left but to break it off.
    pub(crate) fn send_local_reply(self: &Rc<Self>, reply: LocalReply) {
        if self.ended.get() {
            return;
        }
        self.touch();
        if self.responder.has_started() {
            return self.reset(&reply.details);
        }
        self.outcome.borrow_mut().details.clone_from(&reply.details);
        self.decode.aborted.set(true);
        router::cancel(self);
        let headers = reply.response_headers();
        let only_headers = reply.body.is_empty() || self.is_head;
        if self.encode.headers.borrow().is_none() {
            self.receive_headers(Way::Encode, headers, only_headers);
            if !only_headers {
                self.receive_data(Way::Encode, reply.body, true);
            }
        } else {
            self.encode.aborted.set(true);
            *self.encode.headers.borrow_mut() = Some(headers);
            self.send_headers(only_headers);
            if !only_headers {
                self.send_data(reply.body, true);
            }
        }
    }

    fn send_headers(self: &Rc<Self>, end: bool) {
        let headers = self.encode.headers.borrow().clone().unwrap_or_default();
        let status = self.responder.start(self, headers, end);
        self.outcome.borrow_mut().status = Some(status);
        if end {
            self.finish();
        }
    }

    fn send_data(self: &Rc<Self>, data: Vec<u8>, end: bool) {
        self.responder.data(data);
        if end {
            self.responder.finish();
            self.finish();
        }
    }

    fn send_trailers(self: &Rc<Self>) {
        let trailers = self.encode.trailers.borrow().clone().unwrap_or_default();
        self.responder.trailers(&trailers);
        self.responder.finish();
        self.finish();
    }

    /// Breaks the stream off: the client sees its connection (or its HTTP/2 stream) end without an answer.
    pub(crate) fn reset(self: &Rc<Self>, details: &str) {
        if self.ended.get() {
            return;
        }
        self.outcome.borrow_mut().details = details.to_owned();
        self.responder.reset();
        self.finish();
    }

    /// The client is gone.
    pub(crate) fn on_disconnect(self: &Rc<Self>) {
        if self.ended.get() {
            return;
        }
        let mut outcome = self.outcome.borrow_mut();
        outcome.details = "downstream_remote_disconnect".to_owned();
        outcome.flags |= FLAG_DOWNSTREAM_TERMINATION;
        drop(outcome);
        // Whoever waits for a response on behalf of the connection would keep its socket for ever.
        self.responder.reset();
        self.finish();
    }

    fn finish(self: &Rc<Self>) {
        if self.ended.replace(true) {
            return;
        }
        router::cancel(self);
        self.logging.set(true);
        for filter in &self.filters {
            filter.on_log();
        }
        self.logging.set(false);
        for filter in &self.filters {
            filter.on_destroy();
        }
        self.news.notify_one();
    }
}
