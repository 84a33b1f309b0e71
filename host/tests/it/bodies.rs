//! How a request's body, and its end, reach the plugin.

use crate::client::Connection;
use crate::rig::{Rig, Setup};

#[test]
fn a_body_comes_as_a_piece_and_then_again_with_the_end() {
    let rig = Rig::start("one");
    assert_eq!(
        rig.post("/body", "0123456789abcdef").body,
        "headers end=false; body 16 end=false; body 16 end=true; 16 bytes, 1..3 is 12, beyond is None"
    );
}

#[test]
fn while_the_plugin_pauses_each_call_sees_the_whole_body_so_far() {
    let rig = Rig::start("one");
    let mut connection = Connection::to(rig.address());
    connection.write(
        "POST /body HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n",
    );
    connection.write("2\r\nef\r\n0\r\n\r\n");
    let reply = connection.read().expect("a reply");
    assert!(
        reply
            .body
            .ends_with("body 6 end=true; 6 bytes, 1..3 is bc, beyond is None"),
        "{}",
        reply.body
    );
}

#[test]
fn a_request_without_a_body_ends_with_its_headers() {
    let rig = Rig::start("one");
    for request in [
        "GET /first-callback HTTP/1.1\r\nhost: test\r\n\r\n",
        "POST /first-callback HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n\r\n",
    ] {
        let mut connection = Connection::to(rig.address());
        connection.write(request);
        let reply = connection.read().expect("a reply");
        assert_eq!(reply.body, "headers end=true");
    }
}

#[test]
fn trailers_are_the_third_door_to_the_end() {
    let rig = Rig::start("one");
    let mut connection = Connection::to(rig.address());
    connection.write(
        "POST /trailers HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\ntrailer: x-last\r\n\r\n\
         4\r\nabcd\r\n0\r\nx-last: word\r\n\r\n",
    );
    assert_eq!(
        connection.read().expect("a reply").body,
        "headers end=false; body 4 end=false; trailers 1 word abcd"
    );
}

#[test]
fn without_the_option_trailers_are_dropped_and_the_body_ends() {
    let setup = Setup {
        manager: "codec_type: HTTP1".to_owned(),
        trailers: false,
        ..Setup::default()
    };
    let rig = setup.start();
    let mut connection = Connection::to(rig.address());
    connection.write(
        "POST /body HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\nx-last: word\r\n\r\n",
    );
    let body = connection.read().expect("a reply").body;
    assert!(body.contains("body 4 end=true"), "{body}");
}

#[test]
fn a_held_request_is_rewritten_and_let_go_by_one_continue() {
    let rig = Rig::start("one");
    assert_eq!(
        rig.post("/rewrite", "before").body,
        "POST /pass/rewritten HTTP/1.1 rewritten"
    );
}

#[test]
fn a_body_is_changed_in_front_and_behind_but_not_in_the_middle() {
    let rig = Rig::start("one");
    assert_eq!(rig.post("/set-body", "body").body, "0 0 2 >body!");
}

#[test]
fn headers_cannot_be_read_after_they_were_let_go() {
    let rig = Rig::start("one");
    let mut connection = Connection::to(rig.address());
    connection.write("POST /late-header HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\nab");
    assert_eq!(connection.read().expect("a reply").status, 200);
    rig.expect_log("late header 2");
}

#[test]
fn a_body_above_the_listeners_limit_is_a_413_from_the_host() {
    let setup = Setup {
        listener: "per_connection_buffer_limit_bytes: 1024".to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    let reply = rig.post("/body", &"x".repeat(4000));
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (413, "Payload Too Large")
    );
    let reply = rig.post("/pass", &"x".repeat(4000));
    assert_eq!(reply.status, 200, "what is not held is not limited");
}

#[test]
fn without_stop_iteration_a_paused_request_never_shows_its_body() {
    let setup = Setup {
        stop_iteration: false,
        manager: "stream_idle_timeout: 0.3s".to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    let reply = rig.post("/body", "abc");
    assert_eq!((reply.status, reply.body.as_str()), (504, "stream timeout"));
    assert_eq!(rig.post("/pass", "abc").body, "POST /pass HTTP/1.1 abc");
}

#[test]
fn header_values_may_hold_any_byte() {
    let rig = Rig::start("one");
    let mut connection = Connection::to(rig.address());
    connection.write(b"GET /header?name=x-raw HTTP/1.1\r\nhost: test\r\nx-raw: a\xff\xe4\r\n\r\n");
    assert_eq!(connection.read().expect("a reply").body, "[61, ff, e4]");
}

#[test]
fn pseudo_headers_are_there_and_hop_by_hop_headers_are_not() {
    let rig = Rig::start("one");
    let mut connection = Connection::to(rig.address());
    connection.write(
        "GET /headers HTTP/1.1\r\nHost: Test\r\nConnection: keep-alive\r\nX-Mixed: Case\r\n\r\n",
    );
    let body = connection.read().expect("a reply").body;
    let lines: Vec<&str> = body.lines().collect();
    for expected in [
        ":authority: Test",
        ":path: /headers",
        ":method: GET",
        ":scheme: http",
        "x-mixed: Case",
    ] {
        assert!(lines.contains(&expected), "{expected} in {body}");
    }
    for absent in ["host:", "connection:"] {
        assert!(
            !lines.iter().any(|line| line.starts_with(absent)),
            "{absent} in {body}"
        );
    }
}

#[test]
fn malformed_requests_never_reach_the_plugin() {
    let rig = Rig::start("one");
    for request in [
        &b"GET /\xe4 HTTP/1.1\r\nhost: test\r\n\r\n"[..],
        b"GET /who HTTP/1.1\r\n\r\n",
        b"POST /who HTTP/1.1\r\nhost: test\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST /who HTTP/1.1\r\nhost: test\r\ncontent-length: x\r\n\r\n",
    ] {
        let mut connection = Connection::to(rig.address());
        connection.write(request);
        let reply = connection.read().expect("a reply");
        assert_eq!(reply.status, 400, "{}", request.escape_ascii());
    }
    assert_eq!(
        rig.body("/who"),
        "one 1",
        "the first request the plugin saw"
    );
}

#[test]
fn paths_are_made_uniform_before_the_plugin_sees_them() {
    let setup = Setup {
        manager: "normalize_path: true
          merge_slashes: true
          path_with_escaped_slashes_action: REJECT_REQUEST"
            .to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    assert_eq!(rig.body("//x/../%77ho"), "one 1");
    assert_eq!(rig.get("/a%2fb").status, 400);
}

#[test]
fn headers_with_underscores_are_dropped_on_request() {
    let setup = Setup {
        manager: "common_http_protocol_options: { headers_with_underscores_action: DROP_HEADER }"
            .to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    let mut connection = Connection::to(rig.address());
    connection.write("GET /header?name=a_b HTTP/1.1\r\nhost: test\r\na_b: 1\r\n\r\n");
    assert_eq!(connection.read().expect("a reply").body, "[]");
}
