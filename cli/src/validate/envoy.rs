//! Weir inside an Envoy configuration: where its filter is, and what it needs around it.
//!
//! Sources: Envoy's API reference for `envoy.extensions.wasm.v3.PluginConfig`, and what was seen of Envoy 1.40.
//!
//! Out of scope: whether Envoy takes the file (`envoy --mode validate` says that), and what comes by xDS.

use std::ops::Range;

use super::plugin::{self, Module, Variables};
use crate::environment::Environment;
use crate::finding::Finding;
use crate::source::{Embedded, Node, Source, json};

const FILTER_TYPE: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";
/// What a listener buffers when it says nothing. Source: Envoy's listener API.
const DEFAULT_BUFFER_BYTES: u64 = 1 << 20;
/// Weir's default of `limits.max_body_bytes`.
const DEFAULT_MAX_BODY_BYTES: u64 = 262_144;

/// Whether a document is one of Envoy's, as far as that can be told.
pub(crate) fn is_envoy(root: &Node) -> bool {
    [
        "static_resources",
        "dynamic_resources",
        "admin",
        "node",
        "resources",
    ]
    .iter()
    .any(|name| root.field(name).is_some())
        || filters(root).next().is_some()
}

/// The `typed_config` of every HTTP wasm filter.
pub(crate) fn filters(root: &Node) -> impl Iterator<Item = &Node> {
    root.walk().filter(|node| {
        let kind = node.get("@type").and_then(Node::text);
        kind.is_some_and(|kind| kind.rsplit('/').next() == Some(FILTER_TYPE))
    })
}

/// The string that holds a filter's configuration, if there is one.
pub(crate) fn configuration(filter: &Node) -> Option<&Node> {
    let any = filter.fields(&["config", "configuration"])?;
    let kind = any.get("@type").and_then(Node::text)?;
    kind.ends_with("google.protobuf.StringValue")
        .then(|| any.get("value"))?
}

/// Whether a filter runs Weir and not another module.
pub(crate) fn is_weir(filter: &Node) -> bool {
    let names = [
        &["config", "name"][..],
        &["config", "vm_config", "vm_id"],
        &["config", "vm_config", "code", "local", "filename"],
        &["config", "vm_config", "code", "remote", "http_uri", "uri"],
    ];
    let text = |path: &[&str]| filter.fields(path).and_then(Node::text);
    names
        .iter()
        .any(|path| text(path).is_some_and(|name| name.contains("weir")))
        || configuration(filter)
            .and_then(Node::text)
            .is_some_and(|value| value.contains("\"accounts\""))
}

/// Checks every filter of Weir's in a document of Envoy's.
pub(super) fn check(
    source: &Source,
    root: &Node,
    environment: &Environment,
    invent: bool,
    found: &mut Vec<String>,
    findings: &mut Vec<Finding>,
) {
    let all: Vec<&Node> = filters(root).collect();
    for filter in &all {
        // The only one there is must be meant, whatever it is called.
        if all.len() == 1 || is_weir(filter) {
            let mut checked = Filter {
                source,
                root,
                filter,
                findings,
            };
            found.push(checked.check(environment, invent));
        }
    }
    if all.is_empty() {
        findings.push(
            Finding::error(
                root.span.start..root.span.start + 1,
                "",
                "there is no wasm filter in this Envoy configuration",
            )
            .help("README.md, \"Deploy\", shows where Weir goes"),
        );
    } else if found.is_empty() {
        findings.push(Finding::error(
            root.span.start..root.span.start + 1,
            "",
            "none of the wasm filters in this Envoy configuration is Weir's",
        ));
    }
}

struct Filter<'a> {
    source: &'a Source,
    root: &'a Node,
    /// Its `typed_config`.
    filter: &'a Node,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Filter<'a> {
    /// Checks all of it; what the configuration holds, in words.
    fn check(&mut self, environment: &Environment, invent: bool) -> String {
        self.check_policies();
        let Some(value) = configuration(self.filter) else {
            self.no_configuration();
            return "no configuration".to_owned();
        };
        let Some(embedded) = Embedded::new(self.source.text(), value) else {
            self.no_configuration();
            return "no configuration".to_owned();
        };
        let document = match json::parse(embedded.text()) {
            Ok(document) => document,
            Err(error) => {
                let span = embedded.in_file(&(error.offset..error.offset + 1));
                let message = format!("the configuration is not JSON: {}", error.message);
                self.findings.push(Finding::error(span, "", message));
                return "no configuration".to_owned();
            }
        };
        let mut variables = Variables::new(environment, invent, &document);
        let mut inner = self.check_variables(&document, &mut variables);
        let checked = plugin::check(&document.to_json(), &document, &variables);
        inner.extend(checked.findings);
        inner.extend(self.check_clusters(&document));
        if Module::of(&document) == Module::Pushes {
            self.check_buffer(&document);
        }
        for mut finding in inner {
            if !embedded.is_exact() {
                finding
                    .message
                    .push_str(&line_within(&embedded, &finding.span));
            }
            finding.span = embedded.in_file(&finding.span);
            self.findings.push(finding);
        }
        checked.summary
    }

    fn no_configuration(&mut self) {
        let any = self.filter.fields(&["config", "configuration"]);
        let (span, message) = match any {
            None => (self.first_line(), "there is no configuration"),
            Some(any) => (
                first_key(any),
                "the configuration is not a google.protobuf.StringValue",
            ),
        };
        self.findings.push(
            Finding::error(span, "configuration", message).help(
                "give the JSON as a text: \"@type\": type.googleapis.com/google.protobuf.StringValue, value: |",
            ),
        );
    }

    /// What to point at when something is not there: the filter's first line.
    fn first_line(&self) -> Range<usize> {
        first_key(self.filter)
    }

    fn check_policies(&mut self) {
        let config = |name: &str| self.filter.fields(&["config", name]);
        let mut findings = Vec::new();
        if let Some(open) = config("fail_open").filter(|node| node.text() == Some("true")) {
            findings.push(
                Finding::error(
                    open.span.clone(),
                    "fail_open",
                    "a request that meets a crash would go on to the application unverified",
                )
                .help("take it out, and set failure_policy: FAIL_RELOAD"),
            );
        }
        match config("failure_policy") {
            Some(policy) if policy.text() == Some("FAIL_RELOAD") => {}
            Some(policy) if policy.text() == Some("FAIL_OPEN") => findings.push(
                Finding::error(
                    policy.span.clone(),
                    "failure_policy",
                    "after a crash, pushes would go on to the application unverified",
                )
                .help("set it to FAIL_RELOAD"),
            ),
            policy => {
                let span = policy.map_or_else(|| self.first_line(), |node| node.span.clone());
                findings.push(
                    Finding::warning(
                        span,
                        "failure_policy",
                        "a worker whose VM crashed would answer 503 until Envoy is restarted",
                    )
                    .help("set it to FAIL_RELOAD"),
                );
            }
        }
        let flag = config("allow_on_headers_stop_iteration");
        if flag.and_then(Node::text) != Some("true") {
            let span = flag.map_or_else(|| self.first_line(), |node| node.span.clone());
            findings.push(
                Finding::error(
                    span,
                    "allow_on_headers_stop_iteration",
                    "without it every request with a body hangs",
                )
                .help("set it to true; it goes beside vm_config"),
            );
        }
        self.findings.extend(findings);
    }

    /// Which of the variables the VM is given. Findings are about the configuration inside.
    fn check_variables(&mut self, document: &Node, variables: &mut Variables<'_>) -> Vec<Finding> {
        let passed = self
            .filter
            .fields(&["config", "vm_config", "environment_variables"]);
        let keys: Vec<&str> = passed
            .and_then(|node| node.field("host_env_keys"))
            .map_or(&[][..], Node::items)
            .iter()
            .filter_map(Node::text)
            .collect();
        let values = passed.and_then(|node| node.field("key_values"));
        for entry in values.map_or(&[][..], Node::entries) {
            if let (Some(name), Some(value)) = (entry.key.text(), entry.value.text()) {
                variables.given.insert(name.to_owned(), value.to_owned());
            }
        }

        let mut inner = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for named in plugin::named(document) {
            if !seen.insert(named.variable) {
                continue;
            }
            if let Some(entry) = values.and_then(|values| values.entry(named.variable)) {
                self.findings.push(
                    Finding::warning(
                        entry.key.span.clone(),
                        "key_values",
                        "a secret in the file is shown by /config_dump",
                    )
                    .help("name the variable in host_env_keys instead"),
                );
            } else if !keys.contains(&named.variable) {
                inner.push(
                    Finding::error(
                        named.node.span.clone(),
                        &named.path,
                        "the plugin is not given this environment variable",
                    )
                    .help("list it in vm_config.environment_variables.host_env_keys"),
                );
                // Said once is enough: the check itself would call it not set.
                variables.invent(named.variable, named.field);
            }
        }
        inner
    }

    /// Whether the clusters exist. Findings are about the configuration inside.
    fn check_clusters(&mut self, document: &Node) -> Vec<Finding> {
        let Some(clusters) = self.root.fields(&["static_resources", "clusters"]) else {
            // A part of a configuration, or one whose clusters come from elsewhere.
            return Vec::new();
        };
        let dynamic = self
            .root
            .fields(&["dynamic_resources", "cds_config"])
            .is_some();
        let mut inner = Vec::new();
        for peer in document.entries() {
            let Some(node) = peer.value.get("cluster") else {
                continue;
            };
            let (Some(field), Some(name)) = (peer.key.text(), node.text()) else {
                continue;
            };
            let cluster = clusters
                .items()
                .iter()
                .find(|cluster| cluster.field("name").and_then(Node::text) == Some(name));
            let path = format!("{field}.cluster");
            match cluster {
                Some(cluster) if field == "wechat_api" => self.check_tls(cluster),
                Some(_) => {}
                None if dynamic => inner.push(Finding::warning(
                    node.span.clone(),
                    &path,
                    "the cluster is not in this file; it has to come by CDS",
                )),
                None => inner.push(
                    Finding::error(node.span.clone(), &path, "there is no cluster of this name")
                        .help(names_of(clusters)),
                ),
            }
        }
        inner
    }

    /// The way to WeChat carries the AppSecret and access tokens.
    fn check_tls(&mut self, cluster: &Node) {
        let name = cluster
            .field("name")
            .map_or_else(|| cluster.span.clone(), |node| node.span.clone());
        let tls = cluster.fields(&["transport_socket", "typed_config"]);
        let is_tls = tls
            .and_then(|node| node.get("@type"))
            .and_then(Node::text)
            .is_some_and(|kind| kind.ends_with("UpstreamTlsContext"));
        let (Some(tls), true) = (tls, is_tls) else {
            self.findings.push(
                Finding::warning(
                    name,
                    "transport_socket",
                    "calls to WeChat would carry secrets without TLS",
                )
                .help("Weir's own envoy.yaml shows the cluster `wechat_api` in full"),
            );
            return;
        };
        let has = |name: &str| tls.walk().any(|node| node.field(name).is_some());
        for (field, why) in [
            (
                "trusted_ca",
                "without it the certificate of the other side is not verified",
            ),
            (
                "match_typed_subject_alt_names",
                "without it any site with a certificate passes for WeChat",
            ),
            (
                "sni",
                "without it WeChat may show the certificate of another name",
            ),
        ] {
            // Envoy can take SNI and SAN from the name it resolves.
            let automatic = match field {
                "match_typed_subject_alt_names" => has("auto_sni_san_validation"),
                "sni" => has("auto_host_sni"),
                _ => has("system_root_certs"),
            };
            if !has(field) && !automatic {
                self.findings
                    .push(Finding::warning(name.clone(), field, why));
            }
        }
    }

    /// A body that the listener cannot hold gets Envoy's 413 and never reaches Weir.
    fn check_buffer(&mut self, document: &Node) {
        let listeners = self.root.fields(&["static_resources", "listeners"]);
        let within = |listener: &&Node| {
            listener.span.start <= self.filter.span.start
                && self.filter.span.end <= listener.span.end
        };
        let Some(listener) = listeners.map_or(&[][..], Node::items).iter().find(within) else {
            return;
        };
        let number = |node: Option<&Node>| node.and_then(Node::text)?.parse::<u64>().ok();
        let limit = listener.field("per_connection_buffer_limit_bytes");
        let buffer = number(limit).unwrap_or(DEFAULT_BUFFER_BYTES);
        let body = document.get("limits").and_then(|l| l.get("max_body_bytes"));
        let body = number(body).unwrap_or(DEFAULT_MAX_BODY_BYTES);
        if buffer < body {
            let span = limit.map_or_else(|| first_key(listener), |node| node.span.clone());
            self.findings.push(
                Finding::warning(
                    span,
                    "per_connection_buffer_limit_bytes",
                    format!("a push above {buffer} bytes gets Envoy's 413, and limits.max_body_bytes allows {body}"),
                )
                .help(format!("make it more than {body}")),
            );
        }
    }
}

fn first_key(node: &Node) -> Range<usize> {
    node.entries()
        .first()
        .map_or_else(|| node.span.clone(), |entry| entry.key.span.clone())
}

fn names_of(clusters: &Node) -> String {
    let names: Vec<&str> = clusters
        .items()
        .iter()
        .filter_map(|cluster| cluster.field("name")?.text())
        .collect();
    match names.as_slice() {
        [] => "the file has no clusters".to_owned(),
        names => format!("the file has {}", names.join(", ")),
    }
}

/// For a place that cannot be shown in the file: where it is in the JSON.
fn line_within(embedded: &Embedded<'_>, span: &Range<usize>) -> String {
    let before = embedded.text().get(..span.start).unwrap_or_default();
    let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
    format!(
        " (line {}, column {column} of the configuration)",
        before.matches('\n').count() + 1
    )
}
