//! Answers made by the plugin, and what becomes of them on their way out.

use crate::client::{Connection, get};
use crate::rig::{Rig, Setup};

#[test]
fn a_local_reply_carries_its_headers_and_its_own_length() {
    let rig = Rig::start("one");
    let reply = rig.get("/reply");
    assert_eq!((reply.status, reply.body.as_str()), (201, "hello"));
    assert_eq!(reply.header("x-one"), Some("1"));
    assert_eq!(reply.headers_named("x-two"), ["2", "3"]);
    assert_eq!(reply.headers_named("content-length"), ["5"]);
    assert_eq!(reply.header("content-type"), Some("text/plain"));
}

#[test]
fn a_local_reply_passes_the_plugins_own_response_callbacks() {
    let rig = Rig::start("one");
    let reply = rig.get("/reply");
    assert_eq!(reply.header("x-response-callback"), Some("body follows"));
    rig.expect_log("response body /reply 5 end=true");
    assert_eq!(
        rig.get("/reply-empty").header("x-response-callback"),
        Some("end")
    );
}

#[test]
fn the_first_of_two_replies_in_one_callback_wins_whatever_the_callback_returns() {
    let rig = Rig::start("one");
    let reply = rig.get("/reply-twice");
    assert_eq!((reply.status, reply.body.as_str()), (200, "first"));
    assert_eq!(rig.upstream.asked().len(), 0);
}

#[test]
fn a_reply_followed_by_a_panic_in_the_same_callback_is_a_503_without_body() {
    let rig = Rig::start("one");
    let reply = rig.get("/reply-and-panic");
    assert_eq!((reply.status, reply.body.as_str()), (503, ""));
}

#[test]
fn a_head_request_gets_the_headers_only() {
    let rig = Rig::start("one");
    let mut connection = Connection::to(rig.address());
    connection.write("HEAD /reply HTTP/1.1\r\nhost: test\r\n\r\n");
    let reply = connection.read_reply(true).expect("a reply");
    assert_eq!(reply.header("content-length"), Some("5"));
    assert_eq!(reply.header("x-response-callback"), Some("end"));
    assert_eq!(
        connection.get("/reply").body,
        "hello",
        "the connection goes on"
    );
}

#[test]
fn a_reply_before_the_end_of_the_body_closes_the_connection() {
    let rig = Rig::start("one");
    let mut connection = Connection::to(rig.address());
    connection.write("POST /reply HTTP/1.1\r\nhost: test\r\ncontent-length: 10\r\n\r\nhalf");
    let reply = connection.read().expect("a reply");
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("connection"), Some("close"));
    assert!(connection.is_closed_by_server());
}

#[test]
fn a_reset_stream_ends_the_connection_without_an_answer() {
    let rig = Rig::start("one");
    let mut connection = Connection::to(rig.address());
    connection.write("GET /reset HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(connection.read(), None);
}

#[test]
fn a_reply_from_the_response_headers_replaces_the_upstreams_response() {
    let rig = Rig::start("one");
    let reply = rig.get("/response-replaced");
    assert_eq!((reply.status, reply.body.as_str()), (299, "instead"));
    assert_eq!(rig.upstream.asked().len(), 1);
}

#[test]
fn a_response_body_is_held_and_rewritten_once_its_length_is_removed() {
    let rig = Rig::start("one");
    let reply = rig.get("/response-rewritten");
    assert_eq!(reply.body, "rewritten on the way back");
    assert_eq!(reply.header("content-length"), None);
}

#[test]
fn what_the_plugin_lets_through_reaches_the_upstream_with_its_changes() {
    let rig = Rig::start("one");
    let reply = rig.get("/add-header");
    assert_eq!(reply.body, "GET /add-header HTTP/1.1 ");
    assert_eq!(reply.header("x-response-callback"), Some("body follows"));
    let asked = &rig.upstream.asked()[0];
    assert_eq!(asked.header("x-added"), Some("by guest"));
    assert_eq!(asked.header("host"), Some("test"));
    assert_eq!(rig.get("/chunked").body, "abcde");
}

#[test]
fn routes_answer_match_and_switch_the_filter_off() {
    let setup = Setup {
        routes: r#"
              - match: { path: /pass/exact }
                direct_response: { status: 299, body: { inline_string: direct } }
              - match: { prefix: /reply }
                direct_response: { status: 298 }
                typed_per_filter_config:
                  guest-filter:
                    "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig
                    disabled: true
              - { match: { prefix: /pass/up }, route: { cluster: up, prefix_rewrite: /rewritten-by-route } }
              - { match: { prefix: /pass/dead }, route: { cluster: nobody } }
              - { match: { prefix: /pass/empty }, route: { cluster: empty } }
              - { match: { prefix: /never }, route: { cluster: up, timeout: 0.2s } }"#
            .to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    let outcome = |path: &str| {
        let reply = rig.get(path);
        (reply.status, reply.body)
    };
    assert_eq!(outcome("/pass/exact?query"), (299, "direct".to_owned()));
    assert_eq!(outcome("/pass/exact/not"), (404, String::new()));
    assert_eq!(outcome("/reply"), (298, String::new()), "the filter is off");
    assert_eq!(rig.get("/reply").header("x-response-callback"), None);
    let rewritten = "GET /rewritten-by-route/x HTTP/1.1 ".to_owned();
    assert_eq!(outcome("/pass/up/x"), (200, rewritten));
    assert_eq!(
        outcome("/pass/empty"),
        (503, "no healthy upstream".to_owned())
    );
    let (status, body) = outcome("/pass/dead");
    assert_eq!(status, 503);
    assert!(
        body.starts_with(
            "upstream connect error or disconnect/reset before headers. reset reason: "
        )
    );
    assert_eq!(
        outcome("/never"),
        (504, "upstream request timeout".to_owned())
    );
}

#[test]
fn what_a_route_or_its_host_removes_does_not_reach_the_upstream() {
    let setup = Setup {
        routes: r#"
              - match: { prefix: /add-header }
                route: { cluster: up }
                request_headers_to_remove: [X-Added, x-request-id]"#
            .to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    assert_eq!(rig.get("/add-header").status, 200);
    let asked = &rig.upstream.asked()[0];
    assert_eq!(asked.header("x-added"), None, "the guest's header");
    assert_eq!(asked.header("x-request-id"), None);
    assert_eq!(asked.header("host"), Some("test"));
}

#[test]
fn a_connection_carries_one_request_after_the_other() {
    let rig = Rig::start("one");
    let mut connection = Connection::to(rig.address());
    let id = |reply: crate::client::Reply| reply.body.parse::<u32>().expect("a context id");
    let first = id(connection.get("/id"));
    let second = id(connection.get("/id"));
    assert!(second > first, "context ids are not used twice");
    assert_ne!(get(rig.address(), "/id").body, second.to_string());
}

#[test]
fn two_filters_see_a_request_one_after_the_other_and_its_response_the_other_way_round() {
    let module = crate::guest::module();
    let module = module.display();
    let setup = Setup {
        filters: format!(
            r#"- name: second-filter
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config:
                name: second
                root_id: the-root
                vm_config:
                  vm_id: guest-vm
                  runtime: envoy.wasm.runtime.v8
                  code: {{ local: {{ filename: "{module}" }} }}
                configuration:
                  "@type": type.googleapis.com/google.protobuf.StringValue
                  value: two"#
        ),
        routes: r#"
              - match: { prefix: /who }
                route: { cluster: up }
                typed_per_filter_config:
                  guest-filter:
                    "@type": type.googleapis.com/envoy.config.route.v3.FilterConfig
                    disabled: true
              - { match: { prefix: / }, route: { cluster: up } }"#
            .to_owned(),
        ..Setup::default()
    };
    let rig = setup.start();
    assert_eq!(rig.body("/who"), "two 1", "the first is off on this route");
    assert_eq!(
        rig.post("/rewrite", "before").body,
        "POST /pass/rewritten HTTP/1.1 rewritten"
    );
    rig.expect_log("wasm log second the-root guest-vm: stream deleted /pass/rewritten");
    let log = rig.log();
    let at = |part: &str| {
        log.find(part)
            .unwrap_or_else(|| panic!("{part:?} in {log}"))
    };
    let second = at("wasm log second the-root guest-vm: response body /pass/rewritten");
    let first = at("wasm log guest the-root guest-vm: response body /rewrite");
    assert!(second < first, "{log}");
    assert_eq!(
        rig.body("/reply"),
        "hello",
        "what the first answers the second sees on its way out"
    );
    rig.expect_log("wasm log guest the-root guest-vm: response body /reply");
}
