//! One HTTP request: collects it, hands it to the engine whole, and holds it until it is answered.

use proxy_wasm::types::Action;
use weir_engine::config::AccountId;
use weir_engine::{Input, Method, Request, Response, StreamId};

use crate::worker::{Scope, Worker};
use weir_hostcalls as host;

pub(crate) struct Stream {
    id: StreamId,
    state: State,
}

enum State {
    /// Nothing is known yet.
    New,
    /// A push URL; the body is on its way.
    Collecting(Head),
    /// The engine has it and has not answered.
    Held,
    /// Answered; what still comes is ignored.
    Answered,
}

struct Head {
    account: AccountId,
    /// The appid in the path of a third-party platform.
    authorizer: Option<String>,
    method: Method,
    /// What follows the `?`.
    query: String,
    arrived_mono_ms: u64,
}

impl Stream {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id: StreamId(id),
            state: State::New,
        }
    }

    /// The request's headers are there. `None`: not a push URL, everything passes.
    pub(crate) fn headers(&mut self, worker: &Worker, end_of_stream: bool) -> Option<Action> {
        let Ok(target) = host::request_header(":path") else {
            // It may be a push: nobody else is to have it.
            return Some(self.come_again());
        };
        let target = target.and_then(|path| String::from_utf8(path).ok());
        let target = target.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        #[cfg(all(feature = "trap", target_arch = "wasm32"))]
        if path == "/weir-test/trap" {
            core::arch::wasm32::unreachable();
        }
        let route = worker.config().route(path)?;
        // What has a body is a push, whatever it calls itself: the signature decides, and the name costs a hostcall.
        let method = if end_of_stream {
            bodiless_method()
        } else {
            Method::Post
        };
        self.state = State::Collecting(Head {
            account: route.account,
            authorizer: route.authorizer.map(str::to_owned),
            method,
            query: query.to_owned(),
            arrived_mono_ms: host::mono_ms(),
        });
        if end_of_stream {
            self.complete(worker, 0);
        }
        Some(Action::Pause)
    }

    /// So much of the body is there.
    pub(crate) fn body(&mut self, worker: &Worker, size: usize, end_of_stream: bool) {
        if end_of_stream || size > max_body(worker) {
            self.complete(worker, size);
        }
    }

    /// With trailers the body never says that it ends.
    pub(crate) fn trailers(&mut self, worker: &Worker) {
        self.complete(worker, usize::MAX - 1);
    }

    /// The request is complete, or larger than it may be: `body_size` bytes of it are there.
    fn complete(&mut self, worker: &Worker, body_size: usize) {
        let head = match std::mem::replace(&mut self.state, State::Held) {
            State::Collecting(head) => head,
            // The host repeats itself.
            other => {
                self.state = other;
                return;
            }
        };
        // One byte more than allowed is enough for the engine to refuse it.
        let Ok(body) = host::request_body(body_size.min(max_body(worker) + 1)) else {
            self.come_again();
            return;
        };
        let request = Request {
            account: head.account,
            authorizer: head.authorizer.as_deref(),
            method: head.method,
            query: &head.query,
            body: &body,
            arrived_mono_ms: head.arrived_mono_ms,
        };
        let stream = self.id;
        if worker.handle(Scope::Stream(stream), Input::Request { stream, request }) {
            self.state = State::Answered;
        }
    }

    /// The host does not let us read the request: WeChat is to send it again.
    fn come_again(&mut self) -> Action {
        self.state = State::Answered;
        host::respond(&Response::empty(503));
        Action::Pause
    }

    /// The stream is over.
    pub(crate) fn done(self, worker: &Worker) {
        if matches!(self.state, State::Held) {
            let stream = self.id;
            worker.handle(Scope::Stream(stream), Input::Gone { stream });
        }
    }
}

fn max_body(worker: &Worker) -> usize {
    worker.config().limits.max_body_bytes
}

fn bodiless_method() -> Method {
    match host::request_header(":method") {
        Ok(Some(name)) if name == b"GET" => Method::Get,
        Ok(Some(name)) if name == b"POST" => Method::Post,
        _ => Method::Other,
    }
}
