//! One HTTP request and its answer.

use proxy_wasm::types::Action;
use weir_door::{Head, HeldAnswer, Passing, Step};
use weir_engine::{Response, StreamId};
use weir_hostcalls as host;

use crate::filter::{DoorFilter, do_step, say};

type Worker = weir_adapter::Worker<DoorFilter>;

/// Where a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is known yet.
    New,
    /// The body is on its way, and so much of it is wanted.
    Body(usize),
    /// The door has it.
    Held,
    /// WeChat has it; its answer will be looked at.
    Forwarded,
    /// There is nothing to look at any more.
    Over,
}

pub(crate) struct Stream {
    id: StreamId,
    state: State,
    /// Its answer is held back, and the door is to know when nobody waits for it any more.
    waits: bool,
}

impl weir_adapter::Stream<DoorFilter> for Stream {
    fn new(id: StreamId) -> Self {
        Self {
            id,
            state: State::New,
            waits: false,
        }
    }

    fn headers(&mut self, worker: &Worker, ends: bool) -> Action {
        let Ok(headers) = host::RequestHeaders::read() else {
            return self.refuse(400);
        };
        let text = |name| headers.text(name);
        let read = || {
            Ok((
                text(":method")?,
                text(":path")?,
                text("authorization")?,
                text("x-weir-account")?,
                text("content-type")?,
                text("content-length")?,
            ))
        };
        // What cannot be read is nothing that may pass.
        let Ok::<_, host::Unreadable>(read) = read() else {
            return self.refuse(400);
        };
        let (method, target, authorization, account, content_type, length) = read;
        let certificate = (worker.config().asks_for_certificates())
            .then(|| host::property(&["connection", "uri_san_peer_certificate"]))
            .flatten()
            .and_then(|uri| String::from_utf8(uri).ok());
        let head = Head {
            method: method.unwrap_or_default(),
            target: target.unwrap_or_default(),
            authorization,
            account,
            content_type,
            content_length: length.and_then(|length| length.parse().ok()),
            certificate: certificate.as_deref(),
            ends,
        };
        let stream = self.id;
        worker.look();
        let step = worker.ask(stream, |filter, env| {
            let step = filter.0.on_request(stream, &head, env);
            (step, filter.0.wants(stream))
        });
        match step {
            Some((Step::Hold, Some(most))) => {
                self.state = State::Body(most);
                Action::Pause
            }
            Some((step, _)) => self.take(&step),
            None => self.refuse(503),
        }
    }

    fn body(&mut self, worker: &Worker, size: usize, ends: bool) -> Action {
        match self.state {
            State::Body(most) if size > most => self.complete(worker, None),
            State::Body(_) if ends => match host::request_body(size) {
                Ok(body) => self.complete(worker, Some(body)),
                Err(_) => self.refuse(503),
            },
            State::Body(_) | State::Held => Action::Pause,
            State::New | State::Forwarded | State::Over => Action::Continue,
        }
    }

    fn trailers(&mut self, worker: &Worker) -> Action {
        match self.state {
            State::Body(most) => match host::request_body(most + 1) {
                Ok(body) => self.complete(worker, Some(body).filter(|body| body.len() <= most)),
                Err(_) => self.refuse(503),
            },
            State::Held => Action::Pause,
            State::New | State::Forwarded | State::Over => Action::Continue,
        }
    }

    fn answer_headers(&mut self, worker: &Worker, ends: bool) -> Action {
        // One that was held has been let go by the root.
        if !matches!(self.state, State::Forwarded | State::Held) {
            return Action::Continue;
        }
        if !ends {
            self.state = State::Forwarded;
            return Action::Pause;
        }
        self.state = State::Over;
        let stream = self.id;
        worker.ask(stream, |filter, env| filter.0.on_empty_answer(stream, env));
        Action::Continue
    }

    fn answer_body(&mut self, worker: &Worker, size: usize, ends: bool) -> Action {
        if self.state != State::Forwarded {
            return Action::Continue;
        }
        let stream = self.id;
        let passing = worker.ask(stream, |filter, env| {
            filter.0.on_answer(stream, size, ends, HeldByHost, env)
        });
        match passing {
            Some(Passing::More) => Action::Pause,
            Some(Passing::Hold) => {
                self.state = State::Over;
                self.waits = true;
                Action::Pause
            }
            Some(Passing::Sent(verdict)) => {
                self.state = State::Over;
                say(Some(verdict));
                Action::Continue
            }
            Some(Passing::On) | None => {
                self.state = State::Over;
                Action::Continue
            }
        }
    }

    fn done(self, worker: &Worker) {
        let stream = self.id;
        if !matches!(self.state, State::New | State::Over) || self.waits {
            worker.ask(stream, |filter, env| filter.0.on_gone(stream, env));
        }
    }
}

/// The answer whose stream is effective now.
struct HeldByHost;

impl HeldAnswer for HeldByHost {
    fn status(&self) -> u16 {
        let status =
            host::response_header(":status").and_then(|status| String::from_utf8(status).ok());
        status.and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    fn body(&self, size: usize) -> Vec<u8> {
        host::response_body(size)
    }
}

impl Stream {
    fn complete(&mut self, worker: &Worker, body: Option<Vec<u8>>) -> Action {
        let stream = self.id;
        match worker.ask(stream, |filter, env| filter.0.on_body(stream, body, env)) {
            Some(step) => self.take(&step),
            None => self.refuse(503),
        }
    }

    fn take(&mut self, step: &Step) -> Action {
        self.state = match step {
            Step::Hold => State::Held,
            Step::Respond(_) | Step::Refuse { .. } => State::Over,
            Step::Forward { .. } => State::Forwarded,
        };
        if do_step(step) {
            Action::Continue
        } else {
            Action::Pause
        }
    }

    fn refuse(&mut self, status: u16) -> Action {
        self.state = State::Over;
        host::respond(&Response::empty(status));
        Action::Pause
    }
}
