//! The root context: configuration, ticks, wake-ups, the answers of calls, and the end.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::types::LogLevel;
use weir_engine::{CallOutcome, Input, TICK_MS};

use crate::contexts;
use crate::worker::{Scope, Worker};
use weir_hostcalls::{self as host, Environment, Queue};

/// How long a replaced configuration may take to deliver what it still holds. Then the rest is for others.
const DRAIN_MS: u64 = 60_000;

thread_local! {
    /// The name of this VM's queue. One name for all its root contexts: the newest is woken, an older one that
    /// drains has its ticks, and a configuration update leaves no queue behind.
    static QUEUE_NAME: RefCell<Option<String>> = const { RefCell::new(None) };
}

pub(crate) struct Root {
    id: u32,
    worker: Option<Rc<Worker>>,
    /// Since when this root has been asked to end, on the monotonic clock.
    draining_since_ms: Option<u64>,
}

impl Root {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            worker: None,
            draining_since_ms: None,
        }
    }

    fn handle(&mut self, input: Input<'_>) {
        let Some(worker) = &self.worker else { return };
        worker.handle(Scope::Root, input);
        if let Some(since_ms) = self.draining_since_ms {
            let late = host::mono_ms().saturating_sub(since_ms) > DRAIN_MS;
            if late || worker.is_idle() {
                worker.hand_over();
                // Not heard, it is said again at the next turn.
                if host::done() {
                    self.draining_since_ms = None;
                    contexts::end(self.id);
                }
            }
        }
    }
}

impl Root {
    /// The answer of a call: so many headers, none if there was no answer, and so much of a body.
    pub(crate) fn on_call_done(&mut self, number: u32, headers: usize, body_size: usize) {
        let Some(call) = self
            .worker
            .as_ref()
            .and_then(|worker| worker.call_done(number))
        else {
            return;
        };
        // Without headers there was no answer, and asking for one is a fault. Half an answer is none either: the store
        // might have said more than "I have it".
        let body = (headers > 0).then(|| host::call_body(body_size));
        let Some(body) = body.filter(|body| body.len() == body_size) else {
            return self.handle(Input::CallDone {
                call,
                outcome: CallOutcome::Reset,
            });
        };
        let outcome = CallOutcome::Answer {
            status: number_in(":status").unwrap_or(0),
            retry_after_s: number_in("retry-after"),
            body: &body,
        };
        self.handle(Input::CallDone { call, outcome });
    }

    /// Whether this root may go now. Envoy ends a VM that has no other root with its last stream, whatever is said here
    /// (it has loaded a new module, or the filter is gone): what is left then is for others.
    pub(crate) fn on_done(&mut self, vm_stays: bool) -> bool {
        if !vm_stays && let Some(worker) = &self.worker {
            worker.hand_over();
            return true;
        }
        let idle = self.worker.as_ref().is_none_or(|worker| {
            worker.tell();
            worker.is_idle()
        });
        if !idle && self.draining_since_ms.is_none() {
            self.draining_since_ms = Some(host::mono_ms());
        }
        idle
    }

    /// Whether it has been asked to end, and has not.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining_since_ms.is_some()
    }

    /// Takes up the configuration of so many bytes, or says what is wrong with it.
    pub(crate) fn on_configure(&mut self, size: usize) -> bool {
        let began_ms = host::mono_ms();
        let document = host::configuration(size);
        let environment = Environment::read();
        let config = match weir_config::parse(&document, &|name| environment.get(name)) {
            Ok(config) => config,
            Err(problems) => {
                for problem in &problems {
                    host::log(LogLevel::Error, &format!("weir: configuration: {problem}"));
                }
                let count = problems.len();
                host::log(
                    LogLevel::Error,
                    &format!("weir: configuration refused, problems: {count}"),
                );
                return false;
            }
        };
        let mut random = [0; 8];
        if !host::random(&mut random) {
            return refuse("no random bytes");
        }
        let queue = Queue::register(&queue_name(random));
        if queue.is_none() || !host::set_tick_period(TICK_MS) {
            return refuse("neither shared queues nor ticks");
        }
        let accounts = config.accounts().count();
        let rules: usize = config
            .accounts()
            .map(|(_, account)| account.rules.len())
            .sum();
        let worker = Rc::new(Worker::new(self.id, queue, Rc::new(config)));
        if host::creation_failed() {
            return refuse("no shared data");
        }
        let ms = host::mono_ms().saturating_sub(began_ms);
        host::log(
            LogLevel::Info,
            &format!("weir: configured accounts={accounts} rules={rules} ms={ms}"),
        );
        contexts::serve(self.id, worker.clone());
        self.worker = Some(worker);
        true
    }

    pub(crate) fn on_tick(&mut self) {
        self.handle(Input::Tick);
    }

    pub(crate) fn on_queue_ready(&mut self) {
        if let Some(worker) = &self.worker {
            worker.clear_wakes();
        }
        self.handle(Input::Woken);
    }
}

fn number_in<T: std::str::FromStr>(header: &str) -> Option<T> {
    let value = host::call_header(header)?;
    std::str::from_utf8(&value).ok()?.trim().parse().ok()
}

/// Without it Weir would break a promise from the first push on.
fn refuse(lacking: &str) -> bool {
    host::log(LogLevel::Error, &format!("weir: this host has {lacking}"));
    false
}

/// The first one asked for is the VM's.
fn queue_name(random: [u8; 8]) -> String {
    QUEUE_NAME.with_borrow_mut(|name| {
        name.get_or_insert_with(|| format!("weir/wake/{:016x}", u64::from_le_bytes(random)))
            .clone()
    })
}
