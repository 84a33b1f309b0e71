//! One HTTP request.

use proxy_wasm::types::Action;
use weir_engine::{Response, StreamId};
use weir_hostcalls as host;
use weir_login::{Head, IDENTITY_HEADERS, Step};

use crate::filter::{LoginFilter, introduce, respond};

type Worker = weir_adapter::Worker<LoginFilter>;

/// Where a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing is known yet.
    New,
    /// The body is on its way, and so much of it is wanted.
    Body(usize),
    /// WeChat is being asked.
    Held,
    /// The application has it, or it is answered.
    Over,
}

pub(crate) struct Stream {
    id: StreamId,
    state: State,
    /// For the application's answer.
    set_cookie: Option<String>,
}

impl weir_adapter::Stream<LoginFilter> for Stream {
    fn new(id: StreamId) -> Self {
        Self {
            id,
            state: State::New,
            set_cookie: None,
        }
    }

    fn headers(&mut self, worker: &Worker, ends: bool) -> Action {
        let Ok(headers) = host::RequestHeaders::read() else {
            return self.refuse(400);
        };
        // First of all: nobody says of itself who it is.
        for name in IDENTITY_HEADERS {
            if headers.get(name).is_some() && !host::remove_request_header(name) {
                return self.refuse(400);
            }
        }
        let text = |name| headers.text(name);
        let read = || {
            Ok((
                text(":method")?,
                text(":path")?,
                text("authorization")?,
                text("cookie")?,
                text("accept")?,
            ))
        };
        // What cannot be read is nothing that may pass.
        let Ok::<_, host::Unreadable>(read) = read() else {
            return self.refuse(400);
        };
        let (method, target, authorization, cookie, accept) = read;
        let head = Head {
            method: method.unwrap_or_default(),
            target: target.unwrap_or_default(),
            authorization,
            cookie,
            accept,
            ends,
        };
        let stream = self.id;
        worker.look();
        let said = worker.ask(stream, |filter, env| {
            let step = filter.0.on_request(stream, &head, env);
            (step, filter.0.wants(stream))
        });
        match said {
            Some((Step::Hold, Some(most))) => {
                self.state = State::Body(most);
                Action::Pause
            }
            Some((step, _)) => self.take(step),
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
            State::New | State::Over => Action::Continue,
        }
    }

    fn trailers(&mut self, worker: &Worker) -> Action {
        match self.state {
            State::Body(most) => match host::request_body(most + 1) {
                Ok(body) => self.complete(worker, Some(body).filter(|body| body.len() <= most)),
                Err(_) => self.refuse(503),
            },
            State::Held => Action::Pause,
            State::New | State::Over => Action::Continue,
        }
    }

    fn answer_headers(&mut self, _: &Worker, _: bool) -> Action {
        if let Some(cookie) = self.set_cookie.take() {
            // Without it the guest is another one next time, and nothing worse.
            let _ = host::add_response_header("set-cookie", &cookie);
        }
        Action::Continue
    }

    fn done(self, worker: &Worker) {
        let stream = self.id;
        if matches!(self.state, State::Body(_) | State::Held) {
            worker.ask(stream, |filter, _| filter.0.on_gone(stream));
        }
    }
}

impl Stream {
    fn complete(&mut self, worker: &Worker, body: Option<Vec<u8>>) -> Action {
        let stream = self.id;
        match worker.ask(stream, |filter, env| filter.0.on_body(stream, body, env)) {
            Some(step) => self.take(step),
            None => self.refuse(503),
        }
    }

    fn take(&mut self, step: Step) -> Action {
        match step {
            Step::Hold => {
                self.state = State::Held;
                Action::Pause
            }
            Step::Respond(answer) => {
                self.state = State::Over;
                respond(&answer);
                Action::Pause
            }
            Step::Forward {
                identity,
                set_cookie,
            } => {
                self.state = State::Over;
                self.set_cookie = set_cookie;
                if introduce(identity.as_ref()) {
                    Action::Continue
                } else {
                    Action::Pause
                }
            }
        }
    }

    fn refuse(&mut self, status: u16) -> Action {
        self.state = State::Over;
        host::respond(&Response::empty(status));
        Action::Pause
    }
}
