//! Two workers, callers that may hang up, a WeChat whose tokens die, and a network that loses answers.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::rc::Rc;

use serde_json::{Value, json};
use weir_door::config::{Account, Client, Config, Credits, HandOut, Limits, Linter};
use weir_door::{Call, Door, Effect, Head, HeldAnswer, Passing, Step, Verdict};
use weir_engine::config::{AccountId, Peer, Secret};
use weir_engine::shared::{Cas, SetError, SharedData};
use weir_engine::time::Now;
use weir_engine::{CallOutcome, Env, Random, StreamId};

pub(crate) const KEY: &str = "a-key-of-sixteen";

pub(crate) fn config() -> Config {
    let peer = |cluster: &str| Peer {
        cluster: cluster.to_owned(),
        authority: cluster.to_owned(),
        timeout_ms: 3_000,
    };
    let account = |name: &str| Account {
        name: name.to_owned(),
        source: format!("/accounts/{name}"),
        appid: format!("wx-{name}"),
        app_secret: Secret::new(format!("secret-of-{name}")),
    };
    let client = |name: &str, key: &str, accounts: &[u32]| Client {
        name: name.to_owned(),
        key: Some(Secret::new(key.to_owned())),
        san: None,
        accounts: accounts.iter().copied().map(AccountId).collect(),
        allow: vec!["/cgi-bin/".to_owned(), "/wxa/".to_owned()],
        deny: vec!["/cgi-bin/menu/".to_owned()],
    };
    Config {
        accounts: vec![account("demo"), account("other")],
        clients: vec![
            client("shop", KEY, &[0]),
            client("both", "another-key-of-sixteen", &[0, 1]),
        ],
        wechat_api: peer("wechat"),
        store: Some((peer("store"), "/v1/events".to_owned())),
        hand_out: HandOut::StandIn,
        linter: Linter::Warn,
        credits: None,
        quotas: Vec::new(),
        limits: Limits {
            replay_max_bytes: 4_096,
            wait_ms: 10_000,
            held_max: 100,
            stand_in_s: 7_200,
            outbox_max_events: 1_000,
        },
    }
}

/// As weak as Envoy's.
#[derive(Default)]
pub(crate) struct Table(RefCell<HashMap<String, (Vec<u8>, u32)>>);

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

/// SplitMix64.
#[derive(Clone)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides.max(1)
    }
}

impl Random for Dice {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill_with(|| self.roll(256) as u8);
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) errcode: i64,
}

#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) message: u64,
    /// What the store says when it is asked whether the message is allowed.
    pub(crate) credit: Credit,
    pub(crate) answer: Option<Answer>,
    /// WeChat's answer, held back by the door.
    held: Option<Vec<u8>>,
}

/// The word of the store on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credit {
    Left,
    NoneLeft,
    /// Nothing that is known of is left.
    Uncertain,
    /// It has never heard of the user.
    Unheard,
    /// It is down.
    Down,
    /// It does not answer in time.
    Late,
}

const CREDITS: [Credit; 6] = [
    Credit::Left,
    Credit::NoneLeft,
    Credit::Uncertain,
    Credit::Unheard,
    Credit::Down,
    Credit::Late,
];

#[derive(Default)]
pub(crate) struct WeChat {
    token: u64,
    /// How often each message was sent.
    pub(crate) sent: BTreeMap<u64, u64>,
    pub(crate) refused: u64,
    pub(crate) fetched: u64,
    pub(crate) died: u64,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Arrives(usize),
    HangsUp(usize),
    /// WeChat has the request of a stream, with this target.
    Reaches(usize, String),
    /// Its answer comes to the stream.
    Answers(usize, Vec<u8>, bool),
    CallReaches(usize, Call, String, Vec<u8>),
    CallDone(usize, Call, u16, Vec<u8>),
    Dies,
    Tick(usize),
    Wakes(usize),
}

pub(crate) struct World {
    dice: Dice,
    now_ms: u64,
    queue: BinaryHeap<Reverse<(u64, u64, Happening)>>,
    number: u64,
    shared: Table,
    doors: Vec<Door>,
    pub(crate) callers: Vec<Caller>,
    pub(crate) wechat: WeChat,
    pub(crate) store: Vec<Value>,
    is_kind: bool,
    ends_ms: u64,
    target: &'static str,
    /// How often the store was asked for a credit.
    pub(crate) asked: u64,
}

/// Status and body of an answer that is held back.
#[derive(Clone, Copy)]
struct Held<'a>(u16, &'a [u8]);

impl HeldAnswer for Held<'_> {
    fn status(&self) -> u16 {
        self.0
    }

    fn body(&self, size: usize) -> Vec<u8> {
        self.1[..size].to_vec()
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self::with_config(seed, config())
    }

    /// One whose callers send subscribe messages, and whose doors ask whether they may.
    pub(crate) fn with_credits(seed: u64) -> Self {
        let credits = Credits {
            path: "/v1/credits".to_owned(),
            timeout_ms: 200,
            long_term: Vec::new(),
        };
        let config = Config {
            credits: Some(credits),
            ..config()
        };
        Self {
            target: "/cgi-bin/message/subscribe/send",
            ..Self::with_config(seed, config)
        }
    }

    fn with_config(seed: u64, config: Config) -> Self {
        let mut world = Self {
            dice: Dice(seed),
            now_ms: 1_000,
            queue: BinaryHeap::new(),
            number: 0,
            shared: Table::default(),
            doors: Vec::new(),
            callers: Vec::new(),
            wechat: WeChat::default(),
            store: Vec::new(),
            is_kind: false,
            ends_ms: 0,
            target: "/cgi-bin/message/template/send",
            asked: 0,
        };
        let config = Rc::new(config);
        for worker in 0..2 {
            let mut dice = Dice(seed ^ 77 ^ worker);
            let mut env = Env {
                now: now(world.now_ms),
                shared: &world.shared,
                random: &mut dice,
            };
            world.doors.push(Door::new(config.clone(), &mut env));
        }
        world
    }

    /// No answer is lost, nobody hangs up, WeChat is never busy.
    pub(crate) fn only_tokens_die(&mut self) {
        self.is_kind = true;
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.doors.iter().all(Door::is_idle)
    }

    pub(crate) fn run(&mut self) {
        let callers = 1 + self.dice.roll(12) as usize;
        for caller in 0..callers {
            // Drawn beside the others: the worlds of old seeds stay what they were.
            let credit = CREDITS[self.dice.clone().roll(6) as usize];
            self.callers.push(Caller {
                message: 1 + caller as u64,
                credit,
                answer: None,
                held: None,
            });
            let at = self.dice.roll(400);
            self.after(at, Happening::Arrives(caller));
            if !self.is_kind && self.dice.roll(8) == 0 {
                let later = at + self.dice.roll(1_500);
                self.after(later, Happening::HangsUp(caller));
            }
        }
        for _ in 0..self.dice.roll(4) {
            let at = self.dice.roll(900);
            self.after(at, Happening::Dies);
        }
        for worker in 0..2 {
            self.after(worker * 13, Happening::Tick(worker as usize));
        }
        self.ends_ms = self.now_ms + 60_000;
        while let Some(Reverse((at_ms, _, happening))) = self.queue.pop() {
            self.now_ms = at_ms;
            self.happen(happening);
        }
    }

    fn after(&mut self, ms: u64, happening: Happening) {
        self.number += 1;
        let at = (self.now_ms + ms, self.number, happening);
        self.queue.push(Reverse(at));
    }

    fn with<T>(&mut self, worker: usize, act: impl FnOnce(&mut Door, &mut Env<'_>) -> T) -> T {
        let mut dice = Dice(self.dice.roll(u64::MAX));
        let mut env = Env {
            now: now(self.now_ms),
            shared: &self.shared,
            random: &mut dice,
        };
        let result = act(&mut self.doors[worker], &mut env);
        while let Some(effect) = self.doors[worker].poll() {
            self.perform(worker, effect);
        }
        result
    }

    fn perform(&mut self, worker: usize, effect: Effect) {
        let caller = |stream: StreamId| stream.0 as usize - 1;
        match effect {
            Effect::Release { stream, step } => self.step(caller(stream), step),
            Effect::Pass { stream } => {
                let caller = caller(stream);
                let body = self.callers[caller].held.take().expect("held");
                self.hears(caller, 200, &body);
            }
            Effect::Replace {
                stream,
                status,
                body,
                verdict,
            } => {
                assert!(verdict.is_some(), "it was a message");
                let caller = caller(stream);
                self.callers[caller].held.take().expect("held");
                self.hears(caller, status, &body);
            }
            Effect::Call { call, request } => {
                let ms = 1 + self.dice.roll(60);
                let reaches = Happening::CallReaches(worker, call, request.path, request.body);
                self.after(ms, reaches);
            }
            Effect::Wake => {
                // A wake-up may be lost; the tick comes.
                if self.dice.roll(10) > 0 {
                    self.after(0, Happening::Wakes(worker));
                }
            }
            Effect::Count(..) | Effect::Log { .. } => {}
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives(caller) => self.arrives(caller),
            Happening::HangsUp(caller) => {
                if self.callers[caller].answer.is_none() {
                    self.hears(caller, 0, b"");
                    let stream = StreamId(caller as u32 + 1);
                    self.with(caller % 2, |door, env| door.on_gone(stream, env));
                }
            }
            Happening::Reaches(caller, target) => {
                let message = self.callers[caller].message;
                match self.serve(&target, message) {
                    Some((body, comes)) => {
                        let ms = 1 + self.dice.roll(50);
                        self.after(ms, Happening::Answers(caller, body, comes));
                    }
                    None => self.after(1, Happening::Answers(caller, Vec::new(), false)),
                }
            }
            Happening::Answers(caller, body, comes) => self.answers(caller, &body, comes),
            Happening::CallReaches(worker, call, path, body) => {
                self.call_reaches(worker, call, &path, &body);
            }
            Happening::CallDone(worker, call, status, body) => {
                let outcome = match status {
                    0 => CallOutcome::Reset,
                    1 => CallOutcome::Refused,
                    status => CallOutcome::Answer {
                        status,
                        retry_after_s: None,
                        body: &body,
                    },
                };
                self.with(worker, |door, env| door.on_call_done(call, &outcome, env));
            }
            Happening::Dies => {
                self.wechat.token += 1;
                self.wechat.died += 1;
            }
            Happening::Tick(worker) => {
                self.with(worker, |door, env| door.on_tick(env));
                if self.now_ms < self.ends_ms {
                    self.after(50, Happening::Tick(worker));
                }
            }
            Happening::Wakes(worker) => self.with(worker, |door, env| door.on_woken(env)),
        }
    }

    fn arrives(&mut self, caller: usize) {
        let stream = StreamId(caller as u32 + 1);
        let bearer = format!("Bearer {KEY}");
        let head = Head {
            method: "POST",
            target: self.target,
            authorization: Some(&bearer),
            account: None,
            content_type: Some("application/json"),
            content_length: None,
            certificate: None,
            ends: false,
        };
        let step = self.with(caller % 2, |door, env| door.on_request(stream, &head, env));
        assert_eq!(step, Step::Hold, "the body is to come");
        let message = self.callers[caller].message.to_string();
        let body = json!({"touser": message, "template_id": "T", "data": {}}).to_string();
        let step = self.with(caller % 2, |door, env| {
            door.on_body(stream, Some(body.into_bytes()), env)
        });
        self.step(caller, step);
    }

    fn step(&mut self, caller: usize, step: Step) {
        match step {
            Step::Respond(_) => panic!("what is not sent says so"),
            Step::Refuse { response, verdict } => {
                // In words what the answer says in WeChat's numbers.
                assert_ne!(verdict.header(), "sent");
                assert_eq!(verdict, Verdict::of(&response.body));
                self.hears(caller, response.status, &response.body);
            }
            Step::Forward { path, hide } => {
                assert_eq!(hide, ["authorization"]);
                let ms = 1 + self.dice.roll(50);
                self.after(ms, Happening::Reaches(caller, path));
            }
            Step::Hold => {}
        }
    }

    /// WeChat does what is asked; whether its answer will come.
    fn serve(&mut self, target: &str, message: u64) -> Option<(Vec<u8>, bool)> {
        // A request may not arrive, its answer may not come back.
        let trouble = if self.is_kind { 99 } else { self.dice.roll(40) };
        if trouble == 0 {
            return None;
        }
        let good = target.contains(&format!("access_token=token-{}", self.wechat.token));
        assert!(
            target.contains("access_token=token-"),
            "a call without a token: {target}"
        );
        let answer = if !good {
            self.wechat.refused += 1;
            json!({"errcode": 40_001, "errmsg": "invalid credential"})
        } else if trouble == 1 {
            json!({"errcode": -1, "errmsg": "system error"})
        } else {
            *self.wechat.sent.entry(message).or_default() += 1;
            json!({"errcode": 0, "errmsg": "ok", "msgid": message})
        };
        Some((answer.to_string().into_bytes(), trouble != 2))
    }

    fn answers(&mut self, caller: usize, body: &[u8], comes: bool) {
        if self.callers[caller].answer.is_some() {
            return;
        }
        let stream = StreamId(caller as u32 + 1);
        let worker = caller % 2;
        if !comes {
            // Envoy answers for it.
            let body = b"upstream reset";
            let passing = self.passes(worker, stream, Held(503, body));
            assert_eq!(passing, Passing::On);
            return self.hears(caller, 503, body);
        }
        let passing = self.passes(worker, stream, Held(200, body));
        match passing {
            Passing::On => panic!("it was a message"),
            Passing::Sent(_) => self.hears(caller, 200, body),
            Passing::Hold => self.callers[caller].held = Some(body.to_vec()),
            Passing::More => panic!("there is no more"),
        }
    }

    fn passes(&mut self, worker: usize, stream: StreamId, held: Held<'_>) -> Passing {
        self.with(worker, |door, env| {
            door.on_answer(stream, held.1.len(), true, held, env)
        })
    }

    fn call_reaches(&mut self, worker: usize, call: Call, path: &str, body: &[u8]) {
        let (status, answer) = match call {
            Call::AccessToken(_) => {
                let lost = !self.is_kind && self.dice.roll(8) == 0;
                if lost {
                    (0, Vec::new())
                } else {
                    self.wechat.fetched += 1;
                    let token = format!("token-{}", self.wechat.token);
                    let answer = json!({"access_token": token, "expires_in": 7_200});
                    (200, answer.to_string().into_bytes())
                }
            }
            Call::Replay(stream) => {
                let refuses = !self.is_kind && self.dice.roll(12) == 0;
                let message = self.callers[stream.0 as usize - 1].message;
                match (
                    refuses,
                    refuses
                        .then_some(())
                        .map_or_else(|| self.serve(path, message), |()| None),
                ) {
                    (true, _) => (1, Vec::new()),
                    (false, Some((answer, true))) => (200, answer),
                    (false, _) => (0, Vec::new()),
                }
            }
            Call::Credit(stream) => self.tells_credit(stream, path),
            Call::Store => {
                let lost = !self.is_kind && self.dice.roll(6) == 0;
                if lost {
                    (503, Vec::new())
                } else {
                    let events: Vec<Value> = serde_json::from_slice(body).expect("a batch");
                    self.store.extend(events);
                    (200, Vec::new())
                }
            }
        };
        let ms = 1 + self.dice.roll(60);
        self.after(ms, Happening::CallDone(worker, call, status, answer));
    }

    fn tells_credit(&mut self, stream: StreamId, path: &str) -> (u16, Vec<u8>) {
        self.asked += 1;
        let caller = &self.callers[stream.0 as usize - 1];
        let message = caller.message;
        let query = format!("account=demo&openid={message}&template_id=T");
        assert_eq!(path, format!("/v1/credits?{query}"));
        let (balance, certain) = match caller.credit {
            Credit::Left => (1, true),
            Credit::NoneLeft => (0, true),
            Credit::Uncertain => (0, false),
            Credit::Unheard => {
                let nobody = json!({"items": [], "next_cursor": null});
                return (200, nobody.to_string().into_bytes());
            }
            Credit::Down => return (503, Vec::new()),
            Credit::Late => return (0, Vec::new()),
        };
        let credit = json!({"account": "demo", "openid": message.to_string(), "template_id": "T",
            "balance": balance, "certain": certain, "changed_at": "2024-04-26T06:30:00Z"});
        let page = json!({"items": [credit], "next_cursor": null});
        (200, page.to_string().into_bytes())
    }

    fn hears(&mut self, caller: usize, status: u16, body: &[u8]) {
        let caller = &mut self.callers[caller];
        if caller.answer.is_some() {
            assert_eq!(status, 0, "{caller:?} is answered twice");
            return;
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let errcode = body["errcode"].as_i64().unwrap_or(i64::from(status != 200));
        caller.answer = Some(Answer { status, errcode });
    }
}

pub(crate) fn now(mono_ms: u64) -> Now {
    Now {
        unix_ms: 1_700_000_000_000 + mono_ms,
        mono_ms,
    }
}
