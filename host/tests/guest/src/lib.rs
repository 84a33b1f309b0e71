//! A plugin that does one thing per path, and says what it saw. See each arm of `on_http_request_headers`.
//!
//! Its configuration is words: `tick` (a tick every 20 ms), `refuse` (on_configure says no), `wait` (on_done says no
//! until nothing is in flight), `panic` (on_configure panics), anything else is a name that `/who` tells.

mod raw;
mod root;

use std::cell::RefCell;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, LogLevel, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|id| Box::new(root::Root::new(id)));
}}

/// What all contexts of a VM share.
#[derive(Default)]
struct Vm {
    requests: u32,
    queue_calls: u32,
    /// Streams that the next tick answers or resumes, with what is to happen.
    parked: Vec<(u32, Parked)>,
    /// Callouts to be made by the root, each for a stream.
    jobs: Vec<(u32, String)>,
    panic_in_tick: bool,
}

enum Parked {
    Answer,
    AnswerWithoutEffectiveContext,
    Resume,
}

thread_local! {
    static VM: RefCell<Vm> = RefCell::default();
}

fn vm<R>(use_vm: impl FnOnce(&mut Vm) -> R) -> R {
    VM.with(|vm| use_vm(&mut vm.borrow_mut()))
}

struct Http {
    id: u32,
    name: String,
    path: String,
    /// The callbacks so far, as a text.
    seen: String,
}

impl Http {
    /// A parameter of the query.
    fn arg(&self, name: &str) -> Option<String> {
        let (_, query) = self.path.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    }

    fn number(&self, name: &str) -> u32 {
        self.arg(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    fn say(&self, body: impl AsRef<[u8]>) -> Action {
        self.send_http_response(200, vec![], Some(body.as_ref()));
        Action::Pause
    }

    fn park(&self, how: Parked) -> Action {
        vm(|vm| vm.parked.push((self.id, how)));
        Action::Pause
    }

    fn call(&self) -> Action {
        let path = self.arg("to").unwrap_or_default();
        let cluster = self.arg("cluster").unwrap_or_default();
        let retry = self.arg("retry").unwrap_or_default();
        let mut headers = vec![
            (":method", "GET"),
            (":path", path.as_str()),
            (":authority", "up.test"),
        ];
        if self.arg("bare").is_some() {
            headers.truncate(1);
        }
        if !retry.is_empty() {
            headers.push(("x-envoy-retry-on", retry.as_str()));
            headers.push(("x-envoy-max-retries", "2"));
        }
        let body = self.arg("body");
        let timeout = Duration::from_millis(self.number("ms").into());
        match self.dispatch_http_call(
            &cluster,
            headers,
            body.as_ref().map(|body| body.as_bytes()),
            vec![],
            timeout,
        ) {
            Ok(_) => Action::Pause,
            Err(status) => self.say(format!("dispatch {status:?}")),
        }
    }
}

impl Context for Http {
    fn on_http_call_response(&mut self, _: u32, headers: usize, size: usize, trailers: usize) {
        let status = match headers {
            0 => format!(
                "{}",
                raw::header_status(MapType::HttpCallResponseHeaders, ":status")
            ),
            _ => self
                .get_http_call_response_header(":status")
                .unwrap_or_default(),
        };
        let timed = headers > 0
            && self
                .get_http_call_response_header("x-envoy-upstream-service-time")
                .is_some();
        let body = self.get_http_call_response_body(0, 200).unwrap_or_default();
        let body = String::from_utf8_lossy(&body).into_owned();
        let (code, message) = self.get_grpc_status();
        self.say(format!(
            "headers>0={} status={status} size={size} trailers={trailers} upstream={timed} code={code} message={message:?} body={body}",
            headers > 0
        ));
    }

    fn on_done(&mut self) -> bool {
        log::info!("stream done {}", self.path);
        true
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        log::info!("stream deleted {}", self.path);
    }
}

impl HttpContext for Http {
    fn on_http_request_headers(&mut self, _: usize, end: bool) -> Action {
        let path = self
            .get_http_request_header_bytes(":path")
            .unwrap_or_default();
        self.path = String::from_utf8_lossy(&path).into_owned();
        self.seen = format!("headers end={end}");
        let requests = vm(|vm| {
            vm.requests += 1;
            vm.requests
        });
        let route = self.path.split('?').next().unwrap_or_default().to_owned();
        match route.as_str() {
            "/reply" => {
                let headers = vec![
                    ("x-one", "1"),
                    ("x-two", "2"),
                    ("x-two", "3"),
                    ("content-length", "99"),
                ];
                self.send_http_response(201, headers, Some(b"hello"));
                Action::Pause
            }
            "/reply-empty" => {
                self.send_http_response(204, vec![], None);
                Action::Pause
            }
            "/reply-twice" => {
                self.send_http_response(200, vec![], Some(b"first"));
                self.send_http_response(500, vec![], Some(b"second"));
                Action::Continue
            }
            "/reply-and-panic" => {
                self.say("too late");
                panic!("after the reply");
            }
            "/panic" => panic!("asked to"),
            "/exit" => std::process::exit(3),
            "/who" => self.say(format!("{} {requests}", self.name)),
            "/id" => self.say(format!("{}", self.id)),
            "/first-callback" => self.say(&self.seen),
            "/header" => {
                let name = self.arg("name").unwrap_or_default();
                let value = self.get_http_request_header_bytes(&name);
                self.say(format!("{:02x?}", value.unwrap_or_default()))
            }
            "/headers" => {
                let map = hostcalls::get_map_bytes(MapType::HttpRequestHeaders).unwrap_or_default();
                let lines: Vec<String> = map
                    .iter()
                    .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)))
                    .collect();
                self.say(lines.join("\n"))
            }
            "/effective-unknown" => {
                self.say(format!("{:?}", hostcalls::set_effective_context(9999)))
            }
            "/done-status" => self.say(format!("{}", raw::done())),
            "/call-headers-without-call" => {
                let one = raw::header_status(MapType::HttpCallResponseHeaders, "x");
                let all = hostcalls::get_map_bytes(MapType::HttpCallResponseHeaders);
                let body = hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, 10);
                self.say(format!("{one} {all:?} {body:?}"))
            }
            "/get" => {
                let (value, cas) = self.get_shared_data(&self.arg("key").unwrap_or_default());
                let value = value.map(|value| String::from_utf8_lossy(&value).into_owned());
                self.say(format!("{value:?} {}", cas.is_some()))
            }
            "/set" => {
                let value = self.arg("value");
                let cas = self.arg("cas").map(|_| self.number("cas"));
                let key = self.arg("key").unwrap_or_default();
                let result = self.set_shared_data(&key, value.as_ref().map(|v| v.as_bytes()), cas);
                self.say(format!("{result:?}"))
            }
            "/cas-race" => {
                let key = self.arg("key").unwrap_or_default();
                let (_, stale) = self.get_shared_data(&key);
                let first = self.set_shared_data(&key, Some(b"a"), stale);
                let second = self.set_shared_data(&key, Some(b"b"), stale);
                self.say(format!("{first:?} {second:?}"))
            }
            "/enqueue" => {
                let queue = self.resolve_shared_queue("", &self.arg("queue").unwrap_or_default());
                let before = vm(|vm| vm.queue_calls);
                let mut results = Vec::new();
                if let Some(queue) = queue {
                    for _ in 0..self.number("times") {
                        results.push(self.enqueue_shared_queue(queue, Some(b"item")));
                    }
                }
                let inside = vm(|vm| vm.queue_calls) - before;
                self.say(format!("{queue:?} {results:?} inside={inside}").replace(['[', ']'], ""))
            }
            "/enqueue-unknown" => self.say(format!("{:?}", self.enqueue_shared_queue(9999, None))),
            "/call" => self.call(),
            "/root-call" => {
                vm(|vm| vm.jobs.push((self.id, self.arg("to").unwrap_or_default())));
                let own = root::own_queue();
                self.enqueue_shared_queue(own, None)
                    .expect("the queue is registered");
                Action::Pause
            }
            "/park" | "/slow-body" => Action::Pause,
            "/park-and-answer" => self.park(Parked::Answer),
            "/park-and-answer-on-root" => self.park(Parked::AnswerWithoutEffectiveContext),
            "/park-and-resume" => self.park(Parked::Resume),
            "/panic-in-tick" => {
                vm(|vm| vm.panic_in_tick = true);
                Action::Pause
            }
            "/reset" => {
                self.reset_http_request();
                Action::Pause
            }
            "/body" | "/trailers" | "/rewrite" | "/set-body" => Action::Pause,
            "/metrics" => self.say(raw::exercise_metrics()),
            "/log" => {
                for level in [
                    LogLevel::Trace,
                    LogLevel::Debug,
                    LogLevel::Info,
                    LogLevel::Warn,
                ] {
                    let _ = hostcalls::log(level, &format!("at {level:?}"));
                }
                println!("printed");
                eprintln!("complained");
                self.say("")
            }
            "/property" => {
                let path = self.arg("path").unwrap_or_default();
                let value = self.get_property(path.split('.').collect());
                self.say(match value {
                    None => "none".to_owned(),
                    Some(value) => String::from_utf8_lossy(&value).into_owned(),
                })
            }
            "/property-number" => {
                let path = self.arg("path").unwrap_or_default();
                let value = self
                    .get_property(path.split('.').collect())
                    .unwrap_or_default();
                self.say(match value.try_into() {
                    Ok(bytes) => u64::from_le_bytes(bytes).to_string(),
                    Err(other) => format!("{other:?}"),
                })
            }
            "/set-property" => {
                self.set_property(vec!["mine"], Some(b"kept"));
                let value = self.get_property(vec!["mine"]).unwrap_or_default();
                self.say(value)
            }
            "/env" => {
                self.say(std::env::var(self.arg("name").unwrap_or_default()).unwrap_or_default())
            }
            "/random" => {
                let set: std::collections::HashMap<u8, u8> = (0..3).map(|n| (n, n)).collect();
                let order: Vec<u8> = set.into_keys().collect();
                let now = std::time::SystemTime::now() > std::time::UNIX_EPOCH;
                let before = std::time::Instant::now();
                let later = std::time::Instant::now() >= before;
                self.say(format!("{} {now} {later}", order.len()))
            }
            // "/pass", "/add-header", "/late-header", "/replace-response", "/response-panic" and what is unknown
            _ => {
                if route == "/add-header" {
                    self.add_http_request_header("x-added", "by guest");
                }
                Action::Continue
            }
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.seen.push_str(&format!("; body {size} end={end}"));
        match self.path.split('?').next().unwrap_or_default() {
            "/late-header" => {
                let status = raw::header_status(MapType::HttpRequestHeaders, ":path");
                log::info!("late header {status}");
                Action::Continue
            }
            "/body" if end => {
                let body = self
                    .get_http_request_body(0, usize::MAX)
                    .unwrap_or_default();
                let middle = self.get_http_request_body(1, 2).unwrap_or_default();
                let beyond = self.get_http_request_body(size, 10);
                self.say(format!(
                    "{}; {} bytes, 1..3 is {}, beyond is {beyond:?}",
                    self.seen,
                    body.len(),
                    String::from_utf8_lossy(&middle)
                ))
            }
            "/set-body" if end => {
                let appended = raw::set_body(size, 0, b"!");
                let prepended = raw::set_body(0, 0, b">");
                let middle = raw::set_body(1, 1, b"x");
                let body = self
                    .get_http_request_body(0, usize::MAX)
                    .unwrap_or_default();
                self.say(format!(
                    "{appended} {prepended} {middle} {}",
                    String::from_utf8_lossy(&body)
                ))
            }
            "/rewrite" if end => {
                self.set_http_request_body(0, size, b"rewritten");
                self.set_http_request_header("content-length", Some("9"));
                self.set_http_request_header(":path", Some("/pass/rewritten"));
                Action::Continue
            }
            _ if self.path.starts_with("/pass") || self.path.starts_with("/response") => {
                Action::Continue
            }
            _ => Action::Pause,
        }
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        if self.path != "/trailers" {
            return Action::Continue;
        }
        let value = self
            .get_http_request_trailer_bytes("x-last")
            .unwrap_or_default();
        let body = self.get_http_request_body(0, 100).unwrap_or_default();
        self.say(format!(
            "{}; trailers {count} {} {}",
            self.seen,
            String::from_utf8_lossy(&value),
            String::from_utf8_lossy(&body)
        ))
    }

    fn on_http_response_headers(&mut self, _: usize, end: bool) -> Action {
        if self.path.starts_with("/response-panic") {
            panic!("asked to, on the response");
        }
        self.set_http_response_header(
            "x-response-callback",
            Some(if end { "end" } else { "body follows" }),
        );
        match self.path.as_str() {
            "/response-replaced" => {
                self.send_http_response(299, vec![], Some(b"instead"));
                Action::Pause
            }
            "/response-rewritten" => {
                self.set_http_response_header("content-length", None);
                Action::Continue
            }
            _ => Action::Continue,
        }
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        log::info!("response body {} {size} end={end}", self.path);
        if self.path != "/response-rewritten" {
            return Action::Continue;
        }
        if !end {
            return Action::Pause;
        }
        self.set_http_response_body(0, size, b"rewritten on the way back");
        Action::Continue
    }

    fn on_log(&mut self) {
        let number = |path: Vec<&str>| {
            let value = self.get_property(path)?;
            Some(u64::from_le_bytes(value.try_into().ok()?))
        };
        let code = number(vec!["response", "code"]);
        let details = self
            .get_property(vec!["response", "code_details"])
            .unwrap_or_default();
        let details = String::from_utf8_lossy(&details).into_owned();
        let method = self.get_http_request_header(":method");
        log::info!("stream log {} {code:?} {details} {method:?}", self.path);
    }
}
