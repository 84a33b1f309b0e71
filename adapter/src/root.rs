//! The root context: configuration, ticks, wake-ups, the answers of calls, and the end.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::types::LogLevel;
use weir_engine::{CallOutcome, TICK_MS};
use weir_hostcalls::{self as host, Environment, Queue};

use crate::{Filter, Worker};

/// How long a replaced configuration may take to deliver what it still holds. Then it ends with the rest.
const DRAIN_MS: u64 = 60_000;

thread_local! {
    /// The name of this VM's queue. One name for all its root contexts: the newest is woken, an older one that
    /// drains has its ticks, and a configuration update leaves no queue behind.
    static QUEUE_NAME: RefCell<Option<String>> = const { RefCell::new(None) };
}

pub(crate) struct Root<F: Filter> {
    id: u32,
    worker: Option<Rc<Worker<F>>>,
    /// Since when this root has been asked to end, on the monotonic clock.
    draining_since_ms: Option<u64>,
}

impl<F: Filter> Root<F> {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            worker: None,
            draining_since_ms: None,
        }
    }

    /// Whether it has been asked to end, and has not.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining_since_ms.is_some()
    }

    /// Takes up the configuration of so many bytes, or says what is wrong with it.
    pub(crate) fn on_configure(&mut self, size: usize) -> Option<Rc<Worker<F>>> {
        let began_ms = host::mono_ms();
        let document = host::configuration(size);
        let environment = Environment::read();
        let config = match F::parse(&document, &|name| environment.get(name)) {
            Ok(config) => config,
            Err(problems) => {
                for problem in &problems {
                    host::log(LogLevel::Error, &format!("weir: configuration: {problem}"));
                }
                return refuse(&format!(
                    "configuration refused, problems: {}",
                    problems.len()
                ));
            }
        };
        let mut random = [0; 8];
        if !host::random(&mut random) {
            return refuse("this host has no random bytes");
        }
        let queue = Queue::register(&queue_name(F::QUEUE, random));
        if queue.is_none() || !host::set_tick_period(TICK_MS) {
            return refuse("this host has neither shared queues nor ticks");
        }
        let worker = Rc::new(Worker::new(self.id, queue, Rc::new(config)));
        if host::creation_failed() {
            return refuse("this host has no shared data");
        }
        let took_ms = host::mono_ms().saturating_sub(began_ms);
        host::log(LogLevel::Info, &F::greeting(worker.config(), took_ms));
        self.worker = Some(worker.clone());
        Some(worker)
    }

    /// Each of these says whether the root may be forgotten.
    pub(crate) fn on_tick(&mut self) -> bool {
        self.turn(|worker| worker.turn(F::on_tick))
    }

    pub(crate) fn on_queue_ready(&mut self) -> bool {
        self.turn(|worker| {
            worker.clear_wakes();
            worker.turn(F::on_woken);
        })
    }

    /// The answer of a call: so many headers, none if there was no answer, and so much of a body.
    pub(crate) fn on_call_done(&mut self, number: u32, headers: usize, size: usize) -> bool {
        self.turn(|worker| {
            let Some(call) = worker.call_done(number) else {
                return;
            };
            // Without headers there was no answer, and asking for one is a fault. Half an answer is none either: the store
            // might have said more than "I have it".
            let body = (headers > 0).then(|| host::call_body(size));
            let outcome = match body.as_ref().filter(|body| body.len() == size) {
                None => CallOutcome::Reset,
                Some(body) => {
                    let status = number_in(":status").unwrap_or(0);
                    let is_success = (200..300).contains(&status);
                    CallOutcome::Answer {
                        status,
                        // Nobody waits after a success, and asking costs a hostcall.
                        retry_after_s: (!is_success).then(|| number_in("retry-after")).flatten(),
                        body,
                    }
                }
            };
            worker.turn(|filter, env| filter.on_call_done(call, &outcome, env));
        })
    }

    /// Whether this root may go now. Envoy ends a VM that has no other root with its last stream, whatever is said here (it
    /// has loaded a new module, or the filter is gone).
    pub(crate) fn on_done(&mut self, vm_stays: bool) -> bool {
        let Some(worker) = self.worker.clone() else {
            return true;
        };
        if !vm_stays {
            worker.turn(F::on_end);
            return true;
        }
        worker.turn(F::on_woken);
        if worker.is_idle() {
            return true;
        }
        self.draining_since_ms.get_or_insert_with(host::mono_ms);
        false
    }

    fn turn(&mut self, act: impl FnOnce(&Worker<F>)) -> bool {
        let Some(worker) = self.worker.clone() else {
            return false;
        };
        act(&worker);
        let Some(since_ms) = self.draining_since_ms else {
            return false;
        };
        let late = host::mono_ms().saturating_sub(since_ms) > DRAIN_MS;
        if !late && !worker.is_idle() {
            return false;
        }
        worker.turn(F::on_end);
        // Not heard, it is said again at the next turn.
        let ends = host::done();
        if ends {
            self.draining_since_ms = None;
        }
        ends
    }
}

fn number_in<T: std::str::FromStr>(header: &str) -> Option<T> {
    let value = host::call_header(header)?;
    std::str::from_utf8(&value).ok()?.trim().parse().ok()
}

fn refuse<T>(why: &str) -> Option<T> {
    host::log(LogLevel::Error, &format!("weir: {why}"));
    None
}

/// The first one asked for is the VM's.
fn queue_name(prefix: &str, random: [u8; 8]) -> String {
    QUEUE_NAME.with_borrow_mut(|name| {
        name.get_or_insert_with(|| format!("{prefix}{:016x}", u64::from_le_bytes(random)))
            .clone()
    })
}
