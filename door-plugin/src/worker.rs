//! The door of one root context, and the loop that does what it wants.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proxy_wasm::types;
use weir_door::config::Config;
use weir_door::{Call, Door, Effect, RESULT_HEADER, Step, Verdict};
use weir_engine::fold::FoldMap;
use weir_engine::time::Now;
use weir_engine::{Env, LogLevel, StreamId};
use weir_hostcalls::{self as host, Half, Pool, Queue, Shared};

use crate::meter::Meter;

/// One root context's door with what it needs of the host. Shared with the streams of that root.
pub(crate) struct Worker {
    root: u32,
    queue: Option<Queue>,
    config: Rc<Config>,
    /// Unix time less monotonic time, milliseconds, as of the root's last turn: a hostcall less per question.
    unix_ahead_ms: Cell<i64>,
    state: RefCell<State>,
}

struct State {
    door: Door,
    random: Pool,
    meter: Meter,
    /// The host's numbers of the calls in flight.
    calls: FoldMap<u32, Call>,
}

impl Worker {
    pub(crate) fn new(root: u32, queue: Option<Queue>, config: Rc<Config>) -> Self {
        let mut random = Pool::default();
        let now = host::now();
        let mut env = Env {
            now,
            shared: &Shared,
            random: &mut random,
        };
        let door = Door::new(config.clone(), &mut env);
        Self {
            root,
            queue,
            config,
            unix_ahead_ms: Cell::new(ahead_ms(now)),
            state: RefCell::new(State {
                door,
                random,
                meter: Meter::default(),
                calls: FoldMap::default(),
            }),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state
            .try_borrow()
            .is_ok_and(|state| state.door.is_idle() && state.meter.is_told())
    }

    /// Asks the door, from a stream. It wants nothing but counts, lines and wake-ups then.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&mut Door, &mut Env<'_>) -> T) -> Option<T> {
        let mono_ms = host::mono_ms();
        let now = Now {
            unix_ms: mono_ms.saturating_add_signed(self.unix_ahead_ms.get()),
            mono_ms,
        };
        self.at(now, ask)
    }

    /// The same from the root, which also reads both clocks, and tells the host what was counted.
    pub(crate) fn turn(&self, act: impl FnOnce(&mut Door, &mut Env<'_>)) {
        let now = host::now();
        self.unix_ahead_ms.set(ahead_ms(now));
        self.at(now, act);
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.meter.flush(&self.config);
        }
    }

    fn at<T>(&self, now: Now, act: impl FnOnce(&mut Door, &mut Env<'_>) -> T) -> Option<T> {
        // Hostcalls never call back into the module, so nobody else can hold this.
        let mut state = self.state.try_borrow_mut().ok()?;
        let State {
            door,
            random,
            meter,
            calls,
        } = &mut *state;
        let mut env = Env {
            now,
            shared: &Shared,
            random,
        };
        let answer = act(door, &mut env);
        self.perform(door, meter, calls, &mut env);
        Some(answer)
    }

    fn perform(
        &self,
        door: &mut Door,
        meter: &mut Meter,
        calls: &mut FoldMap<u32, Call>,
        env: &mut Env<'_>,
    ) {
        while let Some(effect) = door.poll() {
            match effect {
                // A stream that is gone has no context any more: nothing to do.
                Effect::Release { stream, step } => self.within(stream, || {
                    if do_step(&step) {
                        host::go_on(Half::Request);
                    }
                }),
                Effect::Pass { stream } => self.within(stream, || host::go_on(Half::Response)),
                Effect::Replace {
                    stream,
                    status,
                    body,
                    verdict,
                } => self.within(stream, || {
                    replace(status, &body);
                    say(verdict);
                    host::go_on(Half::Response);
                }),
                Effect::Call { call, request } => {
                    let mut headers = vec![
                        (":method", request.method.as_str()),
                        (":path", &request.path),
                        (":authority", &request.authority),
                    ];
                    if let Some(kind) = &request.content_type {
                        headers.push(("content-type", kind));
                    }
                    let (cluster, body) = (&request.cluster, &request.body);
                    match host::call(cluster, &headers, body, request.timeout_ms) {
                        Some(number) => {
                            calls.insert(number, call);
                        }
                        None => door.on_call_done(call, &weir_engine::CallOutcome::Refused, env),
                    }
                }
                Effect::Wake => {
                    if let Some(queue) = self.queue {
                        queue.wake();
                    }
                }
                Effect::Count(metric, by) => meter.count(metric, by),
                Effect::Log { level, line } => {
                    let level = match level {
                        LogLevel::Info => types::LogLevel::Info,
                        LogLevel::Warn => types::LogLevel::Warn,
                        LogLevel::Error => types::LogLevel::Error,
                    };
                    host::log(level, &line);
                }
            }
        }
    }

    fn within(&self, stream: StreamId, act: impl FnOnce()) {
        host::within(stream.0, self.root, act);
    }

    /// The door's name for the call with this number; the number is forgotten.
    pub(crate) fn call_done(&self, number: u32) -> Option<Call> {
        self.state.try_borrow_mut().ok()?.calls.remove(&number)
    }

    /// Takes all wake-ups out of the queue: one call of the root serves them all.
    pub(crate) fn clear_wakes(&self) {
        let Some(queue) = self.queue else { return };
        // More than any worker leaves behind; a bound all the same.
        for _ in 0..10_000 {
            if !queue.take() {
                break;
            }
        }
    }
}

fn ahead_ms(now: Now) -> i64 {
    // Both are milliseconds since some origin of our age: the difference fits.
    now.unix_ms
        .cast_signed()
        .wrapping_sub(now.mono_ms.cast_signed())
}

/// Does a step of the stream that is effective now. `true`: it goes on to WeChat.
pub(crate) fn do_step(step: &Step) -> bool {
    match step {
        Step::Respond(response) => {
            host::respond(response);
            false
        }
        Step::Forward { path } => {
            // What says who the caller is stays here, and an answer that is to be read comes as it is. The account's name
            // is no secret: that it may not be there is no fault.
            let hidden = host::remove_request_header("authorization")
                && host::set_request_header("accept-encoding", "identity")
                && host::set_request_header(":path", path);
            let _ = host::remove_request_header("x-weir-account");
            if !hidden {
                host::respond(&weir_engine::Response::empty(503));
            }
            hidden
        }
        Step::Hold => false,
    }
}

/// Says what became of a message.
pub(crate) fn say(verdict: Option<Verdict>) {
    if let Some(verdict) = verdict {
        // The answer says it, too.
        let _ = host::set_response_header(RESULT_HEADER, &verdict.header());
    }
}

/// Puts another answer in the place of the one that is held.
fn replace(status: u16, body: &[u8]) {
    let length = body.len().to_string();
    let done = host::replace_response_body(body)
        && host::set_response_header("content-length", &length)
        && host::set_response_header(":status", &status.to_string());
    if !done {
        // The old one passes: it says that the token was refused, which is true of the first try.
        host::log(
            types::LogLevel::Error,
            "weir: this host lets no answer be replaced",
        );
    }
}
