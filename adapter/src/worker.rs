//! The filter of one root context, and the loop that does what it wants.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use proxy_wasm::types;
use weir_engine::fold::FoldMap;
use weir_engine::owners::Mailbox;
use weir_engine::time::Now;
use weir_engine::{CallOutcome, Env, LogLevel, StreamId};
use weir_hostcalls::{self as host, Pool, Queue, Shared};

use crate::meter::Meter;
use crate::{Effect, Filter};

/// One root context's filter with what it needs of the host. Shared with the streams of that root.
pub struct Worker<F: Filter> {
    root: u32,
    queue: Option<Queue>,
    config: Rc<F::Config>,
    /// Unix time less monotonic time, milliseconds, as of the root's last turn: a hostcall less per question.
    unix_ahead_ms: Cell<i64>,
    /// The monotonic clock when it was last looked at, by a stream or in the root's last turn.
    mono_ms: Cell<u64>,
    state: RefCell<State<F>>,
}

struct State<F: Filter> {
    filter: F,
    random: Pool,
    meter: Meter<F>,
    /// The host's numbers of the calls in flight.
    calls: FoldMap<u32, F::Call>,
}

impl<F: Filter> Worker<F> {
    pub(crate) fn new(root: u32, queue: Option<Queue>, config: Rc<F::Config>) -> Self {
        let mut random = Pool::default();
        let now = host::now();
        let mut env = Env {
            now,
            shared: &Shared,
            random: &mut random,
        };
        let mailbox = queue.map(|queue| Mailbox(queue.number()));
        let filter = F::new(config.clone(), mailbox, &mut env);
        Self {
            root,
            queue,
            config,
            unix_ahead_ms: Cell::new(ahead_ms(now)),
            mono_ms: Cell::new(now.mono_ms),
            state: RefCell::new(State {
                filter,
                random,
                meter: Meter::default(),
                calls: FoldMap::default(),
            }),
        }
    }

    /// The configuration it runs.
    #[must_use]
    pub fn config(&self) -> &F::Config {
        &self.config
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.state
            .try_borrow()
            .is_ok_and(|state| state.filter.is_idle() && state.meter.is_told())
    }

    /// Looks at the monotonic clock, milliseconds. A stream does it when its request begins. What comes later in its life is told
    /// with the time of the last look, anybody's: the root looks every 50 ms, and each look is a hostcall.
    pub fn look(&self) -> u64 {
        self.mono_ms.set(host::mono_ms());
        self.mono_ms.get()
    }

    /// Tells the filter something, from this stream. Whether it did something at the stream at once.
    pub fn tell(&self, stream: StreamId, tell: impl FnOnce(&mut F, &mut Env<'_>)) -> bool {
        let told = self.at(Some(stream), self.now(), tell);
        told.is_some_and(|((), acted)| acted)
    }

    /// Asks the filter, from this stream. `None`: it is being asked.
    pub fn ask<T>(
        &self,
        stream: StreamId,
        ask: impl FnOnce(&mut F, &mut Env<'_>) -> T,
    ) -> Option<T> {
        let (answer, _) = self.at(Some(stream), self.now(), ask)?;
        Some(answer)
    }

    /// The same from the root, which also reads both clocks, and tells the host what was counted.
    pub(crate) fn turn(&self, act: impl FnOnce(&mut F, &mut Env<'_>)) {
        let now = host::now();
        self.unix_ahead_ms.set(ahead_ms(now));
        self.mono_ms.set(now.mono_ms);
        self.at(None, now, act);
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.meter.flush();
        }
    }

    fn now(&self) -> Now {
        let mono_ms = self.mono_ms.get();
        Now {
            unix_ms: mono_ms.saturating_add_signed(self.unix_ahead_ms.get()),
            mono_ms,
        }
    }

    /// On whose behalf the host has called us: a stream's, or the root's. Also says whether something was done at that stream.
    fn at<T>(
        &self,
        stream: Option<StreamId>,
        now: Now,
        act: impl FnOnce(&mut F, &mut Env<'_>) -> T,
    ) -> Option<(T, bool)> {
        // Hostcalls never call back into the module, so nobody else can hold this.
        let mut state = self.state.try_borrow_mut().ok()?;
        let State {
            filter,
            random,
            meter,
            calls,
        } = &mut *state;
        let mut env = Env {
            now,
            shared: &Shared,
            random,
        };
        let answer = act(filter, &mut env);
        let acted = self.perform(stream, filter, meter, calls, &mut env);
        Some((answer, acted))
    }

    fn perform(
        &self,
        current: Option<StreamId>,
        filter: &mut F,
        meter: &mut Meter<F>,
        calls: &mut FoldMap<u32, F::Call>,
        env: &mut Env<'_>,
    ) -> bool {
        let mut acted = false;
        while let Some(effect) = filter.poll() {
            match effect {
                Effect::At(stream, act) if current == Some(stream) => {
                    acted = true;
                    F::act(act);
                }
                // A stream that is gone has no context any more: nothing to do.
                Effect::At(stream, act) => {
                    host::within(stream.0, self.root, || F::act(act));
                }
                Effect::Call(call, request) => match host::call(&request) {
                    Some(number) => {
                        calls.insert(number, call);
                    }
                    None => filter.on_call_done(call, &CallOutcome::Refused, env),
                },
                Effect::Wake => {
                    if let Some(queue) = self.queue {
                        queue.wake();
                    }
                }
                Effect::WakeOther(Mailbox(number)) => Queue::numbered(number).wake(),
                Effect::Count(metric, shape) => meter.count(metric, shape, &self.config),
                Effect::Log(level, line) => {
                    let level = match level {
                        LogLevel::Info => types::LogLevel::Info,
                        LogLevel::Warn => types::LogLevel::Warn,
                        LogLevel::Error => types::LogLevel::Error,
                    };
                    host::log(level, &line);
                }
            }
        }
        acted
    }

    /// The filter's name for the call with this number; the number is forgotten.
    pub(crate) fn call_done(&self, number: u32) -> Option<F::Call> {
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
