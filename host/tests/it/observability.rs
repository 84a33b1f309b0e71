//! What a plugin can ask and tell: properties, metrics, logs, its environment.

use std::collections::HashMap;

use crate::client::{self, Connection};
use crate::rig::{Rig, Setup, on_this_host};

#[test]
fn properties_tell_of_request_connection_and_plugin() {
    let rig = Rig::start("one");
    let ask = |path: &str| rig.body(&format!("/property?path={path}"));
    assert_eq!(ask("plugin_name"), "guest");
    assert_eq!(ask("plugin_root_id"), "the-root");
    assert_eq!(ask("plugin_vm_id"), "guest-vm");
    assert_eq!(ask("xds.node.id"), "the-node");
    assert_eq!(ask("request.path"), "/property?path=request.path");
    assert_eq!(ask("request.url_path"), "/property");
    assert_eq!(ask("request.query"), "path=request.query");
    assert_eq!(ask("request.host"), "test");
    assert_eq!(ask("request.method"), "GET");
    assert_eq!(ask("request.protocol"), "HTTP/1.1");
    assert_eq!(ask("request.id").len(), 36);
    assert!(ask("source.address").starts_with("127.0.0.1:"));
    assert_eq!(ask("destination.address"), rig.address().to_string());
    for absent in [
        "node.id",
        "cluster_name",
        "listener_direction",
        "worker",
        "request.nothing",
        "response.code",
    ] {
        assert_eq!(ask(absent), "none", "{absent}");
    }
}

#[test]
fn numbers_are_eight_bytes_little_endian() {
    let rig = Rig::start("one");
    let ask = |path: &str| rig.body(&format!("/property-number?path={path}"));
    let time: u64 = ask("request.time").parse().expect("nanoseconds");
    assert!(time > 1_600_000_000_000_000_000);
    let size: u64 = ask("request.total_size").parse().expect("bytes");
    assert!((50..500).contains(&size), "{size}");
    let mut connection = Connection::to(rig.address());
    let id = connection.get("/property-number?path=connection.id").body;
    assert_eq!(
        connection.get("/property-number?path=connection.id").body,
        id
    );
    assert_eq!(
        connection.get("/property-number?path=connection_id").body,
        id
    );
    assert_ne!(ask("connection.id"), id);
}

#[test]
fn a_property_that_is_set_can_be_read_back() {
    let rig = Rig::start("one");
    assert_eq!(rig.body("/set-property"), "kept");
}

#[test]
fn metrics_allow_what_their_kind_allows_and_are_shared_by_name() {
    let rig = Rig::start("one");
    assert_eq!(
        rig.body("/metrics"),
        "[0, 0, 2, 2] (0, 5) [0, 0] (0, 7) [0, 2] 2 1"
    );
    rig.expect_count("exercise.counter", 5);
    rig.expect_count("exercise.gauge", 7);
    rig.body("/metrics");
    rig.expect_count("exercise.counter", 10);
}

#[test]
fn histograms_are_summarised() {
    if !on_this_host() {
        return;
    }
    let rig = Rig::start("one");
    rig.body("/metrics");
    rig.body("/metrics");
    let summary = rig.host().histograms()["wasmcustom.guest.exercise.histogram"];
    assert_eq!((summary.count, summary.sum, summary.max), (2, 14, 7));
}

#[test]
fn log_lines_carry_level_and_names_and_those_below_the_level_are_dropped() {
    let rig = Rig::start("one");
    rig.body("/log");
    rig.expect_log("wasm log guest the-root guest-vm: at Info");
    rig.expect_log("wasm log the-root guest-vm: configure one");
    rig.expect_log("printed");
    rig.expect_log("complained");
    let log = rig.log();
    assert!(
        !log.contains("at Debug") && !log.contains("at Trace"),
        "{log}"
    );
    let level_of = |part: &str| {
        let line = log.lines().find(|line| line.contains(part)).expect("said");
        ["info", "warn", "error"]
            .into_iter()
            .find(|level| line.contains(level))
    };
    assert_eq!(level_of("at Warn"), Some("warn"));
    assert_eq!(level_of("printed"), Some("info"));
    assert_eq!(level_of("complained"), Some("error"));
}

#[test]
fn the_environment_holds_the_given_values_and_the_named_host_variables() {
    let setup = Setup {
        env: HashMap::from([
            ("GUEST_SECRET".to_owned(), "from outside".to_owned()),
            ("GUEST_UNNAMED".to_owned(), "hidden".to_owned()),
        ]),
        ..Setup::default()
    };
    let rig = setup.start();
    let ask = |name: &str| rig.body(&format!("/env?name={name}"));
    assert_eq!(ask("GUEST_SECRET"), "from outside");
    assert_eq!(ask("GUEST_PLAIN"), "plain");
    assert_eq!(ask("GUEST_UNNAMED"), "");
    assert_eq!(ask("GUEST_MISSING"), "");
}

#[test]
fn randomness_and_both_clocks_work() {
    let rig = Rig::start("one");
    assert_eq!(rig.body("/random"), "3 true true");
}

#[test]
fn the_admin_listener_shows_stats_and_readiness() {
    if !on_this_host() {
        return;
    }
    let rig = Rig::start("one");
    rig.body("/metrics");
    let admin = rig.host().admin_addr().expect("configured");
    assert_eq!(client::get(admin, "/ready").body, "LIVE\n");
    let stats = client::get(admin, "/stats").body;
    assert!(
        stats.contains("wasmcustom.guest.exercise.counter: 5\n"),
        "{stats}"
    );
    assert!(
        stats.contains("wasmcustom.guest.exercise.histogram: count=1 sum=7 max=7\n"),
        "{stats}"
    );
    assert_eq!(client::get(admin, "/quitquitquit").status, 404);
}
