//! One request: its engine, and the loop that drives it.
//!
//! ```text
//! request ─▶ engine ─▶ calls ─┐        until the engine has nothing left ─▶ kept for the instance's next request
//!               ▲             │
//!               └─ poll ◀─────┘        or LINGER_MS after the answer ─────▶ HandOver: what is left is for the next one
//! ```

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wasip2::http::types::{IncomingRequest, ResponseOutparam};
use wasip2::io::poll::{Pollable, poll};
use weir_engine::config::Config;
use weir_engine::{
    Call, CallOutcome, Effect, Engine, Env, Input, LogLevel, Request, Response, StreamId,
};

use crate::call::{Outcome, Outgoing};
use crate::clock::{Chance, Clock, Turns};
use crate::incoming;
use crate::setup;
use crate::state::{Meter, Shared};

/// How long an engine may go on after the answer. Then the rest is for the next one.
const LINGER_MS: u64 = 10_000;
/// The only stream that an engine has at a time.
const STREAM: StreamId = StreamId(1);

thread_local! {
    /// Whether this instance has served a request: then its host uses instances again, and it is worth keeping what it made.
    static USED: Cell<bool> = const { Cell::new(false) };
    /// What the last request left.
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// An engine with nothing to do. Its host may drop it at any time, or let it wait for hours.
struct Kept {
    engine: Engine,
    turns: Turns,
    left_mono_ms: u64,
}

/// Serves one request, and does what follows from it.
pub(crate) fn serve(request: &IncomingRequest, answer: ResponseOutparam) {
    let Some(config) = setup::config() else {
        return incoming::respond(answer, &Response::empty(503));
    };
    let target = request.path_with_query().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let Some(route) = config.route(path) else {
        return incoming::respond(answer, &Response::empty(404));
    };
    let mut clock = Clock::start();
    let limits = &config.limits;
    let body = incoming::body(request, limits.max_body_bytes, limits.reply_deadline_ms);
    let Some((body, waited)) = body else {
        return incoming::respond(answer, &Response::empty(503));
    };
    if waited {
        clock.look();
    }
    let request = Request {
        account: route.account,
        authorizer: route.authorizer,
        method: incoming::method(request),
        query,
        body: &body,
        arrived_mono_ms: clock.began_ms,
    };
    let mut drive = Drive::new(config.clone(), clock, answer, KEPT.take());
    drive.handle(Input::Request {
        stream: STREAM,
        request,
    });
    drive.run();
    USED.set(true);
}

struct Drive {
    engine: Engine,
    config: Rc<Config>,
    clock: Clock,
    turns: Turns,
    /// There was a turn since the request came: what it has shown may have changed.
    turned: bool,
    meter: Meter,
    calls: Vec<InFlight>,
    /// Until the request is answered.
    answer: Option<ResponseOutparam>,
    woken: bool,
}

struct InFlight {
    call: Call,
    outgoing: Outgoing,
    ends_mono_ms: u64,
}

impl Drive {
    fn new(config: Rc<Config>, clock: Clock, answer: ResponseOutparam, kept: Option<Kept>) -> Self {
        let mut env = Env {
            now: clock.now(),
            shared: &Shared,
            random: &mut Chance,
        };
        let (engine, turns) = match kept {
            Some(kept) if kept.left_mono_ms <= clock.began_ms => (kept.engine, kept.turns),
            kept => {
                // The system's clock was set back; an engine's does not go there.
                if let Some(mut kept) = kept {
                    kept.engine.handle(Input::HandOver, &mut env);
                }
                (Engine::new(config.clone(), &mut env), Turns::default())
            }
        };
        Self {
            engine,
            config,
            clock,
            turns,
            turned: false,
            meter: Meter::default(),
            calls: Vec::new(),
            answer: Some(answer),
            woken: false,
        }
    }

    /// Until there is nothing left to do, or no time.
    fn run(mut self) {
        let mut answered_mono_ms = None;
        let now_ms = loop {
            while std::mem::take(&mut self.woken) {
                self.handle(Input::Woken);
            }
            if self.answer.is_none() {
                let now_ms = self.clock.now_ms;
                let since_ms = *answered_mono_ms.get_or_insert_with(|| {
                    // The root's turn comes by itself only where something is waited for.
                    if self.turned || !self.is_done() || self.turns.are_due(now_ms) {
                        self.turn(now_ms);
                    }
                    now_ms
                });
                if now_ms >= since_ms + LINGER_MS || self.is_done() {
                    break now_ms;
                }
            }
            self.wait();
        };
        if self.is_done() && USED.get() {
            KEPT.set(Some(Kept {
                engine: self.engine,
                turns: self.turns,
                left_mono_ms: now_ms,
            }));
        } else {
            self.handle(Input::HandOver);
        }
        self.meter.tell();
    }

    fn is_done(&self) -> bool {
        self.calls.is_empty() && !self.woken && self.engine.is_idle()
    }

    fn turn(&mut self, now_ms: u64) {
        self.turned = true;
        self.turns.last_mono_ms = now_ms;
        self.handle(Input::Tick);
    }

    /// Waits for the calls, or for the root's turn.
    fn wait(&mut self) {
        if self.woken {
            return;
        }
        let ready = self.ready();
        self.clock.look();
        let now_ms = self.clock.now_ms;
        let calls = std::mem::take(&mut self.calls);
        let turn = calls.len();
        for (number, in_flight) in calls.into_iter().enumerate() {
            if ready.contains(&number) {
                let InFlight { call, outgoing, .. } = in_flight;
                match outgoing.advance() {
                    Ok(outgoing) => self.calls.push(InFlight {
                        call,
                        outgoing,
                        ..in_flight
                    }),
                    Err(outcome) => self.done(call, &outcome),
                }
            } else if now_ms >= in_flight.ends_mono_ms {
                self.done(in_flight.call, &Outcome::TOO_LATE);
            } else {
                self.calls.push(in_flight);
            }
        }
        if ready.contains(&turn) {
            self.turns.came();
            self.turn(now_ms);
            self.meter.tell();
        }
    }

    /// Which calls can go on, by their places; the place after the last one is the root's turn.
    fn ready(&mut self) -> Vec<usize> {
        let turn = self.turns.next();
        let pollables: Vec<_> = (self.calls.iter())
            .map(|call| call.outgoing.ready())
            .collect();
        let all: Vec<&Pollable> = pollables.iter().chain([turn]).collect();
        let ready = poll(&all);
        ready.into_iter().map(|place| place as usize).collect()
    }

    fn done(&mut self, call: Call, outcome: &Outcome) {
        let outcome = outcome.told();
        self.handle(Input::CallDone { call, outcome });
    }

    /// The engine's one loop: an input in, all effects out.
    fn handle(&mut self, input: Input<'_>) {
        let mut env = Env {
            now: self.clock.now(),
            shared: &Shared,
            random: &mut Chance,
        };
        self.engine.handle(input, &mut env);
        while let Some(effect) = self.engine.poll() {
            match effect {
                Effect::Respond { response, .. } => {
                    if let Some(answer) = self.answer.take() {
                        incoming::respond(answer, &response);
                    }
                }
                Effect::Call { call, request } => {
                    let ends_mono_ms = env.now.mono_ms + u64::from(request.timeout_ms);
                    match Outgoing::start(request).map(Outgoing::advance) {
                        Some(Ok(outgoing)) => self.calls.push(InFlight {
                            call,
                            outgoing,
                            ends_mono_ms,
                        }),
                        ended => {
                            let ended = ended.and_then(Result::err);
                            let outcome =
                                (ended.as_ref()).map_or(CallOutcome::Refused, Outcome::told);
                            self.engine
                                .handle(Input::CallDone { call, outcome }, &mut env);
                        }
                    }
                }
                Effect::Wake => self.woken = true,
                // The other one looks at its next tick.
                Effect::WakeOther(_) => {}
                Effect::Count(metric) => self.meter.count(metric, &self.config),
                Effect::Log { level, line } => {
                    let level = match level {
                        LogLevel::Info => "info",
                        LogLevel::Warn => "warn",
                        LogLevel::Error => "error",
                    };
                    eprintln!("{level}: {line}");
                }
            }
        }
    }
}
