//! WeChat's answers, as they pass: what hangs on their status, and that nothing else asks for it.

use std::cell::Cell;
use std::rc::Rc;

use weir_door::{Call, Door, Effect, Head, HeldAnswer, Passing, Step};
use weir_engine::owners::OwnerId;
use weir_engine::tokens::{self, Fetched};
use weir_engine::{Env, StreamId};

use crate::world::{Dice, KEY, Table, config, now};

const TOKEN_REFUSED: &str = r#"{"errcode":40001,"errmsg":"invalid credential"}"#;
const TICKET: &str = "/cgi-bin/ticket/getticket?type=jsapi";
const SEND: &str = "/cgi-bin/message/custom/send";

/// An answer, and how often its status was asked for.
struct Answer<'a> {
    status: u16,
    body: &'a str,
    asked: &'a Cell<u32>,
}

impl HeldAnswer for Answer<'_> {
    fn status(&self) -> u16 {
        self.asked.set(self.asked.get() + 1);
        self.status
    }

    fn body(&self, size: usize) -> Vec<u8> {
        self.body.as_bytes()[..size].to_vec()
    }
}

/// A door with an access token.
struct One {
    door: Door,
    shared: Table,
    random: Dice,
}

impl One {
    fn open() -> Self {
        let shared = Table::default();
        let mut random = Dice(1);
        let mut env = Env {
            now: now(1_000),
            shared: &shared,
            random: &mut random,
        };
        let door = Door::new(Rc::new(config()), &mut env);
        let token = Fetched::Token {
            token: "REAL".to_owned(),
            expires_in_s: 7_200,
        };
        let me = OwnerId::from_random([1; 4]);
        tokens::fetched(&shared, "wx-demo", me, &token, 1_000, 0);
        Self {
            door,
            shared,
            random,
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut Door, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: now(1_000),
            shared: &self.shared,
            random: &mut self.random,
        };
        act(&mut self.door, &mut env)
    }

    /// Another worker's door beside it.
    fn beside(&mut self) -> Door {
        self.with(|_, env| Door::new(Rc::new(config()), env))
    }

    fn asks(&mut self, stream: u32, target: &str) -> Step {
        self.with(|door, env| asks(door, stream, target, env))
    }

    /// What becomes of WeChat's answer, and how often its status was asked for.
    fn answered(&mut self, stream: u32, status: u16, body: &str) -> (Passing, u32) {
        let asked = Cell::new(0);
        let answer = Answer {
            status,
            body,
            asked: &asked,
        };
        let passing =
            self.with(|door, env| door.on_answer(StreamId(stream), body.len(), true, answer, env));
        (passing, asked.get())
    }

    /// What the store is told, once the root has its turn.
    fn told(&mut self) -> String {
        self.with(|door, env| door.on_tick(env));
        while let Some(effect) = self.door.poll() {
            if let Effect::Call {
                call: Call::Store,
                request,
            } = effect
            {
                return String::from_utf8(request.body).expect("JSON");
            }
        }
        String::new()
    }
}

/// A GET, or the POST of a message.
fn asks(door: &mut Door, stream: u32, target: &str, env: &mut Env<'_>) -> Step {
    let is_send = target == SEND;
    let bearer = format!("Bearer {KEY}");
    let head = Head {
        method: if is_send { "POST" } else { "GET" },
        target,
        authorization: Some(&bearer),
        account: None,
        content_type: is_send.then_some("application/json"),
        content_length: None,
        certificate: None,
        ends: !is_send,
    };
    let stream = StreamId(stream);
    let step = door.on_request(stream, &head, env);
    if !is_send {
        return step;
    }
    let body = br#"{"touser":"oA","msgtype":"text","text":{"content":"x"}}"#;
    door.on_body(stream, Some(body.to_vec()), env)
}

fn goes(step: &Step) -> bool {
    matches!(step, Step::Forward { .. })
}

#[test]
fn of_what_nobody_keeps_the_status_matters_where_it_is_an_error() {
    for (status, body, passing, asked) in [
        (200, r#"{"total":1}"#, Passing::On, 0),
        (500, r#"{"total":1}"#, Passing::On, 0),
        (200, "a picture", Passing::On, 1),
        (200, TOKEN_REFUSED, Passing::Hold, 1),
        // Somebody in between may say what WeChat would.
        (500, TOKEN_REFUSED, Passing::On, 1),
    ] {
        let mut one = One::open();
        assert!(goes(&one.asks(1, "/cgi-bin/user/get")));
        assert_eq!(
            one.answered(1, status, body),
            (passing, asked),
            "{status} {body}"
        );
    }
}

#[test]
fn a_token_refused_by_somebody_else_is_not_replaced() {
    let mut one = One::open();
    assert!(goes(&one.asks(1, "/cgi-bin/user/get")));
    one.answered(1, 502, TOKEN_REFUSED);
    let step = one.asks(2, "/cgi-bin/user/get");
    assert!(goes(&step), "the token is as good as before: {step:?}");
    one.answered(2, 200, TOKEN_REFUSED);
    assert_eq!(one.asks(3, "/cgi-bin/user/get"), Step::Hold);
}

#[test]
fn what_is_kept_for_all_is_an_answer_of_200() {
    let ticket = r#"{"errcode":0,"errmsg":"ok","ticket":"T","expires_in":7200}"#;
    let mut one = One::open();
    assert!(goes(&one.asks(1, TICKET)));
    assert_eq!(one.answered(1, 500, ticket), (Passing::On, 1));
    assert!(goes(&one.asks(2, TICKET)), "the next one asks again");
    assert_eq!(one.answered(2, 200, ticket), (Passing::On, 1));
    let Step::Respond(kept) = one.asks(3, TICKET) else {
        panic!("it is kept");
    };
    let kept = String::from_utf8_lossy(&kept.body);
    assert!(kept.contains(r#""ticket":"T""#), "{kept}");
}

#[test]
fn a_message_was_sent_where_wechat_says_so() {
    for (status, body, word, asked, outcome) in [
        (
            200,
            r#"{"errcode":0,"errmsg":"ok","msgid":7}"#,
            "sent",
            0,
            "sent",
        ),
        (200, "{}", "sent", 1, "sent"),
        // It says so of itself, whatever is said in between.
        (502, r#"{"errcode":0,"errmsg":"ok"}"#, "sent", 0, "sent"),
        (
            200,
            r#"{"errcode":45015,"errmsg":"x"}"#,
            "window",
            1,
            "refused",
        ),
    ] {
        let mut one = One::open();
        assert!(goes(&one.asks(1, SEND)));
        let (passing, times) = one.answered(1, status, body);
        let Passing::Sent(verdict) = passing else {
            panic!("{passing:?}");
        };
        let said = (&*verdict.header(), times);
        assert_eq!(said, (word, asked), "{status} {body}");
        let told = one.told();
        assert!(
            told.contains(&format!(r#""outcome":"{outcome}""#)),
            "{told}"
        );
        assert_eq!(
            told.contains(r#""msgid":"7""#),
            body.contains("msgid"),
            "{told}"
        );
    }
    // Somebody in between: nobody knows.
    for body in ["{}", TOKEN_REFUSED, "<html>"] {
        let mut one = One::open();
        assert!(goes(&one.asks(1, SEND)));
        assert_eq!(one.answered(1, 502, body), (Passing::On, 1));
        let told = one.told();
        assert!(told.contains(r#""outcome":"unknown""#), "{told}");
    }
}

#[test]
fn what_is_used_up_is_not_asked_for_again_today_by_any_worker() {
    let used_up = r#"{"errcode":45009,"errmsg":"reach max api daily quota limit"}"#;
    let mut one = One::open();
    let mut other = one.beside();
    let mut asks_other = |one: &mut One, stream| {
        goes(&one.with(|_, env| asks(&mut other, stream, "/cgi-bin/user/get", env)))
    };
    assert!(goes(&one.asks(1, "/cgi-bin/user/get")));
    assert!(asks_other(&mut one, 1));
    assert_eq!(one.answered(1, 200, used_up), (Passing::On, 1));
    assert!(!goes(&one.asks(2, "/cgi-bin/user/get")));
    assert!(goes(&one.asks(3, "/cgi-bin/user/info")), "another call");
    assert!(!asks_other(&mut one, 2), "at once, without a tick");
}
