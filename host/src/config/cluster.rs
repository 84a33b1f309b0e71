//! A cluster: where it is, how it is spoken to, and how much of it may be used at once.

use std::fmt;
use std::time::Duration;

use super::{Fields, Node, Problem, Surroundings, typed_config};

/// One cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// `name`.
    pub name: String,
    /// Its endpoints, in the order of the file.
    pub endpoints: Vec<Endpoint>,
    /// Whether names among the endpoints prefer their IPv4 addresses.
    pub prefer_ipv4: bool,
    /// How long a connection may take to come up.
    pub connect_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Option<Duration>,
    /// How much of it may be used at once, by the whole process.
    pub breakers: Breakers,
    /// TLS, if it is spoken.
    pub tls: Option<Tls>,
    /// Whether response trailers are passed on.
    pub http1_trailers: bool,
    /// What the cluster's `header_mutation` filter does to requests.
    pub request_mutations: Vec<HeaderMutation>,
}

/// Where a cluster is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// An IP address, or a name to be resolved.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Circuit breakers: the most of each at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breakers {
    /// Connections.
    pub max_connections: usize,
    /// Requests that wait for a connection.
    pub max_pending_requests: usize,
    /// Requests on a connection.
    pub max_requests: usize,
}

/// How a cluster proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Tls {
    /// The name asked for, if any.
    pub sni: Option<String>,
    /// PEM of the authorities that may have signed the certificate. Without any, nothing is verified.
    pub trusted_ca_pem: Option<Vec<u8>>,
    /// DNS names of which the certificate must carry one, if there are any.
    pub subject_alt_names: Vec<String>,
    /// Whether TLS 1.2 is refused.
    pub only_tls13: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("sni", &self.sni)
            .field("verified", &self.trusted_ca_pem.is_some())
            .field("subject_alt_names", &self.subject_alt_names)
            .finish_non_exhaustive()
    }
}

/// One change to the headers of each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderMutation {
    /// The header goes.
    Remove(String),
    /// The header is set to this value.
    Set(String, String),
}

pub(super) fn read(node: &Node<'_>, surroundings: &Surroundings) -> Result<Cluster, Problem> {
    let fields = node.fields()?;
    let name = fields.require("name")?.text()?;
    match fields.text_or("type", "STATIC")?.as_str() {
        "STATIC" | "STRICT_DNS" | "LOGICAL_DNS" => {}
        other => return Err(node.problem(format!("a cluster of type {other} cannot be run"))),
    }
    match fields.text_or("lb_policy", "ROUND_ROBIN")?.as_str() {
        "ROUND_ROBIN" => {}
        other => node.not_understood(&format!("lb_policy {other}: taken in turn here")),
    }
    let prefer_ipv4 = matches!(
        fields.text_or("dns_lookup_family", "AUTO")?.as_str(),
        "V4_ONLY" | "V4_PREFERRED" | "ALL"
    );
    let endpoints = fields
        .get("load_assignment")
        .map_or(Ok(Vec::new()), |node| read_endpoints(&node))?;
    let mut cluster = Cluster {
        name,
        endpoints,
        prefer_ipv4,
        connect_timeout: fields
            .duration_or("connect_timeout", None)?
            .unwrap_or(Duration::from_secs(5)),
        idle_timeout: Some(Duration::from_secs(3600)),
        breakers: read_breakers(&fields)?,
        tls: fields
            .get("transport_socket")
            .map(|node| read_tls(&node, surroundings))
            .transpose()?,
        http1_trailers: false,
        request_mutations: Vec::new(),
    };
    if let Some(options) = fields.get("typed_extension_protocol_options") {
        for (_, options) in options.fields()?.entries() {
            read_protocol_options(&options, &mut cluster)?;
        }
    }
    fields.finish(&[
        "alt_stat_name",
        "upstream_connection_options",
        "dns_refresh_rate",
        "respect_dns_ttl",
        "per_connection_buffer_limit_bytes",
        "wait_for_warm_on_init",
    ]);
    Ok(cluster)
}

fn read_endpoints(node: &Node<'_>) -> Result<Vec<Endpoint>, Problem> {
    let assignment = node.fields()?;
    let mut endpoints = Vec::new();
    for locality in assignment.items_or_none("endpoints")? {
        let locality = locality.fields()?;
        for entry in locality.items_or_none("lb_endpoints")? {
            let entry = entry.fields()?;
            let endpoint = entry.require("endpoint")?.fields()?;
            let (host, port, _) = super::host_and_port(&endpoint.require("address")?)?;
            endpoint.finish(&["hostname"]);
            entry.finish(&["metadata"]);
            endpoints.push(Endpoint { host, port });
        }
        locality.finish(&["locality"]);
    }
    assignment.finish(&["cluster_name"]);
    Ok(endpoints)
}

fn read_breakers(cluster: &Fields<'_>) -> Result<Breakers, Problem> {
    let mut breakers = Breakers {
        max_connections: 1024,
        max_pending_requests: 1024,
        max_requests: 1024,
    };
    let Some(node) = cluster.get("circuit_breakers") else {
        return Ok(breakers);
    };
    let fields = node.fields()?;
    for threshold in fields.items_or_none("thresholds")? {
        let fields = threshold.fields()?;
        if fields.text_or("priority", "DEFAULT")? != "DEFAULT" {
            threshold.not_understood("only the priority DEFAULT");
            continue;
        }
        for (name, slot) in [
            ("max_connections", &mut breakers.max_connections),
            ("max_pending_requests", &mut breakers.max_pending_requests),
            ("max_requests", &mut breakers.max_requests),
        ] {
            let value = fields.number_or(name, *slot as u64)?;
            *slot = usize::try_from(value).unwrap_or(usize::MAX);
        }
        fields.finish(&["track_remaining", "max_retries"]);
    }
    fields.finish(&[]);
    Ok(breakers)
}

fn read_tls(node: &Node<'_>, surroundings: &Surroundings) -> Result<Tls, Problem> {
    let socket = node.fields()?;
    let (type_name, config) = typed_config(&socket)?;
    if type_name != "UpstreamTlsContext" {
        return Err(node.problem(format!(
            "a transport socket of type {type_name} cannot be run"
        )));
    }
    let mut tls = Tls {
        sni: config
            .get("sni")
            .map(|node| node.text())
            .transpose()?
            .filter(|name| !name.is_empty()),
        trusted_ca_pem: None,
        subject_alt_names: Vec::new(),
        only_tls13: false,
    };
    if let Some(common) = config.get("common_tls_context") {
        let common = common.fields()?;
        if let Some(params) = common.get("tls_params") {
            let params = params.fields()?;
            tls.only_tls13 =
                params.text_or("tls_minimum_protocol_version", "TLS_AUTO")? == "TLSv1_3";
            params.finish(&[]);
        }
        if let Some(validation) = common.get("validation_context") {
            read_validation(&validation, &mut tls, surroundings)?;
        }
        common.finish(&[]);
    }
    config.finish(&["max_session_keys"]);
    socket.finish(&["name"]);
    Ok(tls)
}

fn read_validation(
    node: &Node<'_>,
    tls: &mut Tls,
    surroundings: &Surroundings,
) -> Result<(), Problem> {
    let fields = node.fields()?;
    tls.trusted_ca_pem = fields
        .get("trusted_ca")
        .map(|ca| super::data_source(&ca, surroundings))
        .transpose()?;
    for matcher in fields.items_or_none("match_typed_subject_alt_names")? {
        let entry = matcher.fields()?;
        let kind = entry.require("san_type")?;
        let string = entry.require("matcher")?.fields()?;
        // A check that is not understood must not become no check.
        if kind.text()? != "DNS" {
            return Err(kind.problem("only DNS names can be checked"));
        }
        tls.subject_alt_names.push(string.require("exact")?.text()?);
        string.finish(&[]);
        entry.finish(&[]);
    }
    if tls.trusted_ca_pem.is_none() && !tls.subject_alt_names.is_empty() {
        return Err(
            node.problem("names are checked but trusted_ca is missing: anyone could sign them")
        );
    }
    fields.finish(&[]);
    Ok(())
}

fn read_protocol_options(node: &Node<'_>, cluster: &mut Cluster) -> Result<(), Problem> {
    let options = node.fields()?;
    if options.type_name()? != "HttpProtocolOptions" {
        node.not_understood("only HttpProtocolOptions");
        return Ok(());
    }
    if let Some(common) = options.get("common_http_protocol_options") {
        let common = common.fields()?;
        cluster.idle_timeout = common.duration_or("idle_timeout", cluster.idle_timeout)?;
        common.finish(&[]);
    }
    if let Some(explicit) = options.get("explicit_http_config") {
        let explicit = explicit.fields()?;
        if let Some(http1) = explicit.get("http_protocol_options") {
            let http1 = http1.fields()?;
            cluster.http1_trailers = http1.boolean_or("enable_trailers", false)?;
            http1.finish(&[]);
        }
        explicit.finish(&[]);
    }
    for filter in options.items_or_none("http_filters")? {
        let entry = filter.fields()?;
        let (type_name, config) = typed_config(&entry)?;
        match type_name.as_str() {
            "UpstreamCodec" => config.finish(&[]),
            "HeaderMutation" => {
                read_mutations(&config, &mut cluster.request_mutations)?;
                config.finish(&[]);
            }
            _ => filter.not_understood("only HeaderMutation and UpstreamCodec"),
        }
        entry.finish(&["name"]);
    }
    options.finish(&[]);
    Ok(())
}

fn read_mutations(config: &Fields<'_>, into: &mut Vec<HeaderMutation>) -> Result<(), Problem> {
    let Some(mutations) = config.get("mutations") else {
        return Ok(());
    };
    let mutations = mutations.fields()?;
    for node in mutations.items_or_none("request_mutations")? {
        let mutation = node.fields()?;
        if let Some(name) = mutation.get("remove") {
            into.push(HeaderMutation::Remove(name.text()?.to_ascii_lowercase()));
        } else if let Some(append) = mutation.get("append") {
            let append = append.fields()?;
            let header = append.require("header")?.fields()?;
            let name = header.require("key")?.text()?.to_ascii_lowercase();
            into.push(HeaderMutation::Set(name, header.require("value")?.text()?));
            header.finish(&[]);
            if append.text_or("append_action", "APPEND_IF_EXISTS_OR_ADD")?
                != "OVERWRITE_IF_EXISTS_OR_ADD"
            {
                node.not_understood("only OVERWRITE_IF_EXISTS_OR_ADD");
            }
            append.finish(&[]);
        }
        mutation.finish(&[]);
    }
    mutations.finish(&[]);
    Ok(())
}
