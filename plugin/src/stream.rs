//! One HTTP request: collects it, hands it to the engine whole, and holds it until it is answered.

use proxy_wasm::types::Action;
use weir_engine::config::AccountId;
use weir_engine::{Input, Method, Request, Response, StreamId};
use weir_hostcalls as host;

use crate::filter::PushFilter;

type Worker = weir_adapter::Worker<PushFilter>;

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
    /// No push: it passes.
    Passing,
}

struct Head {
    account: AccountId,
    /// The appid in the path of a third-party platform.
    authorizer: Option<String>,
    method: Method,
    /// The path with its query.
    target: String,
    /// Where the query begins, behind the `?`.
    query_at: usize,
    arrived_mono_ms: u64,
}

impl weir_adapter::Stream<PushFilter> for Stream {
    fn new(id: StreamId) -> Self {
        Self {
            id,
            state: State::New,
        }
    }

    fn headers(&mut self, worker: &Worker, ends: bool) -> Action {
        let Ok(target) = host::request_header(":path") else {
            // It may be a push: nobody else is to have it.
            return self.come_again();
        };
        let target = target.and_then(|path| String::from_utf8(path).ok());
        let target = target.unwrap_or_default();
        let path = target.split('?').next().unwrap_or_default();
        #[cfg(all(feature = "trap", target_arch = "wasm32"))]
        if path == "/weir-test/trap" {
            core::arch::wasm32::unreachable();
        }
        let Some(route) = worker.config().route(path) else {
            self.state = State::Passing;
            return Action::Continue;
        };
        // What has a body is a push, whatever it calls itself: the signature decides, and the name costs a hostcall.
        let method = if ends {
            bodiless_method()
        } else {
            Method::Post
        };
        self.state = State::Collecting(Head {
            account: route.account,
            authorizer: route.authorizer.map(str::to_owned),
            method,
            query_at: path.len() + 1,
            target,
            arrived_mono_ms: worker.look(),
        });
        if ends {
            self.complete(worker, 0);
        }
        Action::Pause
    }

    fn body(&mut self, worker: &Worker, size: usize, ends: bool) -> Action {
        if ends || size > max_body(worker) {
            self.complete(worker, size);
        }
        self.passing()
    }

    fn trailers(&mut self, worker: &Worker) -> Action {
        self.complete(worker, usize::MAX - 1);
        self.passing()
    }

    fn done(self, worker: &Worker) {
        let stream = self.id;
        if matches!(self.state, State::Held) {
            worker.tell(stream, |filter, env| {
                filter.0.handle(Input::Gone { stream }, env);
            });
        }
    }
}

impl Stream {
    /// What becomes of the rest of it.
    fn passing(&self) -> Action {
        if matches!(self.state, State::Passing) {
            Action::Continue
        } else {
            Action::Pause
        }
    }

    /// The request is complete, or larger than it may be: `body_size` bytes of it are there.
    fn complete(&mut self, worker: &Worker, body_size: usize) {
        let head = match std::mem::replace(&mut self.state, State::Held) {
            State::Collecting(head) => head,
            // It is no push, or the host repeats itself.
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
            query: head.target.get(head.query_at..).unwrap_or_default(),
            body: &body,
            arrived_mono_ms: head.arrived_mono_ms,
        };
        let stream = self.id;
        let input = Input::Request { stream, request };
        if worker.tell(stream, |filter, env| filter.0.handle(input, env)) {
            self.state = State::Answered;
        }
    }

    /// The host does not let us read the request: WeChat is to send it again.
    fn come_again(&mut self) -> Action {
        self.state = State::Answered;
        host::respond(&Response::empty(503));
        Action::Pause
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
