//! The root context: ticks, queues, callouts for parked streams.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel, MetricType};

use crate::{Http, Parked, vm};

thread_local! {
    static OWN_QUEUE: Cell<u32> = const { Cell::new(0) };
}

/// The queue that only this VM registered.
pub(crate) fn own_queue() -> u32 {
    OWN_QUEUE.get()
}

pub(crate) struct Root {
    id: u32,
    name: String,
    words: Vec<String>,
    /// Callouts in flight, each for a stream.
    calls: HashMap<u32, u32>,
    draining: bool,
}

impl Root {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            name: String::new(),
            words: Vec::new(),
            calls: HashMap::new(),
            draining: false,
        }
    }

    fn has(&self, word: &str) -> bool {
        self.words.iter().any(|held| held == word)
    }

    fn count(&self, what: &str) {
        let name = format!("guest.{what}");
        if let Ok(id) = hostcalls::define_metric(MetricType::Counter, &name) {
            let _ = hostcalls::increment_metric(id, 1);
        }
    }

    fn dispatch(&mut self, stream: u32, path: &str) {
        let headers = vec![
            (":method", "GET"),
            (":path", path),
            (":authority", "up.test"),
        ];
        let timeout = Duration::from_secs(5);
        if let Ok(token) = self.dispatch_http_call("up", headers, None, vec![], timeout) {
            self.calls.insert(token, stream);
        }
    }

    fn say_if_drained(&mut self) {
        if self.draining && self.calls.is_empty() {
            log::info!("root {} is done", self.name);
            self.done();
        }
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, token: u32, headers: usize, _: usize, _: usize) {
        let body = self.get_http_call_response_body(0, 100).unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        let stream = self.calls.remove(&token).unwrap_or_default();
        log::info!("root {} answered {headers} headers, {body}", self.name);
        match hostcalls::set_effective_context(stream) {
            Ok(()) => {
                let _ = hostcalls::send_http_response(200, vec![], Some(body.as_bytes()));
                let _ = hostcalls::set_effective_context(self.id);
                self.count("answered");
            }
            Err(status) => {
                log::info!("stream {stream} is gone: {status:?}");
                self.count("late");
            }
        }
        self.say_if_drained();
    }

    fn on_done(&mut self) -> bool {
        log::info!("root {} asked whether done", self.name);
        self.draining = true;
        !self.has("wait") || self.calls.is_empty()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        log::info!("root {} deleted", self.name);
    }
}

impl RootContext for Root {
    fn on_vm_start(&mut self, size: usize) -> bool {
        let configuration = self.get_vm_configuration().unwrap_or_default();
        log::info!(
            "vm start {size} {}",
            String::from_utf8_lossy(&configuration)
        );
        true
    }

    fn on_configure(&mut self, size: usize) -> bool {
        let text = self.get_plugin_configuration().unwrap_or_default();
        assert_eq!(text.len(), size);
        self.words = String::from_utf8_lossy(&text)
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        self.name = self.words.first().cloned().unwrap_or_default();
        log::info!("configure {}", self.name);
        self.count("configured");
        if self.has("panic") {
            panic!("asked to, in on_configure");
        }
        if self.has("refuse") {
            log::error!("refused: asked to");
            return false;
        }
        if self.has("call") {
            self.dispatch(0, "/from-configure");
        }
        self.register_shared_queue("everyone");
        let random = RandomState::new().hash_one(0);
        let own = self.register_shared_queue(&format!("own {random:x}"));
        OWN_QUEUE.set(own);
        if self.has("tick") {
            self.set_tick_period(Duration::from_millis(20));
        }
        true
    }

    fn on_tick(&mut self) {
        self.count("ticks");
        if vm(|vm| vm.panic_in_tick) {
            panic!("asked to, in a tick");
        }
        for (stream, how) in vm(|vm| std::mem::take(&mut vm.parked)) {
            if let Parked::AnswerWithoutEffectiveContext = how {
                let _ = hostcalls::send_http_response(200, vec![], Some(b"never seen"));
                log::info!("answered on the root");
                continue;
            }
            if hostcalls::set_effective_context(stream).is_err() {
                continue;
            }
            let _ = match how {
                Parked::Resume => hostcalls::resume_http_request(),
                _ => hostcalls::send_http_response(200, vec![], Some(b"by the tick")),
            };
            let _ = hostcalls::set_effective_context(self.id);
        }
    }

    fn on_queue_ready(&mut self, queue: u32) {
        vm(|vm| vm.queue_calls += 1);
        if queue == own_queue() {
            let _ = self.dequeue_shared_queue(queue);
            for (stream, path) in vm(|vm| std::mem::take(&mut vm.jobs)) {
                self.dispatch(stream, &path);
            }
            return;
        }
        self.count("queue_ready");
        while let Ok(Some(_)) = self.dequeue_shared_queue(queue) {
            self.count("queue_items");
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let _ = hostcalls::log(LogLevel::Debug, "stream created");
        Some(Box::new(Http {
            id,
            name: self.name.clone(),
            path: String::new(),
            seen: String::new(),
        }))
    }
}
