//! The sending clock, 5 s at a fraction of their length, against servers that answer, fail, hang and come too late.

use std::time::Duration;

use weir_sim::http::{Framing, Target};
use weir_sim::sender::AfterFailure;
use weir_sim::wechat::{AesKey, Format, Mode, cipher, signature};
use weir_sim::{Account, Clock, Fault, Fields, Outcome, Push, Sender, SendingClock, UserSees};

use crate::backend::{Act, Backend, Received};

/// 5 s become 1 s: short enough to wait for, long enough for a busy machine to answer in.
const FASTER: u32 = 5;

/// Real patience, and no waiting after an answer that failed.
fn eager() -> SendingClock {
    SendingClock {
        after_failure: AfterFailure::AtOnce,
        ..SendingClock::default()
    }
}

fn account() -> Account {
    Account::random("demo")
}

fn sender(account: &Account, backend: &Backend) -> Sender {
    Sender::new(account.clone(), &backend.url("/wechat/demo"))
        .unwrap()
        .with_timing(SendingClock::faster(FASTER))
}

fn statuses(exchange: &weir_sim::Exchange) -> Vec<Option<u16>> {
    exchange
        .attempts
        .iter()
        .map(weir_sim::Attempt::status)
        .collect()
}

/// What the push says, however it came, every signature checked.
fn open(account: &Account, request: &Received) -> Vec<u8> {
    let query = |name: &str| request.query[name].as_str();
    let (timestamp, nonce) = (query("timestamp"), query("nonce"));
    assert_eq!(
        signature::sign(&[&account.token, timestamp, nonce]),
        query("signature")
    );
    if account.mode == Mode::Plain {
        assert!(
            !request.query.contains_key("msg_signature")
                && !request.query.contains_key("encrypt_type")
        );
        return request.body.clone();
    }
    assert_eq!(query("encrypt_type"), "aes");
    let outer = match account.format {
        Format::Xml => Fields::from_xml(&request.body).unwrap(),
        Format::Json => Fields::from_json(&request.body).unwrap(),
    };
    assert_eq!(outer.text("ToUserName"), Some(account.original_id.as_str()));
    assert_eq!(
        outer.get("Content").is_some(),
        account.mode == Mode::Compatible,
        "readable fields beside Encrypt"
    );
    let encrypt = outer.text("Encrypt").unwrap();
    assert_eq!(
        signature::sign(&[&account.token, timestamp, nonce, encrypt]),
        query("msg_signature")
    );
    let key = AesKey::parse(&account.encoding_aes_key).unwrap();
    cipher::decrypt(&key, encrypt, &account.appid).unwrap()
}

#[tokio::test]
async fn an_answer_in_time_ends_the_exchange() {
    let backend = Backend::start(|_, _| Act::ok("success")).await;
    let account = account();
    let exchange = sender(&account, &backend)
        .push(&Push::text(&account, "oUser", "hi"))
        .await;
    assert_eq!(exchange.reply, UserSees::Nothing);
    assert_eq!(statuses(&exchange), [Some(200)]);
    assert_eq!(backend.received().len(), 1);
}

#[tokio::test]
async fn a_server_that_hangs_gets_three_attempts_and_every_connection_is_closed() {
    let backend = Backend::start(|_, _| Act::Hang).await;
    let account = account();
    let exchange = sender(&account, &backend)
        .push(&Push::text(&account, "oUser", "hi"))
        .await;
    assert_eq!(exchange.reply, UserSees::ServiceFault(Fault::NoAnswer));
    assert!(
        exchange
            .attempts
            .iter()
            .all(|attempt| attempt.outcome == Outcome::Cut)
    );
    assert_eq!(exchange.attempts.len(), 3);
    let slot = SendingClock::faster(FASTER).interval;
    for (attempt, number) in exchange.attempts.iter().zip(0..) {
        assert!(
            attempt.started_after >= slot * number,
            "attempt {} came before its slot",
            number + 1
        );
    }
    while backend.hung_up() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_status_other_than_200_is_followed_by_the_next_attempt_in_its_slot() {
    let backend = Backend::start(|number, _| {
        if number < 3 {
            Act::Answer(500, vec![])
        } else {
            Act::ok("success")
        }
    })
    .await;
    let account = account();
    let exchange = sender(&account, &backend)
        .push(&Push::text(&account, "oUser", "hi"))
        .await;
    assert_eq!(statuses(&exchange), [Some(500), Some(500), Some(200)]);
    assert_eq!(exchange.reply, UserSees::Nothing);
    assert!(exchange.attempts[2].started_after >= 2 * SendingClock::faster(FASTER).interval);
}

#[tokio::test]
async fn redirects_are_not_followed_and_broken_answers_are_failures() {
    let acts = |number, _: &Received| match number {
        1 => Act::Answer(302, vec![]),
        2 => Act::Close,
        _ => Act::Raw("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nsucc"),
    };
    let backend = Backend::start(acts).await;
    let account = account();
    let sender = sender(&account, &backend).with_timing(eager());
    let exchange = sender.push(&Push::text(&account, "oUser", "hi")).await;
    assert_eq!(exchange.attempts[0].outcome, Outcome::Refused);
    assert!(matches!(exchange.attempts[1].outcome, Outcome::Broken(_)));
    assert!(matches!(exchange.attempts[2].outcome, Outcome::Broken(_)));
    assert_eq!(exchange.reply, UserSees::ServiceFault(Fault::NoAnswer));
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_lost_and_the_next_in_time_counts() {
    let late = SendingClock::faster(FASTER).cut * 2;
    let backend = Backend::start(move |number, _| match number {
        1 => Act::AnswerAfter(late, 200, b"success".to_vec()),
        _ => Act::ok(""),
    })
    .await;
    let account = account();
    let exchange = sender(&account, &backend)
        .push(&Push::text(&account, "oUser", "hi"))
        .await;
    assert_eq!(statuses(&exchange), [None, Some(200)]);
    assert_eq!(exchange.attempts[0].outcome, Outcome::Cut);
}

#[tokio::test]
async fn nobody_listening_is_three_broken_attempts() {
    let account = account();
    let port = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let sender = Sender::new(account.clone(), &format!("http://127.0.0.1:{port}/")).unwrap();
    let exchange = sender
        .with_timing(SendingClock::faster(100))
        .push(&Push::subscribe(&account, "oUser"))
        .await;
    assert!(
        exchange
            .attempts
            .iter()
            .all(|attempt| matches!(attempt.outcome, Outcome::Broken(_)))
    );
    assert_eq!(exchange.attempts.len(), 3);
}

#[tokio::test]
async fn retries_say_the_same_and_are_signed_anew() {
    for (mode, format) in [
        (Mode::Plain, Format::Xml),
        (Mode::Plain, Format::Json),
        (Mode::Compatible, Format::Xml),
        (Mode::Compatible, Format::Json),
        (Mode::Encrypted, Format::Xml),
        (Mode::Encrypted, Format::Json),
    ] {
        let backend = Backend::start(|_, _| Act::Answer(503, vec![])).await;
        let account = account().with_mode(mode).with_format(format);
        let push = Push::text(&account, "oUser", "你好 😀 ]]> <b>");
        sender(&account, &backend)
            .with_timing(eager())
            .push(&push)
            .await;
        let received = backend.received();
        assert_eq!(received.len(), 3);
        for request in &received {
            assert_eq!(
                open(&account, request),
                push.body(format),
                "{mode:?} {format:?}"
            );
            assert_eq!(request.query["openid"], "oUser");
        }
        assert_ne!(received[0].query["nonce"], received[1].query["nonce"]);
        assert_eq!(
            received[0].body == received[1].body,
            mode == Mode::Plain,
            "encrypted anew"
        );
    }
}

#[tokio::test]
async fn retries_can_repeat_the_first_attempt_byte_by_byte() {
    let backend = Backend::start(|_, _| Act::Answer(503, vec![])).await;
    let account = account();
    let sender = sender(&account, &backend).with_timing(eager()).repeating();
    sender.push(&Push::text(&account, "oUser", "hi")).await;
    let received = backend.received();
    assert_eq!(
        (&received[0].query, &received[0].body),
        (&received[2].query, &received[2].body)
    );
}

#[tokio::test]
async fn each_attempt_can_go_to_another_server_from_another_port() {
    let first = Backend::start(|_, _| Act::Answer(500, vec![])).await;
    let second = Backend::start(|_, _| Act::ok("success")).await;
    let port = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let account = account();
    let targets = vec![
        Target::parse(&first.url("/a")).unwrap(),
        Target::parse(&second.url("/b")).unwrap().from_port(port),
    ];
    let exchange = sender(&account, &first)
        .with_targets(targets)
        .push(&Push::text(&account, "oUser", "hi"))
        .await;
    assert_eq!(exchange.attempts.len(), 2);
    assert_eq!((first.received().len(), second.received().len()), (1, 1));
    assert_eq!(second.received()[0].path, "/b");
    assert_eq!(second.received()[0].peer.port(), port);
}

#[tokio::test]
async fn a_request_can_be_bent_in_every_part() {
    let backend = Backend::start(|_, _| Act::ok("success")).await;
    let account = account();
    let sender = sender(&account, &backend)
        .with_clock(Clock::manual(1_000_000_000))
        .bending(|number, request| {
            assert_eq!(number, 1);
            request
                .set_query("signature", "0".repeat(40))
                .remove_query("openid")
                .add_header("X-Odd", b"\xff\xfe");
            request.body = b"abcdef".to_vec();
            request.framing = Framing::Chunked {
                size: 4,
                trailers: vec![(b"X-After".to_vec(), b"1".to_vec())],
            };
        });
    sender.push(&Push::text(&account, "oUser", "hi")).await;
    let request = &backend.received()[0];
    assert_eq!(request.query["signature"], "0".repeat(40));
    assert_eq!(request.query["timestamp"], "1000000000");
    assert!(!request.query.contains_key("openid"));
    assert!(
        request
            .headers
            .contains(&("x-odd".to_owned(), b"\xff\xfe".to_vec()))
    );
    assert_eq!(
        request.body,
        b"4\r\nabcd\r\n2\r\nef\r\n0\r\nX-After: 1\r\n\r\n"
    );
}

#[tokio::test]
async fn a_downgraded_push_travels_readable() {
    let backend = Backend::start(|_, _| Act::ok("success")).await;
    let account = account();
    let push = Push::text(&account, "oUser", "hi");
    sender(&account, &backend)
        .in_mode(Mode::Plain)
        .push(&push)
        .await;
    let request = &backend.received()[0];
    assert_eq!(
        open(&account.with_mode(Mode::Plain), request),
        push.body(Format::Xml)
    );
}

#[tokio::test]
async fn verification_wants_the_echostr_and_nothing_else() {
    let account = account();
    let token = account.token.clone();
    let right = move |request: &Received| {
        let query = |name: &str| request.query[name].as_str();
        assert_eq!(
            signature::sign(&[&token, query("timestamp"), query("nonce")]),
            query("signature")
        );
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("GET", "/wechat/demo")
        );
        query("echostr").as_bytes().to_vec()
    };
    let backend = Backend::start(move |number, request| match number {
        1 => Act::ok(right(request)),
        2 => Act::ok([right(request), b"\n".to_vec()].concat()),
        3 => Act::Answer(403, vec![]),
        _ => Act::Hang,
    })
    .await;
    let sender = sender(&account, &backend);
    assert_eq!(sender.verify_url().await.result, Ok(()));
    for _ in 0..3 {
        assert!(sender.verify_url().await.result.is_err());
    }
}
