//! Reading `envoy.yaml`: what is run, what is named, what is refused.

use std::collections::HashMap;
use std::path::PathBuf;

use weir_host::config::{self, Loaded, Problem, RouteAction, Surroundings};

use crate::rig::Setup;

fn load(yaml: &str) -> Result<Loaded, Problem> {
    let surroundings = Surroundings {
        base_dir: PathBuf::from("/base"),
        env: HashMap::from([("GUEST_SECRET".to_owned(), "s3cret".to_owned())]),
    };
    config::load(yaml, &surroundings)
}

fn usual() -> String {
    Setup::default().yaml(([127, 0, 0, 1], 8080).into())
}

#[test]
fn the_shipped_configuration_is_understood_to_its_last_field() {
    let yaml = include_str!("../../../envoy.yaml");
    // The bundle of authorities is the one thing that a machine may not have where the file says.
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let yaml = yaml.replace("/etc/ssl/certs/ca-certificates.crt", here);
    let loaded = load(&yaml).expect("it is usable");
    // What guards the API door in Envoy; it listens on this machine only.
    let manager = "static_resources.listeners[1].filter_chains[0].filters[0].typed_config";
    let unguarded = [0, 1].map(|n| {
        format!("{manager}.http_filters[{n}] (only Wasm and Router; this filter does nothing here)")
    });
    assert_eq!(loaded.not_understood, unguarded);
    let names: Vec<_> = loaded
        .config
        .listeners
        .iter()
        .map(|l| l.name.as_str())
        .collect();
    assert_eq!(names, ["weir_push", "weir_api", "weir_web"]);
    let modules = ["weir", "weir-door", "weir-login"];
    for (listener, module) in loaded.config.listeners.iter().zip(modules) {
        let filter = &listener.manager.filters[0].wasm;
        let code = format!("/base/target/{module}.wasm");
        assert_eq!(filter.vm.code, PathBuf::from(code));
        assert!(filter.allow_on_headers_stop_iteration);
    }
    let to_wechat = &loaded.config.listeners[1].manager.virtual_hosts[0].routes[0];
    assert!(to_wechat.removed_headers.contains("x-forwarded-for"));
    let clusters: Vec<_> = loaded
        .config
        .clusters
        .iter()
        .map(|c| c.name.as_str())
        .collect();
    assert_eq!(clusters, ["weir_store", "app", "wechat_api"]);
    let tls = loaded.config.clusters[2]
        .tls
        .as_ref()
        .expect("it speaks TLS");
    assert_eq!(tls.sni.as_deref(), Some("api.weixin.qq.com"));
    assert_eq!(tls.subject_alt_names, ["api.weixin.qq.com"]);
}

#[test]
fn what_is_not_understood_is_named_by_its_path() {
    let yaml = usual()
        .replace(
            "root_id: the-root",
            "root_id: the-root\n                capability_restriction_config: {}",
        )
        .replace(
            "type: STATIC\n    load",
            "type: STATIC\n    outlier_detection: {}\n    load",
        )
        .replace(
            "- { match: { prefix: / }, route: { cluster: up } }",
            "- { match: { safe_regex: { regex: x } }, route: { cluster: up } }",
        );
    let loaded = load(&yaml).expect("usable all the same");
    let listener = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config";
    let named = &loaded.not_understood;
    assert!(
        named.contains(&format!(
            "{listener}.http_filters[0].typed_config.config.capability_restriction_config"
        )),
        "{named:#?}"
    );
    assert!(
        named.contains(&"static_resources.clusters[0].outlier_detection".to_owned()),
        "{named:#?}"
    );
    assert!(
        named.iter().any(|path| path.starts_with(&format!(
            "{listener}.route_config.virtual_hosts[0].routes[0].match"
        ))),
        "{named:#?}"
    );
    assert_eq!(
        loaded.config.listeners[0].manager.virtual_hosts[0].routes,
        []
    );
}

#[test]
fn what_is_known_and_does_nothing_here_is_told_apart() {
    let yaml = usual().replace(
        "stat_prefix: main",
        "stat_prefix: main\n          access_log: []",
    );
    let loaded = load(&yaml).expect("usable");
    assert_eq!(loaded.not_understood, Vec::<String>::new());
    let harmless = &loaded.without_effect;
    assert!(
        harmless
            .iter()
            .any(|path| path.ends_with("typed_config.access_log")),
        "{harmless:#?}"
    );
}

#[test]
fn what_cannot_be_run_at_all_is_refused_with_its_path() {
    let check = |from: &str, to: &str, expected: &str| {
        let yaml = usual();
        assert!(yaml.contains(from), "{from}");
        let problem = load(&yaml.replacen(from, to, 1)).expect_err(to).to_string();
        assert!(problem.contains(expected), "{to}: {problem}");
    };
    check(
        "type: STATIC",
        "type: EDS",
        "static_resources.clusters[0]: a cluster of type EDS cannot be run",
    );
    check(
        "port_value: 8080",
        "port_value: 80800",
        "port_value: expected a port",
    );
    check(
        "failure_policy: FAIL_RELOAD",
        "failure_policy: NEVER",
        "failure_policy: expected FAIL_CLOSED",
    );
    check("local: {", "remote: {", "code: the field local is missing");
    check(
        "google.protobuf.StringValue",
        "google.protobuf.Struct",
        "write a google.protobuf.StringValue",
    );
    check(
        "GUEST_MISSING]",
        "GUEST_PLAIN]",
        "the key GUEST_PLAIN is given twice",
    );
    check(
        "static_resources:",
        "dynamic_resources:",
        "the field static_resources is missing",
    );
    assert!(load("a: [").is_err());
}

#[test]
fn a_name_check_without_an_authority_is_refused() {
    let yaml = usual().replace(
        "- name: empty",
        r#"- name: tls
    type: STATIC
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext
        common_tls_context:
          validation_context:
            match_typed_subject_alt_names: [ { san_type: DNS, matcher: { exact: a.example } } ]
  - name: empty"#,
    );
    let problem = load(&yaml).expect_err("anyone could sign").to_string();
    assert!(problem.contains("trusted_ca is missing"), "{problem}");
}

#[test]
fn secrets_of_the_environment_are_not_shown() {
    let loaded = load(&usual()).expect("usable");
    let vm = &loaded.config.listeners[0].manager.filters[0].wasm.vm;
    assert_eq!(vm.environment["GUEST_SECRET"], "s3cret");
    assert!(!format!("{loaded:?}").contains("s3cret"));
}

#[test]
fn routes_keep_their_order_and_default_timeout() {
    let loaded = load(&usual()).expect("usable");
    let route = &loaded.config.listeners[0].manager.virtual_hosts[0].routes[0];
    let RouteAction::Cluster { name, timeout, .. } = &route.action else {
        panic!("{route:?}");
    };
    assert_eq!(name, "up");
    assert_eq!(*timeout, Some(std::time::Duration::from_secs(15)));
}
