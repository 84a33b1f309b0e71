//! One worker, and a WeChat that knows a few codes.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use serde_json::{Value, json};
use weir_engine::config::{AccountId, Peer, Secret};
use weir_engine::shared::{Cas, SetError, SharedData};
use weir_engine::time::Now;
use weir_engine::{CallOutcome, Env, HttpRequest, Random, StreamId};
use weir_login::config::{Account, Config, HandOut, Limits, Page, Scope, Sessions, Strangers};
use weir_login::metric::Metric;
use weir_login::{Answer, Call, Effect, Head, Identity, Key, Login, Step};

/// As weak as Envoy's.
#[derive(Default)]
struct Table(RefCell<HashMap<String, (Vec<u8>, u32)>>);

impl SharedData for Table {
    fn get(&self, key: &str) -> Option<(Vec<u8>, Cas)> {
        let table = self.0.borrow();
        table
            .get(key)
            .map(|(value, cas)| (value.clone(), Cas(*cas)))
    }

    fn set(&self, key: &str, value: &[u8], cas: Option<Cas>) -> Result<(), SetError> {
        let mut table = self.0.borrow_mut();
        let slot = table.entry(key.to_owned()).or_default();
        if cas.is_some_and(|cas| cas.0 != slot.1) && slot.1 != 0 {
            return Err(SetError::Conflict);
        }
        *slot = (value.to_vec(), slot.1 + 1);
        Ok(())
    }
}

struct Counting(u64);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            *byte = (self.0 >> 56) as u8;
        }
    }
}

pub(crate) const SESSION_LASTS_S: u64 = 3_600;

pub(crate) fn config() -> Config {
    let peer = |cluster: &str| Peer {
        cluster: cluster.to_owned(),
        authority: cluster.to_owned(),
        timeout_ms: 3_000,
    };
    let account = |name: &str, path: Option<&str>, hand_out| Account {
        name: name.to_owned(),
        source: format!("/accounts/{name}"),
        appid: format!("wx-{name}"),
        app_secret: Secret::new(format!("secret-of-{name}")),
        path: path.map(str::to_owned),
        hand_out,
    };
    let page = |prefix: &str, scope, strangers| Page {
        prefix: prefix.to_owned(),
        account: AccountId(2),
        scope,
        strangers,
    };
    Config {
        accounts: vec![
            account("mini", Some("/login/mini"), HandOut::Bearer),
            account("cookie", Some("/login/cookie"), HandOut::Cookie),
            account("oa", None, HandOut::Cookie),
        ],
        pages: vec![
            page("/shop/", Scope::Base, Strangers::LogIn),
            page("/shop/club/", Scope::UserInfo, Strangers::LogIn),
            page("/news/", Scope::Base, Strangers::Guests),
        ],
        sessions: Sessions {
            key: key('a'),
            previous_key: None,
            lasts_s: SESSION_LASTS_S,
            secure: true,
        },
        public_url: "https://shop.example.com".to_owned(),
        callback_path: "/weir/login".to_owned(),
        wechat_api: peer("wechat"),
        store: Some((peer("store"), "/v1/events".to_owned())),
        limits: Limits {
            max_body_bytes: 4_096,
            wait_ms: 5_000,
            uid_wait_ms: 800,
            held_max: 10,
            outbox_max_events: 100,
        },
    }
}

pub(crate) fn key(digit: char) -> Key {
    Key::from_hex(&String::from(digit).repeat(64)).expect("a key")
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Answered(Answer),
    /// The application has it, and its answer gets this cookie.
    Passed(Option<Identity>, Option<String>),
}

impl End {
    pub(crate) fn answer(self) -> Answer {
        match self {
            Self::Answered(answer) => answer,
            Self::Passed(..) => panic!("it passed"),
        }
    }
}

/// What the store does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It takes events, and whoever asks is told that the person is this.
    Knows(Option<i64>),
    /// It takes events and answers with this.
    Says(Value),
    /// It takes the next events, and its answer is lost; so many times.
    IsLate(u32),
    /// It does not take the next calls' events, so many times.
    IsAway(u32),
}

/// What WeChat says to the next call of a path; the last one stays.
type Script = BTreeMap<&'static str, Vec<(u16, Value)>>;

pub(crate) struct World {
    login: Login,
    table: Table,
    random: Counting,
    pub(crate) now: Now,
    next: u32,
    pub(crate) says: Script,
    /// What was asked, without the store's part.
    pub(crate) asked: Vec<HttpRequest>,
    /// What the store has, copies too.
    pub(crate) events: Vec<Value>,
    pub(crate) store: Mood,
    is_let_be: bool,
    /// How long logins would have waited for it, milliseconds each.
    pub(crate) waits: Vec<u32>,
    pub(crate) counted: Vec<Metric>,
    pub(crate) log: Vec<String>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(config())
    }

    pub(crate) fn with(config: Config) -> Self {
        let (table, mut random) = (Table::default(), Counting(1));
        let now = Now {
            unix_ms: 1_700_000_000_000,
            mono_ms: 1_000,
        };
        let login = Login::new(
            Rc::new(config),
            &mut Env {
                now,
                shared: &table,
                random: &mut random,
            },
        );
        Self {
            login,
            table,
            random,
            now,
            next: 1,
            says: Script::from([(
                "/cgi-bin/stable_token",
                vec![(200, json!({"access_token": "token-1", "expires_in": 7200}))],
            )]),
            asked: Vec::new(),
            events: Vec::new(),
            store: Mood::Knows(None),
            is_let_be: false,
            waits: Vec::new(),
            counted: Vec::new(),
            log: Vec::new(),
        }
    }

    /// The same secrets and table, another configuration.
    pub(crate) fn reconfigured(mut self, config: Config) -> Self {
        let env = &mut Env {
            now: self.now,
            shared: &self.table,
            random: &mut self.random,
        };
        self.login = Login::new(Rc::new(config), env);
        self
    }

    pub(crate) fn later(&mut self, seconds: u64) {
        self.now.unix_ms += seconds * 1_000;
        self.now.mono_ms += seconds * 1_000;
    }

    fn within<T>(&mut self, act: impl FnOnce(&mut Login, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: self.now,
            shared: &self.table,
            random: &mut self.random,
        };
        act(&mut self.login, &mut env)
    }

    pub(crate) fn post(&mut self, path: &str, bearer: Option<&str>, body: &Value) -> End {
        let authorization = bearer.map(|session| format!("Bearer {session}"));
        let head = Head {
            method: "POST",
            target: path,
            authorization: authorization.as_deref(),
            ..Head::default()
        };
        self.request(&head, body.to_string().into_bytes())
    }

    pub(crate) fn get(&mut self, target: &str, cookie: Option<&str>) -> End {
        let head = Head {
            method: "GET",
            target,
            cookie,
            accept: Some("text/html,*/*"),
            ends: true,
            ..Head::default()
        };
        self.request(&head, Vec::new())
    }

    /// One request from its head to its end.
    pub(crate) fn request(&mut self, head: &Head<'_>, body: Vec<u8>) -> End {
        let stream = StreamId(self.next);
        self.next += 1;
        let mut step = self.within(|login, env| login.on_request(stream, head, env));
        if step == Step::Hold
            && let Some(most) = self.login.wants(stream)
        {
            let body = Some(body).filter(|body| body.len() <= most);
            step = self.within(|login, env| login.on_body(stream, body, env));
        }
        let mut end = match step {
            Step::Respond(answer) => Some(End::Answered(answer)),
            Step::Forward {
                identity,
                set_cookie,
            } => Some(End::Passed(identity, set_cookie)),
            Step::Hold => None,
        };
        // The root: until nothing is left to do. Then events go to the store.
        for _ in 0..400 {
            while let Some(effect) = self.login.poll() {
                match effect {
                    Effect::Respond {
                        stream: whose,
                        answer,
                    } => {
                        assert_eq!(whose, stream);
                        assert!(
                            end.replace(End::Answered(answer)).is_none(),
                            "answered twice"
                        );
                    }
                    Effect::Call { call, request } => self.call(call, request),
                    Effect::Wake => self.within(Login::on_woken),
                    Effect::Count(metric, _) => self.counted.push(metric),
                    Effect::Log { line, .. } => self.log.push(line),
                }
            }
            if end.is_some() && (self.login.is_idle() || self.is_let_be) {
                break;
            }
            self.now.mono_ms += 50;
            self.now.unix_ms += 50;
            self.within(Login::on_tick);
        }
        assert!(self.login.is_idle() || self.is_let_be, "something is left");
        end.expect("an end")
    }

    /// Without waiting for what is done behind a request.
    pub(crate) fn let_be(&mut self, act: impl FnOnce(&mut Self)) {
        self.is_let_be = true;
        act(self);
        self.is_let_be = false;
        // Time for the store to be found away.
        for _ in 0..20 {
            self.now.mono_ms += 50;
            self.within(Login::on_tick);
            while let Some(effect) = self.login.poll() {
                if let Effect::Call { call, request } = effect {
                    self.call(call, request);
                }
            }
        }
    }

    /// Until nothing is left to do.
    pub(crate) fn settle(&mut self) {
        for _ in 0..2_000 {
            self.now.mono_ms += 50;
            self.within(Login::on_tick);
            while let Some(effect) = self.login.poll() {
                if let Effect::Call { call, request } = effect {
                    self.call(call, request);
                }
            }
        }
        assert!(self.login.is_idle(), "something is left");
    }

    fn call(&mut self, call: Call, request: HttpRequest) {
        let path = request
            .path
            .split('?')
            .next()
            .unwrap_or_default()
            .to_owned();
        let (status, body) = if let Call::Store | Call::Told(_) = call {
            if matches!(call, Call::Told(_)) {
                self.waits.push(request.timeout_ms);
            }
            let Some(said) = self.store_says(&request.body) else {
                let outcome = CallOutcome::Reset;
                return self.within(|login, env| login.on_call_done(call, &outcome, env));
            };
            (200, said)
        } else {
            let said = self.says.get_mut(path.as_str());
            let said = said.unwrap_or_else(|| panic!("nobody asks for {path}"));
            self.asked.push(request);
            if said.len() > 1 {
                said.remove(0)
            } else {
                said[0].clone()
            }
        };
        let body = body.to_string();
        let outcome = CallOutcome::Answer {
            status,
            retry_after_s: None,
            body: body.as_bytes(),
        };
        self.within(|login, env| login.on_call_done(call, &outcome, env));
    }

    /// `None`: nobody hears it.
    fn store_says(&mut self, batch: &[u8]) -> Option<Value> {
        let events: Vec<Value> = serde_json::from_slice(batch).expect("a batch");
        let (takes, said) = match &mut self.store {
            Mood::Knows(uid) => {
                let uid = *uid;
                let result = |event: &Value| {
                    let asks = event["weirask"] == "uid";
                    let uid = uid.filter(|_| asks);
                    json!({"id": event["id"], "status": "created", "uid": uid})
                };
                let results: Vec<_> = events.iter().map(result).collect();
                (true, Some(json!({ "results": results })))
            }
            Mood::Says(said) => (true, Some(said.clone())),
            Mood::IsLate(times) | Mood::IsAway(times) if *times == 0 => (true, Some(json!({}))),
            Mood::IsLate(times) => {
                *times -= 1;
                (true, None)
            }
            Mood::IsAway(times) => {
                *times -= 1;
                (false, None)
            }
        };
        if takes {
            self.events.extend(events);
        }
        said
    }

    /// A session of the mini program's user.
    pub(crate) fn logged_in(&mut self, session_key: &str) -> String {
        let user = json!({"openid": "o-mini", "session_key": session_key, "unionid": "u-1"});
        self.says.insert("/sns/jscode2session", vec![(200, user)]);
        let answer = self
            .post("/login/mini/login", None, &json!({"code": "c-1"}))
            .answer();
        body(&answer)["session"]
            .as_str()
            .expect("a session")
            .to_owned()
    }
}

pub(crate) fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("JSON")
}

pub(crate) fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let found = answer.headers.iter().find(|(header, _)| *header == name);
    found.map(|(_, value)| value.as_str())
}

/// What a browser sends back of it.
pub(crate) fn cookie_of(set_cookie: &str) -> String {
    set_cookie.split(';').next().unwrap_or_default().to_owned()
}
