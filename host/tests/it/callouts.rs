//! HTTP callouts: their shapes of success and failure, and to whom they belong.

use crate::client::{Connection, eventually};
use crate::rig::{Rig, Setup};

/// The answer of `/call`, without the body's words.
fn call(rig: &Rig, query: &str) -> String {
    rig.body(&format!("/call?{query}"))
}

#[test]
fn an_answer_comes_with_its_headers_body_and_the_upstreams_time() {
    let rig = Rig::start("one");
    assert_eq!(
        call(&rig, "cluster=up&to=/x&ms=2000&body=ping"),
        "headers>0=true status=200 size=20 trailers=0 upstream=true code=0 message=None body=GET /x HTTP/1.1 ping"
    );
    let asked = &rig.upstream.asked()[0];
    assert_eq!(asked.header("host"), Some("up.test"));
    assert_eq!(asked.header("content-length"), Some("4"));
    assert_eq!(asked.header("x-envoy-internal"), Some("true"));
    assert_eq!(asked.header("x-envoy-expected-rq-timeout-ms"), Some("2000"));
}

#[test]
fn a_real_503_keeps_its_own_headers_and_body() {
    let rig = Rig::start("one");
    let answer = call(&rig, "cluster=up&to=/503&ms=2000");
    assert!(
        answer.contains("status=503 size=4 trailers=0 upstream=true"),
        "{answer}"
    );
    assert!(answer.ends_with("body=real"), "{answer}");
}

#[test]
fn an_unknown_cluster_and_missing_headers_are_bad_arguments() {
    let rig = Rig::start("one");
    assert_eq!(
        call(&rig, "cluster=unheard-of&to=/x&ms=100"),
        "dispatch BadArgument"
    );
    assert_eq!(
        call(&rig, "cluster=up&bare=1&ms=100"),
        "dispatch BadArgument"
    );
}

#[test]
fn a_cluster_without_hosts_or_without_room_is_an_internal_failure() {
    let rig = Rig::start("one");
    assert_eq!(
        call(&rig, "cluster=empty&to=/x&ms=100"),
        "dispatch InternalFailure"
    );
    assert_eq!(
        call(&rig, "cluster=closed&to=/x&ms=100"),
        "dispatch InternalFailure"
    );
}

#[test]
fn a_refused_connection_is_a_503_that_no_upstream_sent() {
    let rig = Rig::start("one");
    let answer = call(&rig, "cluster=nobody&to=/x&ms=2000");
    assert!(answer.contains("headers>0=true status=503"), "{answer}");
    assert!(answer.contains("upstream=false code=0"), "{answer}");
    assert!(
        answer.ends_with(
            "body=upstream connect error or disconnect/reset before headers. reset reason: remote connection failure"
        ),
        "{answer}"
    );
}

#[test]
fn a_connection_closed_before_the_headers_is_a_503_too() {
    let rig = Rig::start("one");
    let answer = call(&rig, "cluster=up&to=/close-at-once&ms=2000");
    assert!(answer.contains("status=503"), "{answer}");
    assert!(
        answer.ends_with("reset reason: connection termination"),
        "{answer}"
    );
}

#[test]
fn no_answer_in_time_is_a_504() {
    let rig = Rig::start("one");
    let answer = call(&rig, "cluster=up&to=/never&ms=200");
    assert!(
        answer.contains("status=504 size=24 trailers=0 upstream=false"),
        "{answer}"
    );
    assert!(
        answer.ends_with("body=upstream request timeout"),
        "{answer}"
    );
}

#[test]
fn a_connection_closed_in_the_body_comes_without_headers_and_leaves_a_status() {
    let rig = Rig::start("one");
    let expected = "headers>0=false status=2 size=0 trailers=0 upstream=false code=11 message=Some(\"reset\") body=";
    assert_eq!(call(&rig, "cluster=up&to=/break-in-body&ms=2000"), expected);
    let later = call(&rig, "cluster=up&to=/x&ms=2000");
    assert!(
        later.contains("code=11 message=None"),
        "the code stays, the message goes: {later}"
    );
}

#[test]
fn a_response_above_32_mib_is_like_a_broken_one() {
    let rig = Rig::start("one");
    let answer = call(&rig, "cluster=up&to=/huge&ms=20000");
    assert!(answer.starts_with("headers>0=false"), "{answer}");
    assert!(answer.contains("code=11"), "{answer}");
}

#[test]
fn call_headers_without_a_call_are_a_bad_argument_and_an_empty_map() {
    let rig = Rig::start("one");
    assert_eq!(rig.body("/call-headers-without-call"), "2 Ok([]) Ok(None)");
}

#[test]
fn connections_are_kept_for_the_next_call() {
    let rig = Rig::start("one");
    for _ in 0..3 {
        call(&rig, "cluster=up&to=/kept&ms=2000");
    }
    let asked = rig.upstream.asked_for("/kept");
    assert_eq!(asked.len(), 3);
    assert!(
        asked
            .iter()
            .all(|ask| ask.connection == asked[0].connection),
        "{asked:?}"
    );
}

#[test]
fn the_header_mutation_of_a_cluster_hides_what_is_nobodys_business() {
    let upstream = crate::upstream::Upstream::start();
    let port = upstream.address.port();
    let setup = Setup {
        clusters: format!(
            r#"
  - name: discreet
    type: STATIC
    load_assignment:
      cluster_name: discreet
      endpoints: [ {{ lb_endpoints: [ {{ endpoint: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }} }} }} ] }} ]
    typed_extension_protocol_options:
      envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
        "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
        explicit_http_config: {{ http_protocol_options: {{}} }}
        http_filters:
        - name: strip
          typed_config:
            "@type": type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation
            mutations: {{ request_mutations: [ {{ remove: x-envoy-internal }}, {{ remove: x-envoy-expected-rq-timeout-ms }} ] }}
        - name: envoy.filters.http.upstream_codec
          typed_config: {{ "@type": type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec }}"#
        ),
        ..Setup::default()
    };
    let rig = setup.try_start_with(upstream).expect("it starts");
    call(&rig, "cluster=discreet&to=/x&ms=2000");
    let asked = &rig.upstream.asked()[0];
    assert_eq!(asked.header("x-envoy-internal"), None);
    assert_eq!(asked.header("x-envoy-expected-rq-timeout-ms"), None);
}

#[test]
fn retries_are_asked_for_by_the_calls_own_headers() {
    let rig = Rig::start("one");
    rig.upstream.set_failing(true);
    let answer = call(&rig, "cluster=up&to=/flaky&ms=5000&retry=5xx");
    assert!(answer.contains("status=503"), "{answer}");
    let asked = rig.upstream.asked_for("/flaky");
    assert_eq!(asked.len(), 3);
    assert!(
        asked
            .iter()
            .all(|ask| ask.header("x-envoy-retry-on").is_none())
    );
    assert!(
        asked
            .iter()
            .all(|ask| ask.header("x-envoy-max-retries").is_none())
    );
}

#[test]
fn a_call_by_the_root_answers_the_stream_that_waits() {
    let rig = Rig::start("one");
    rig.upstream.open_gate();
    assert_eq!(rig.body("/root-call?to=/gate"), "from gate");
    assert_eq!(rig.count("answered"), 1);
}

#[test]
fn a_call_by_the_root_survives_the_client_and_finds_the_stream_gone() {
    let rig = Rig::start("one");
    let mut connection = Connection::to(rig.address());
    connection.write("GET /root-call?to=/gate HTTP/1.1\r\nhost: test\r\n\r\n");
    eventually("the callout", || {
        !rig.upstream.asked_for("/gate").is_empty()
    });
    drop(connection);
    rig.expect_log("stream deleted /root-call");
    rig.upstream.open_gate();
    rig.expect_count("late", 1);
    assert!(rig.log().contains("is gone: BadArgument"), "{}", rig.log());
}

#[test]
fn a_call_by_a_stream_runs_to_its_end_without_it() {
    let rig = Rig::start("one");
    let mut connection = Connection::to(rig.address());
    connection.write("GET /call?cluster=up&to=/gate&ms=10000 HTTP/1.1\r\nhost: test\r\n\r\n");
    eventually("the callout", || {
        !rig.upstream.asked_for("/gate").is_empty()
    });
    drop(connection);
    rig.expect_log("stream deleted /call");
    assert_eq!(rig.upstream.closed(), 0, "the connection is still used");
    rig.upstream.open_gate();
    // The answer is dropped without a word, and the connection carries the next call.
    assert!(call(&rig, "cluster=up&to=/next&ms=5000").contains("status=200"));
    let asked = rig.upstream.asked();
    assert_eq!(rig.upstream.closed(), 0, "{asked:?}");
}

#[test]
fn a_call_from_on_configure_is_made_by_every_vm_and_answered_to_those_that_live() {
    let setup = Setup {
        workers: 2,
        ..Setup::words("one call")
    };
    let rig = setup.start();
    // The main thread and two workers; the canary's connection is cut with it, perhaps before it asked.
    eventually("the callouts", || {
        rig.upstream.asked_for("/from-configure").len() >= 3
    });
    rig.upstream.open_gate();
    let answers = || rig.log().matches("root one answered").count();
    eventually("three answers", || answers() == 3);
}
