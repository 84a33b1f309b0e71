//! A world one can step: workers that share data, a store, WeChat's API, and a clock that only we move.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use serde_json::{Value, json};
use weir_config::Problem;
use weir_engine::config::Config;
use weir_engine::metric::Metric;
use weir_engine::owners::Mailbox;
use weir_engine::shared::{Cas, SetError, SharedData};
use weir_engine::time::Now;
use weir_engine::{
    Call, CallOutcome, Effect, Engine, Env, HttpRequest, Input, Method, Random, Request, Response,
    StreamId, TICK_MS,
};
use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::cipher;
use weir_protocol::signature::{self, Token};

use crate::models::{App, Ledger, promised};

pub(crate) const TOKEN: &str = "weixinToken1";
pub(crate) const KEY: &str = "eSd7q1YbuOdflnt5Jhd3HlPAIO255XcyPzFrdbLQqHB";
pub(crate) const APPID: &str = "wx0123456789abcdef";
pub(crate) const ACCOUNT: &str = "gh_0a1b2c3d4e5f";
pub(crate) const USER: &str = "oAbCdEf0123456789GhIjKlMnOpQ";
pub(crate) const START_UNIX_MS: u64 = 1_714_112_445_000;

/// The demo configuration; `change` may bend it.
pub(crate) fn document(change: impl FnOnce(&mut Value)) -> Value {
    let mut document = json!({
        "accounts": [{
            "name": "demo", "path": "/wechat/demo", "original_id": ACCOUNT, "appid": APPID,
            "mode": "plain", "token_env": "TOKEN", "encoding_aes_key_env": "KEY",
            "app_secret_env": "SECRET",
            "rules": [
                {"when": {"event": "subscribe", "scene": 123456}, "reply": {"text": "by {scene}"}},
                {"when": {"event": "subscribe"}, "reply": {"text": "hi {openid}"}},
                {"when": {"event": "SCAN"}, "reply": {"text": "scanned {scene}"}},
                {"when": {"keyword": "Hello"}, "reply": {"news": [{"title": "T", "url": "https://e.com"}]}},
                {"when": {"message": "image"}, "reply": "none"},
                {"reply": {"text": "default"}}
            ]
        }],
        "store": {"cluster": "store", "ack": "after_store"},
        "wechat_api": {"cluster": "api"},
    });
    change(&mut document);
    document
}

pub(crate) fn env(name: &str) -> Option<String> {
    match name {
        "TOKEN" => Some(TOKEN.to_owned()),
        "KEY" => Some(KEY.to_owned()),
        "SECRET" => Some("the app secret".to_owned()),
        // WeCom's published sample.
        "WECOM_TOKEN" => Some("QDG6eK".to_owned()),
        "WECOM_KEY" => Some("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C".to_owned()),
        _ => None,
    }
}

pub(crate) fn parse(document: &Value) -> Result<Config, Vec<Problem>> {
    weir_config::parse(document.to_string().as_bytes(), &env)
}

/// Shared data as Envoy has it: one counter for all versions, no delete, an absent key is always written.
#[derive(Default)]
pub(crate) struct Table {
    values: RefCell<HashMap<String, (Vec<u8>, u32)>>,
    counter: RefCell<u32>,
    /// Every n-th conditional write meets a conflict, as if another worker had been faster.
    pub(crate) conflict_every: RefCell<Option<u32>>,
    writes: RefCell<u32>,
}

impl SharedData for Table {
    fn get(&self, key: &str) -> Option<(Vec<u8>, Cas)> {
        self.values
            .borrow()
            .get(key)
            .map(|(value, cas)| (value.clone(), Cas(*cas)))
    }

    fn set(&self, key: &str, value: &[u8], cas: Option<Cas>) -> Result<(), SetError> {
        *self.writes.borrow_mut() += 1;
        if cas.is_some()
            && self
                .conflict_every
                .borrow()
                .is_some_and(|n| self.writes.borrow().is_multiple_of(n))
        {
            return Err(SetError::Conflict);
        }
        let mut values = self.values.borrow_mut();
        if let (Some((_, current)), Some(cas)) = (values.get(key), cas)
            && *current != cas.0
        {
            return Err(SetError::Conflict);
        }
        *self.counter.borrow_mut() += 1;
        values.insert(key.to_owned(), (value.to_vec(), *self.counter.borrow()));
        Ok(())
    }
}

/// Reproducible chance.
pub(crate) struct Chance(u64);

impl Random for Chance {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            *byte = (self.0 >> 24) as u8;
        }
    }
}

/// How the store behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Works,
    /// Answers 503.
    Down,
    /// Takes the events, but the answer is lost.
    Mute,
    /// Answers 413 to more than one event, 200 to one.
    OneAtATime,
    /// Answers 413 to anything.
    TakesNothing,
}

pub(crate) struct Worker {
    pub(crate) engine: Option<Engine>,
    node: usize,
    woken: bool,
    streams: HashSet<StreamId>,
}

pub(crate) struct World {
    pub(crate) config: Rc<Config>,
    pub(crate) shared: Table,
    /// What the workers of further nodes share.
    others: Vec<Table>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) now: Now,
    chance: Chance,
    pub(crate) store: Store,
    /// How long a call to the store takes.
    pub(crate) store_ms: u64,
    /// Every event the store has, by id.
    pub(crate) stored: BTreeMap<String, Value>,
    /// How many events each call to the store carried.
    pub(crate) batches: Vec<usize>,
    pub(crate) api: Api,
    pub(crate) app: App,
    ledger: Ledger,
    /// Customer-service messages that WeChat took.
    pub(crate) sent: Vec<Value>,
    /// What `custom/send` answers instead of taking the next ones: an `errcode`, or a broken connection.
    pub(crate) send_errors: Vec<Option<i64>>,
    pending: Vec<(u64, usize, Call, Planned)>,
    pub(crate) responses: BTreeMap<StreamId, (u64, Response)>,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) logs: Vec<String>,
    next_stream: u32,
    /// Where requests go.
    pub(crate) path: String,
    /// What the store knows of users: remark and nickname.
    pub(crate) names: BTreeMap<String, (String, String)>,
    /// Which pushes were the first of their users.
    first: BTreeMap<String, bool>,
}

enum Planned {
    Answer(u16, Option<u32>, Vec<u8>),
    Reset,
    Refused,
}

/// WeChat's API as far as the engine uses it.
#[derive(Default)]
pub(crate) struct Api {
    pub(crate) token: u32,
    pub(crate) token_fetches: u32,
    /// Answers to token fetches before the good ones.
    pub(crate) token_errors: Vec<i64>,
    pub(crate) asked: Vec<Vec<String>>,
    /// Openids WeChat does not know.
    pub(crate) unknown: HashSet<String>,
    pub(crate) down: bool,
    /// Tags given: the tag and whom, call by call.
    pub(crate) tagged: Vec<(u64, Vec<String>)>,
}

impl World {
    pub(crate) fn new(workers: usize) -> Self {
        Self::with(workers, &document(|_| {}))
    }

    pub(crate) fn with(workers: usize, document: &Value) -> Self {
        let mut world = Self {
            config: Rc::new(parse(document).expect("a right configuration")),
            shared: Table::default(),
            workers: Vec::new(),
            now: Now {
                unix_ms: START_UNIX_MS,
                mono_ms: 1_000_000,
            },
            chance: Chance(0x9e37_79b9_7f4a_7c15),
            store: Store::Works,
            store_ms: 2,
            stored: BTreeMap::new(),
            batches: Vec::new(),
            api: Api::default(),
            app: App::default(),
            ledger: Ledger::default(),
            sent: Vec::new(),
            send_errors: Vec::new(),
            others: Vec::new(),
            pending: Vec::new(),
            responses: BTreeMap::new(),
            metrics: Vec::new(),
            logs: Vec::new(),
            next_stream: 0,
            path: "/wechat/demo".to_owned(),
            names: BTreeMap::new(),
            first: BTreeMap::new(),
        };
        for _ in 0..workers {
            world.start_worker();
        }
        world
    }

    pub(crate) fn start_worker(&mut self) -> usize {
        self.start_worker_at(0)
    }

    /// A worker on a node of its own.
    pub(crate) fn start_node(&mut self) -> usize {
        self.others.push(Table::default());
        self.start_worker_at(self.others.len())
    }

    pub(crate) fn start_worker_at(&mut self, node: usize) -> usize {
        let mailbox = Mailbox(u32::try_from(self.workers.len()).expect("few") + 1);
        let mut env = Env {
            now: self.now,
            shared: match node {
                0 => &self.shared,
                other => &self.others[other - 1],
            },
            random: &mut self.chance,
        };
        let engine = Engine::new(self.config.clone(), &mut env).with_mailbox(Some(mailbox));
        self.workers.push(Worker {
            engine: Some(engine),
            node,
            woken: false,
            streams: HashSet::new(),
        });
        self.workers.len() - 1
    }

    /// The worker's VM is gone, with all it remembered.
    pub(crate) fn crash(&mut self, worker: usize) {
        self.workers[worker].engine = None;
        self.pending.retain(|(_, owner, ..)| *owner != worker);
    }

    pub(crate) fn handle(&mut self, worker: usize, input: Input<'_>) {
        let node = self.workers[worker].node;
        let Some(engine) = self.workers[worker].engine.as_mut() else {
            return;
        };
        let scope = match &input {
            Input::Request { stream, .. } | Input::Gone { stream } => Some(*stream),
            _ => None,
        };
        let mut env = Env {
            now: self.now,
            shared: match node {
                0 => &self.shared,
                other => &self.others[other - 1],
            },
            random: &mut self.chance,
        };
        engine.handle(input, &mut env);
        let mut effects = Vec::new();
        while let Some(effect) = engine.poll() {
            effects.push(effect);
        }
        for effect in effects {
            match effect {
                Effect::Respond { stream, response } => {
                    assert!(
                        scope.is_none_or(|s| s == stream),
                        "a stream may answer itself only"
                    );
                    if self.workers[worker].streams.remove(&stream) {
                        let before = self.responses.insert(stream, (self.now.mono_ms, response));
                        assert!(before.is_none(), "a stream is answered once");
                    }
                }
                Effect::Call { call, request } => {
                    assert!(scope.is_none(), "calls start from the root");
                    assert!(!self.pending.iter().any(|p| p.1 == worker && p.2 == call));
                    let (ms, planned) = self.plan(call, &request);
                    self.pending
                        .push((self.now.mono_ms + ms, worker, call, planned));
                }
                Effect::Wake => self.workers[worker].woken = true,
                Effect::WakeOther(Mailbox(number)) => {
                    let other = &mut self.workers[number as usize - 1];
                    assert_eq!(other.node, node, "shared data ends where the process does");
                    other.woken = true;
                }
                Effect::Count(metric) => self.metrics.push(metric),
                Effect::Log { line, .. } => self.logs.push(line),
            }
        }
    }

    fn plan(&mut self, call: Call, request: &HttpRequest) -> (u64, Planned) {
        match call {
            Call::Store => self.plan_store(request),
            Call::App(_) => {
                if self.app.refused > 0 {
                    self.app.refused -= 1;
                    return (0, Planned::Refused);
                }
                self.app.take(request);
                let timeout_ms = u64::from(request.timeout_ms);
                if self.app.resets {
                    return (self.app.ms, Planned::Reset);
                }
                if self.app.ms > timeout_ms {
                    return (timeout_ms, Planned::Answer(504, None, Vec::new()));
                }
                let says = self.app.says.clone().into_bytes();
                let status = self.app.status.unwrap_or(200);
                (self.app.ms, Planned::Answer(status, None, says))
            }
            Call::Send(_) => {
                let body: Value = serde_json::from_slice(&request.body).expect("JSON");
                let good = format!("custom/send?access_token=T{}", self.api.token);
                let answer = match self.send_errors.pop() {
                    Some(None) => return (5, Planned::Reset),
                    Some(Some(code)) => json!({"errcode": code, "errmsg": "no"}),
                    None if !request.path.ends_with(&good) => {
                        json!({"errcode": 40001, "errmsg": "invalid credential"})
                    }
                    None => {
                        self.sent.push(body);
                        json!({"errcode": 0, "errmsg": "ok"})
                    }
                };
                let body = answer.to_string().into_bytes();
                (5, Planned::Answer(200, None, body))
            }
            Call::AccessToken(_) => {
                self.api.token_fetches += 1;
                let body = match self.api.token_errors.pop() {
                    Some(code) => json!({"errcode": code, "errmsg": "no"}),
                    None => {
                        json!({"access_token": format!("T{}", self.api.token), "expires_in": 7200})
                    }
                };
                (5, Planned::Answer(200, None, body.to_string().into_bytes()))
            }
            Call::Tags(_) => {
                if self.api.down {
                    return (5, Planned::Reset);
                }
                let body: Value = serde_json::from_slice(&request.body).expect("JSON");
                let list = body["openid_list"].as_array().expect("a list");
                assert!((1..=50).contains(&list.len()));
                let ids: Vec<String> = list
                    .iter()
                    .map(|id| id.as_str().expect("openid").to_owned())
                    .collect();
                let good = format!("batchtagging?access_token=T{}", self.api.token);
                let answer = if !request.path.ends_with(&good) {
                    json!({"errcode": 40001, "errmsg": "invalid credential"})
                } else if ids.iter().any(|id| self.api.unknown.contains(id)) {
                    json!({"errcode": 40003, "errmsg": "invalid openid"})
                } else {
                    let tag = body["tagid"].as_u64().expect("a number");
                    self.api.tagged.push((tag, ids));
                    json!({"errcode": 0, "errmsg": "ok"})
                };
                (
                    5,
                    Planned::Answer(200, None, answer.to_string().into_bytes()),
                )
            }
            Call::Profiles(_) => {
                if self.api.down {
                    return (5, Planned::Reset);
                }
                let body: Value = serde_json::from_slice(&request.body).expect("JSON");
                let list = body["user_list"].as_array().expect("a list");
                assert!(list.len() <= 100 && list.iter().all(|u| u["lang"] == "zh_CN"));
                let ids: Vec<String> = list
                    .iter()
                    .map(|u| u["openid"].as_str().expect("openid").to_owned())
                    .collect();
                let good = format!("access_token=T{}", self.api.token);
                let answer = if !request.path.ends_with(&good) {
                    json!({"errcode": 40001, "errmsg": "invalid credential"})
                } else if ids.iter().any(|id| self.api.unknown.contains(id)) {
                    json!({"errcode": 40003, "errmsg": "invalid openid"})
                } else {
                    let users: Vec<_> = ids
                        .iter()
                        .map(|id| json!({"subscribe": 1, "openid": id, "remark": "é😀"}))
                        .collect();
                    json!({"user_info_list": users})
                };
                self.api.asked.push(ids);
                (
                    5,
                    Planned::Answer(200, None, answer.to_string().into_bytes()),
                )
            }
        }
    }

    fn plan_store(&mut self, request: &HttpRequest) -> (u64, Planned) {
        let events: Vec<Value> = serde_json::from_slice(&request.body).expect("a JSON list");
        assert!(!events.is_empty());
        promised(&request.body);
        self.batches.push(events.len());
        let refuse = |status| Planned::Answer(status, None, Vec::new());
        let planned = match self.store {
            Store::Down => refuse(503),
            Store::TakesNothing => refuse(413),
            Store::OneAtATime if events.len() > 1 => refuse(413),
            Store::Mute => {
                self.keep(events);
                Planned::Reset
            }
            Store::Works | Store::OneAtATime => {
                let results = self.keep(events);
                Planned::Answer(
                    200,
                    None,
                    json!({"results": results}).to_string().into_bytes(),
                )
            }
        };
        (self.store_ms, planned)
    }

    fn keep(&mut self, events: Vec<Value>) -> Vec<Value> {
        events
            .into_iter()
            .map(|event| {
                let id = event["id"].as_str().expect("an id").to_owned();
                let status = if self.stored.contains_key(&id) {
                    "duplicate"
                } else {
                    "created"
                };
                let user = (event["weirask"] == "user").then(|| {
                    let openid = event["subject"].as_str().expect("a subject");
                    let others = |(other, e): (&String, &Value)| {
                        *other != id && e["subject"] == openid && e["data"]["push"].is_object()
                    };
                    let (remark, nickname) = self.names.get(openid).cloned().unwrap_or_default();
                    let first = *self
                        .first
                        .entry(id.clone())
                        .or_insert_with(|| !self.stored.iter().any(others));
                    json!({"first_push": first, "remark": remark, "nickname": nickname})
                });
                let work = self.ledger.take(&event, self.now.mono_ms);
                self.stored.entry(id.clone()).or_insert(event);
                let mut result = json!({"id": id, "status": status});
                if let Some(user) = user {
                    result["user"] = user;
                }
                if let Some(work) = work {
                    result["work"] = work;
                }
                result
            })
            .collect()
    }

    /// Lets `ms` milliseconds pass, one at a time.
    pub(crate) fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.now.mono_ms += 1;
            self.now.unix_ms += 1;
            let now = self.now.mono_ms;
            for worker in 0..self.workers.len() {
                if std::mem::take(&mut self.workers[worker].woken) {
                    self.handle(worker, Input::Woken);
                }
                if (now + worker as u64 * 7).is_multiple_of(TICK_MS) {
                    self.handle(worker, Input::Tick);
                }
            }
            let due: Vec<_> = self.pending.extract_if(.., |p| p.0 <= now).collect();
            for (_, worker, call, planned) in due {
                let outcome = match &planned {
                    Planned::Answer(status, retry_after_s, body) => CallOutcome::Answer {
                        status: *status,
                        retry_after_s: *retry_after_s,
                        body,
                    },
                    Planned::Reset => CallOutcome::Reset,
                    Planned::Refused => CallOutcome::Refused,
                };
                self.handle(worker, Input::CallDone { call, outcome });
            }
        }
    }

    /// Sends a plain push to a worker.
    pub(crate) fn push(&mut self, worker: usize, body: &str) -> StreamId {
        let query = self.query(None);
        self.request(worker, Method::Post, &query, body.as_bytes())
    }

    /// Sends an encrypted push to a worker.
    pub(crate) fn push_encrypted(&mut self, worker: usize, body: &str) -> StreamId {
        let key = EncodingAesKey::parse(KEY).expect("a key");
        let encrypt = cipher::encrypt(&key, body.as_bytes(), APPID, &[7; 16]);
        let envelope = format!(
            "<xml><ToUserName><![CDATA[{ACCOUNT}]]></ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"
        );
        let query = self.query(Some(&encrypt));
        self.request(worker, Method::Post, &query, envelope.as_bytes())
    }

    pub(crate) fn query(&mut self, encrypt: Option<&str>) -> String {
        let timestamp = self.now.unix_s().to_string();
        let nonce = format!("n{}", self.next_stream);
        let (token, at, by) = (TOKEN.as_bytes(), timestamp.as_bytes(), nonce.as_bytes());
        let hex = |bytes: [u8; 40]| String::from_utf8(bytes.to_vec()).expect("hexadecimal");
        let signature = hex(signature::sign(&[token, at, by]));
        let mut query =
            format!("signature={signature}&timestamp={timestamp}&nonce={nonce}&openid={USER}");
        if let Some(encrypt) = encrypt {
            let signature = hex(signature::sign(&[token, at, by, encrypt.as_bytes()]));
            query.push_str(&format!("&encrypt_type=aes&msg_signature={signature}"));
        }
        query
    }

    pub(crate) fn request(
        &mut self,
        worker: usize,
        method: Method,
        query: &str,
        body: &[u8],
    ) -> StreamId {
        self.next_stream += 1;
        let stream = StreamId(self.next_stream);
        self.workers[worker].streams.insert(stream);
        let (config, path) = (self.config.clone(), self.path.clone());
        let route = config.route(&path).expect("a path of an account");
        let arrived_mono_ms = self.now.mono_ms;
        let request = Request {
            account: route.account,
            authorizer: route.authorizer,
            method,
            query,
            body,
            arrived_mono_ms,
        };
        self.handle(worker, Input::Request { stream, request });
        stream
    }

    /// WeChat closes the connection of an attempt.
    pub(crate) fn cut(&mut self, worker: usize, stream: StreamId) {
        if self.workers[worker].streams.remove(&stream) {
            self.handle(worker, Input::Gone { stream });
        }
    }

    pub(crate) fn status(&self, stream: StreamId) -> Option<u16> {
        self.responses
            .get(&stream)
            .map(|(_, response)| response.status)
    }

    /// The body of a response, as text.
    pub(crate) fn body(&self, stream: StreamId) -> Option<String> {
        let (_, response) = self.responses.get(&stream)?;
        Some(String::from_utf8(response.body.to_vec()).expect("text"))
    }

    /// The types of the stored events, sorted.
    pub(crate) fn stored_types(&self) -> Vec<String> {
        let mut types: Vec<_> = self
            .stored
            .values()
            .map(|e| e["type"].as_str().expect("a type").to_owned())
            .collect();
        types.sort();
        types
    }

    pub(crate) fn counted(&self, name: &str) -> usize {
        self.metrics
            .iter()
            .filter(|m| m.name(|_| "demo".to_owned()) == name)
            .count()
    }
}

/// Decrypts a sealed reply after checking its signature.
pub(crate) fn unseal(body: &str) -> String {
    let part = |name: &str| {
        let (_, rest) = body.split_once(&format!("<{name}>")).expect(name);
        let (value, _) = rest.split_once(&format!("</{name}>")).expect(name);
        value
            .trim_start_matches("<![CDATA[")
            .trim_end_matches("]]>")
            .to_owned()
    };
    let (encrypt, given) = (part("Encrypt"), part("MsgSignature"));
    let token = Token::parse(TOKEN).expect("a token");
    assert!(signature::verify_encrypted(
        &token,
        &part("TimeStamp"),
        &part("Nonce"),
        &encrypt,
        &given
    ));
    let key = EncodingAesKey::parse(KEY).expect("a key");
    String::from_utf8(cipher::decrypt(&key, &encrypt, APPID).expect("sealed with our key"))
        .expect("text")
}

pub(crate) fn text(msg_id: u64, content: &str) -> String {
    message(
        "text",
        &format!("<Content><![CDATA[{content}]]></Content><MsgId>{msg_id}</MsgId>"),
    )
}

pub(crate) fn event(event: &str, more: &str) -> String {
    message(
        "event",
        &format!("<Event><![CDATA[{event}]]></Event>{more}"),
    )
}

pub(crate) fn message(msg_type: &str, more: &str) -> String {
    message_from(USER, msg_type, more)
}

pub(crate) fn message_from(user: &str, msg_type: &str, more: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[{ACCOUNT}]]></ToUserName><FromUserName><![CDATA[{user}]]></FromUserName>\
         <CreateTime>1714112445</CreateTime><MsgType><![CDATA[{msg_type}]]></MsgType>{more}</xml>"
    )
}
