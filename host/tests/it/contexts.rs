//! Contexts: what the root can do for a stream, and what the end of a stream means.

use crate::client::{Connection, eventually};
use crate::rig::{Rig, Setup};

#[test]
fn a_parked_stream_is_answered_from_a_tick_by_the_effective_context() {
    let rig = Rig::start("one tick");
    assert_eq!(rig.body("/park-and-answer"), "by the tick");
}

#[test]
fn a_parked_stream_is_resumed_from_a_tick() {
    let rig = Rig::start("one tick");
    assert_eq!(
        rig.body("/park-and-resume"),
        "GET /park-and-resume HTTP/1.1 "
    );
}

#[test]
fn a_reply_on_the_root_itself_goes_nowhere_and_says_nothing() {
    let setup = Setup {
        manager: "stream_idle_timeout: 0.5s".to_owned(),
        ..Setup::words("one tick")
    };
    let rig = setup.start();
    let reply = rig.get("/park-and-answer-on-root");
    assert_eq!((reply.status, reply.body.as_str()), (504, "stream timeout"));
    rig.expect_log("answered on the root");
}

#[test]
fn a_context_that_is_not_there_cannot_be_the_effective_one() {
    let rig = Rig::start("one");
    assert_eq!(rig.body("/effective-unknown"), "Err(BadArgument)");
}

#[test]
fn done_is_not_found_while_nobody_asked_whether_it_is_done() {
    let rig = Rig::start("one");
    assert_eq!(rig.body("/done-status"), "1");
}

#[test]
fn a_stream_ends_with_log_then_done_then_delete() {
    let rig = Rig::start("one");
    assert_eq!(rig.get("/reply").status, 201);
    rig.expect_log("stream deleted /reply");
    let log = rig.log();
    let at = |part: &str| {
        log.find(part)
            .unwrap_or_else(|| panic!("{part:?} in {log}"))
    };
    let logged = at("stream log /reply Some(201)");
    assert!(logged < at("stream done /reply"));
    assert!(at("stream done /reply") < at("stream deleted /reply"));
    assert!(
        log.contains(r#"Some("GET")"#),
        "headers can be read again in on_log: {log}"
    );
}

#[test]
fn a_client_that_leaves_a_parked_stream_ends_it() {
    let rig = Rig::start("one");
    let mut connection = Connection::to(rig.address());
    connection.write("POST /park HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nab");
    eventually("the request", || rig.body("/who") != "one 1");
    drop(connection);
    rig.expect_log("stream deleted /park");
    assert!(
        rig.log()
            .contains("stream log /park None downstream_remote_disconnect"),
        "{}",
        rig.log()
    );
}

#[test]
fn ticks_run_on_the_main_thread_and_on_every_worker() {
    let setup = Setup {
        workers: 2,
        ..Setup::words("one tick")
    };
    let rig = setup.start();
    eventually("many ticks", || rig.count("ticks") >= 30);
}

#[test]
fn a_silent_stream_is_ended_by_the_idle_timeout() {
    let setup = Setup {
        manager: "stream_idle_timeout: 0.2s".to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    let reply = rig.get("/park");
    assert_eq!((reply.status, reply.body.as_str()), (504, "stream timeout"));
    assert_eq!(
        reply.header("x-response-callback"),
        Some("body follows"),
        "the host's own replies pass the filters too"
    );
}

#[test]
fn an_old_stream_is_ended_by_the_stream_duration() {
    let setup = Setup {
        manager: "common_http_protocol_options: { max_stream_duration: 0.2s }".to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    let reply = rig.get("/park");
    assert_eq!(reply.status, 504);
    assert_eq!(reply.body, "downstream duration timeout");
}

#[test]
fn an_incomplete_request_is_ended_by_the_request_timeout() {
    let setup = Setup {
        manager: "request_timeout: 0.2s".to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    let mut connection = Connection::to(rig.address());
    connection.write("POST /body HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf");
    let reply = connection.read().expect("a reply");
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (408, "request timeout")
    );
}
