//! Requests on their way between WeChat and the gateway.

use weir_engine::{Input, Method, StreamId};

use super::{Event, Scope, World};
use crate::faults::Fault;
use crate::plan::{ATTEMPTS, BEGIN_UNIX_MS, PATIENCE_MS};
use crate::timeline::Note;
use crate::wechat::{self, Fate, Request};

impl World<'_> {
    pub(super) fn send(&mut self, push: usize) {
        if self.pushes[push].fate != Fate::Open {
            return;
        }
        self.pushes[push].attempts += 1;
        let attempt = self.pushes[push].attempts;
        let request = self.request(push, false);
        self.pushes[push].current = Some(request);
        let Request { node, worker, .. } = self.requests[request];
        self.note(Note::Attempt {
            push,
            attempt,
            request,
            node: node as u8,
            worker: worker as u8,
        });
        self.travel(request);
        if self.faults.has(Fault::Copies) && self.net.chance(400) {
            for _ in 0..self.net.between(1, 2) {
                let request = self.request(push, true);
                let Request { node, worker, .. } = self.requests[request];
                self.note(Note::Copy {
                    push,
                    request,
                    node: node as u8,
                    worker: worker as u8,
                });
                self.travel(request);
            }
        }
    }

    pub(super) fn request(&mut self, push: usize, copy: bool) -> usize {
        let node = self.net.index(self.nodes.len());
        let worker = self.net.index(self.nodes[node].workers.len());
        self.requests.push(Request {
            push,
            copy,
            node,
            worker,
            sent_ms: self.now(),
            closed: false,
            end_is_told: true,
            engine: None,
            arrived_ms: 0,
            complete_ms: 0,
            found_busy: false,
            status: None,
        });
        self.requests.len() - 1
    }

    /// A request sets out.
    pub(super) fn travel(&mut self, request: usize) {
        let mut delay_ms = self.net.between(1, 15);
        if self.faults.has(Fault::Reordering) && self.net.chance(400) {
            delay_ms = self.net.between(20, 7_000);
        }
        if self.faults.has(Fault::LostEnds) && self.net.chance(500) {
            self.requests[request].end_is_told = false;
        }
        self.queue.after(PATIENCE_MS, Event::Close(request));
        if self.faults.has(Fault::LostConnections) && self.net.chance(400) {
            if self.net.chance(400) {
                self.note(Note::Lost { request });
                if self.net.chance(500) {
                    let ms = self.net.below(PATIENCE_MS);
                    self.queue.after(ms, Event::Close(request));
                }
                return;
            }
            let ms = self.net.below(PATIENCE_MS);
            self.queue.after(ms, Event::Close(request));
        }
        self.queue.after(delay_ms, Event::Arrive(request));
    }

    pub(super) fn arrive(&mut self, request: usize) {
        let Request { node, worker, .. } = self.requests[request];
        let serves = self.nodes[node].workers[worker].serves;
        let Some(engine) = serves.filter(|_| self.nodes[node].up) else {
            self.note(Note::NobodyHome { request });
            let ms = self.net.between(1, 15);
            self.queue.after(ms, Event::Close(request));
            return;
        };
        if self.stalls(engine, || Event::Arrive(request)) {
            return;
        }
        let at = self.engines[engine].name;
        self.note(Note::Arrived { request, at });
        let push = self.requests[request].push;
        let unix_s = (BEGIN_UNIX_MS + self.requests[request].sent_ms) / 1_000;
        let plan = self.plan;
        let (query, body) = wechat::sealed(
            &plan.pushes[push].body,
            plan.encrypted,
            unix_s,
            &mut self.net,
        );
        // The headers came a little earlier than the end of the body.
        let headers_ms = self.now().saturating_sub(self.net.below(10));
        self.requests[request].engine = Some(engine);
        self.requests[request].arrived_ms = headers_ms;
        self.requests[request].complete_ms = self.now();
        self.requests[request].found_busy =
            (self.engines[engine].calls).contains_key(&weir_engine::Call::Store);
        self.engines[engine].held.insert(request);
        let life = self.nodes[node].life;
        let home = self.pushes[push].homes.entry((node, life)).or_default();
        home.seen += 1;
        home.handled_by.push(engine);
        let route = plan.config.route("/").expect("the account's path");
        let input = Input::Request {
            stream: StreamId(request as u32),
            request: weir_engine::Request {
                account: route.account,
                authorizer: None,
                method: Method::Post,
                query: &query,
                body: &body,
                arrived_mono_ms: self.nodes[node].origin_ms + headers_ms,
            },
        };
        self.input(engine, Scope::Stream(request), input);
        // One whose clock is too far off has not read it.
        if self.requests[request].status != Some(403)
            && let Some(home) = self.pushes[push].homes.get_mut(&(node, life))
        {
            home.last = Some((engine, self.queue.now_ms()));
        }
        if self.requests[request].closed {
            // WeChat gave up while the request was on its way.
            self.tell_end(request);
        }
    }

    pub(super) fn hear(&mut self, request: usize) {
        let Request {
            push,
            sent_ms,
            closed,
            status,
            ..
        } = self.requests[request];
        let Some(status) = status else { return };
        let counts = !closed && self.now() < sent_ms + PATIENCE_MS;
        self.note(Note::Heard {
            request,
            status,
            counts,
        });
        if !counts {
            return;
        }
        if status == 200 && self.pushes[push].fate == Fate::Open {
            self.pushes[push].fate = Fate::Heard;
        }
        self.close(request);
    }

    pub(super) fn close(&mut self, request: usize) {
        if self.requests[request].closed {
            return;
        }
        self.requests[request].closed = true;
        if self.requests[request].status.is_none() {
            self.note(Note::Cut { request });
        }
        self.tell_end(request);
        let Request { push, copy, .. } = self.requests[request];
        if copy || self.pushes[push].fate != Fate::Open {
            return;
        }
        if self.pushes[push].attempts >= ATTEMPTS {
            self.pushes[push].fate = Fate::GaveUp;
            self.note(Note::GaveUp { push });
            return;
        }
        let ms = if self.net.chance(700) {
            self.net.below(50)
        } else {
            self.net.below(PATIENCE_MS)
        };
        self.queue.after(ms, Event::Send(push));
    }

    /// The gateway is told, perhaps, that a stream is over.
    pub(super) fn tell_end(&mut self, request: usize) {
        if self.requests[request].engine.is_some() && self.requests[request].end_is_told {
            let ms = self.net.between(0, 20);
            self.queue.after(ms, Event::Gone(request));
        }
    }

    pub(super) fn gone(&mut self, request: usize) {
        let Some(engine) = self.requests[request].engine else {
            return;
        };
        if self.stalls(engine, || Event::Gone(request)) {
            return;
        }
        let at = self.engines[engine].name;
        if self.engines[engine].held.remove(&request) {
            self.engines[engine].ended += 1;
            self.note(Note::Gone { request, at });
        }
        // A host says so of streams too that were answered from the root.
        let stream = StreamId(request as u32);
        self.input(engine, Scope::Stream(request), Input::Gone { stream });
    }
}
