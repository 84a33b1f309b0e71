//! The engine of one root context, and the loop that drives it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proxy_wasm::types;
use weir_engine::config::Config;
use weir_engine::fold::FoldMap;
use weir_engine::owners::Mailbox;
use weir_engine::time::Now;
use weir_engine::{Call, CallOutcome, Effect, Engine, Env, Input, LogLevel, StreamId};

use crate::meter::Meter;
use weir_hostcalls::{self as host, Pool, Queue, Shared};

/// One root context's engine with what it needs of the host. Shared with the streams of that root.
pub(crate) struct Worker {
    root: u32,
    queue: Option<Queue>,
    config: Rc<Config>,
    /// Unix time less monotonic time, milliseconds, as of the root's last turn.
    unix_ahead_ms: Cell<i64>,
    state: RefCell<State>,
}

struct State {
    engine: Engine,
    random: Pool,
    meter: Meter,
    /// The host's numbers of the calls in flight.
    calls: FoldMap<u32, Call>,
}

/// On whose behalf the host has called us, and so what we may ask it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The root context: everything.
    Root,
    /// A stream: its own response, metrics, wake-ups.
    Stream(StreamId),
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
        let mailbox = queue.map(|queue| Mailbox(queue.number()));
        let engine = Engine::new(config.clone(), &mut env).with_mailbox(mailbox);
        let state = State {
            engine,
            random,
            meter: Meter::default(),
            calls: FoldMap::default(),
        };
        Self {
            root,
            queue,
            config,
            unix_ahead_ms: Cell::new(ahead_ms(now)),
            state: RefCell::new(state),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state
            .try_borrow()
            .is_ok_and(|state| state.engine.is_idle() && state.meter.is_told())
    }

    /// The engine's one loop: an input in, all effects out. Returns whether the stream of `scope` was answered.
    pub(crate) fn handle(&self, scope: Scope, input: Input<'_>) -> bool {
        // Hostcalls never call back into the module, so nobody else can hold this.
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return false;
        };
        let State {
            engine,
            random,
            meter,
            calls,
        } = &mut *state;
        let mut env = Env {
            now: self.now(scope),
            shared: &Shared,
            random,
        };
        engine.handle(input, &mut env);
        let mut answered = false;
        while let Some(effect) = engine.poll() {
            match effect {
                Effect::Respond { stream, response } if scope == Scope::Stream(stream) => {
                    answered = true;
                    host::respond(&response);
                }
                Effect::Respond { stream, response } => {
                    // A stream that is gone has no context any more: nothing to do.
                    host::within(stream.0, self.root, || host::respond(&response));
                }
                Effect::Call { call, request } => match host::start_call(&request) {
                    Some(number) => {
                        calls.insert(number, call);
                    }
                    None => {
                        let outcome = CallOutcome::Refused;
                        engine.handle(Input::CallDone { call, outcome }, &mut env);
                    }
                },
                Effect::Wake => {
                    if let Some(queue) = self.queue {
                        queue.wake();
                    }
                }
                Effect::WakeOther(Mailbox(number)) => Queue::numbered(number).wake(),
                Effect::Count(metric) => meter.count(metric, &self.config),
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
        // The root is called at every tick at the latest.
        if scope == Scope::Root {
            meter.flush();
        }
        answered
    }

    /// The root reads both clocks; a stream reads one and takes the other from the root's last turn, a tick ago at
    /// most: a hostcall less per push.
    fn now(&self, scope: Scope) -> Now {
        if scope == Scope::Root {
            let now = host::now();
            self.unix_ahead_ms.set(ahead_ms(now));
            return now;
        }
        let mono_ms = host::mono_ms();
        Now {
            unix_ms: mono_ms.saturating_add_signed(self.unix_ahead_ms.get()),
            mono_ms,
        }
    }

    /// The engine's name for the call with this number; the number is forgotten.
    pub(crate) fn call_done(&self, number: u32) -> Option<Call> {
        self.state.try_borrow_mut().ok()?.calls.remove(&number)
    }

    /// Does what is due, and tells the host what was counted. Only on the root's behalf.
    pub(crate) fn tell(&self) {
        self.handle(Scope::Root, Input::Woken);
    }

    /// Leaves what is left to the other workers; what they cannot go on with is counted as lost.
    pub(crate) fn hand_over(&self) {
        self.handle(Scope::Root, Input::HandOver);
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
