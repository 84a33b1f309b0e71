//! One HTTP request: collects it, hands it to the engine whole, and holds it until it is answered.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use weir_engine::config::AccountId;
use weir_engine::{Input, Method, Request, StreamId};

use crate::host;
use crate::worker::{Scope, Worker};

pub(crate) struct Stream {
    id: StreamId,
    worker: Rc<Worker>,
    state: State,
}

enum State {
    /// Nothing is known yet.
    New,
    /// Not a push URL: everything passes.
    Passing,
    /// A push URL; the body is on its way.
    Collecting(Head),
    /// The engine has it and has not answered.
    Held,
    /// Answered; what still comes is ignored.
    Answered,
}

struct Head {
    account: AccountId,
    method: Method,
    /// What follows the `?`.
    query: String,
    arrived_mono_ms: u64,
}

impl Stream {
    pub(crate) fn new(id: u32, worker: Rc<Worker>) -> Self {
        Self {
            id: StreamId(id),
            worker,
            state: State::New,
        }
    }

    /// The request is complete, or larger than it may be: `body_size` bytes of it are there.
    fn complete(&mut self, body_size: usize) -> Action {
        let State::Collecting(head) = std::mem::replace(&mut self.state, State::Held) else {
            return Action::Pause;
        };
        // One byte more than allowed is enough for the engine to refuse it.
        let body = host::request_body(body_size.min(self.max_body() + 1));
        let request = Request {
            account: head.account,
            method: head.method,
            query: &head.query,
            body: &body,
            arrived_mono_ms: head.arrived_mono_ms,
        };
        let input = Input::Request {
            stream: self.id,
            request,
        };
        if self.worker.handle(Scope::Stream(self.id), input) {
            self.state = State::Answered;
        }
        Action::Pause
    }

    fn max_body(&self) -> usize {
        self.worker.config().limits.max_body_bytes
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        let target = host::request_header(":path").and_then(|path| String::from_utf8(path).ok());
        let target = target.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let Some(account) = self.worker.config().route(path) else {
            self.state = State::Passing;
            return Action::Continue;
        };
        // What has a body is a push, whatever it calls itself: the signature decides, and the name costs a hostcall.
        let method = if end_of_stream {
            bodiless_method()
        } else {
            Method::Post
        };
        let query = query.to_owned();
        let arrived_mono_ms = host::mono_ms();
        self.state = State::Collecting(Head {
            account,
            method,
            query,
            arrived_mono_ms,
        });
        if end_of_stream {
            self.complete(0)
        } else {
            Action::Pause
        }
    }

    fn on_http_request_body(&mut self, body_size: usize, end_of_stream: bool) -> Action {
        match self.state {
            State::New | State::Passing => Action::Continue,
            State::Collecting(_) if end_of_stream || body_size > self.max_body() => {
                self.complete(body_size)
            }
            State::Collecting(_) | State::Held | State::Answered => Action::Pause,
        }
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        match self.state {
            State::New | State::Passing => Action::Continue,
            // With trailers the body never says that it ends.
            _ => self.complete(usize::MAX - 1),
        }
    }
}

fn bodiless_method() -> Method {
    match host::request_header(":method").as_deref() {
        Some(b"GET") => Method::Get,
        Some(b"POST") => Method::Post,
        _ => Method::Other,
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if matches!(self.state, State::Held) {
            self.worker
                .handle(Scope::Stream(self.id), Input::Gone { stream: self.id });
        }
    }
}
