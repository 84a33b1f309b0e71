//! A listener and its HTTP connection manager.

use std::net::SocketAddr;
use std::time::Duration;

use super::route::VirtualHost;
use super::wasm::{self, WasmFilter};
use super::{Fields, Node, Problem, Surroundings, route, typed_config};

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// `name`.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it does with its connections.
    pub manager: ConnectionManager,
}

/// Which versions of HTTP a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// HTTP/1.1, or HTTP/2 with prior knowledge.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// What is done with a request header whose name has an underscore.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Underscores {
    /// Nothing.
    Allow,
    /// The header is dropped.
    Drop,
    /// The request gets a 400.
    Reject,
}

/// What is done with `%2F` and `%5C` in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EscapedSlashes {
    /// Nothing.
    Keep,
    /// The request gets a 400.
    Reject,
    /// They are unescaped.
    Unescape,
}

/// The HTTP connection manager of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionManager {
    /// Which versions of HTTP.
    pub codec: Codec,
    /// `http_protocol_options.enable_trailers`: whether HTTP/1 trailers reach the filters.
    pub http1_trailers: bool,
    /// The most that is held of a body while a filter pauses, in bytes; above it, 413.
    pub buffer_limit_bytes: usize,
    /// Headers and body must be complete within this time, else 408.
    pub request_timeout: Option<Duration>,
    /// The longest silence of a stream, else 504 (408 while the request is incomplete).
    pub stream_idle_timeout: Option<Duration>,
    /// The longest life of a stream, else 504 (408 while the request is incomplete).
    pub max_stream_duration: Option<Duration>,
    /// The longest silence of a connection, and the time for a request's headers.
    pub idle_timeout: Option<Duration>,
    /// The most headers of a request.
    pub max_headers: usize,
    /// The most bytes of a request's headers.
    pub max_header_bytes: usize,
    /// Headers with underscores.
    pub underscores: Underscores,
    /// Whether `.` and `..` are resolved and percent-encoding is made uniform.
    pub normalize_path: bool,
    /// Whether `//` becomes `/`.
    pub merge_slashes: bool,
    /// Escaped slashes.
    pub escaped_slashes: EscapedSlashes,
    /// Whether the peer's address is appended to `x-forwarded-for`.
    pub use_remote_address: bool,
    /// Whether `x-request-id` is made.
    pub generate_request_id: bool,
    /// The name in the `server` header; none with `PASS_THROUGH`.
    pub server_name: Option<String>,
    /// The wasm filters, in the order of the file.
    pub filters: Vec<HttpFilter>,
    /// Whether the router keeps `x-envoy-` headers to itself.
    pub suppress_envoy_headers: bool,
    /// The routes.
    pub virtual_hosts: Vec<VirtualHost>,
}

/// A filter in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpFilter {
    /// The name in `http_filters`, by which routes switch it off.
    pub name: String,
    /// The filter.
    pub wasm: WasmFilter,
}

const DEFAULT_BUFFER_LIMIT: u64 = 1024 * 1024;

pub(super) fn read(node: &Node<'_>, surroundings: &Surroundings) -> Result<Listener, Problem> {
    let fields = node.fields()?;
    let name = fields.require("name")?.text()?;
    let address = super::address(fields.require("address")?)?;
    let limit = fields.number_or("per_connection_buffer_limit_bytes", DEFAULT_BUFFER_LIMIT)?;
    let buffer_limit_bytes = usize::try_from(limit).unwrap_or(usize::MAX);
    if let Some(balance) = fields.get("connection_balance_config") {
        let balance = balance.fields()?;
        let _exact = balance.get("exact_balance"); // what this host does anyway
        balance.finish(&[]);
    }
    let chains = fields.require("filter_chains")?.items()?;
    let [chain] = chains.as_slice() else {
        return Err(fields.node().problem("expected exactly one filter chain"));
    };
    let chain = chain.fields()?;
    let filters = chain.require("filters")?.items()?;
    let [filter] = filters.as_slice() else {
        return Err(chain.node().problem("expected exactly one network filter"));
    };
    let filter = filter.fields()?;
    let (type_name, config) = typed_config(&filter)?;
    if type_name != "HttpConnectionManager" {
        return Err(filter.node().problem("expected an http_connection_manager"));
    }
    let manager = read_manager(config, buffer_limit_bytes, surroundings)?;
    filter.finish(&["name"]);
    chain.finish(&["name"]);
    fields.finish(&[
        "stat_prefix",
        "enable_reuse_port",
        "tcp_backlog_size",
        "socket_options",
        "drain_type",
        "traffic_direction",
    ]);
    Ok(Listener {
        name,
        address,
        manager,
    })
}

fn read_manager(
    config: Fields<'_>,
    buffer_limit_bytes: usize,
    surroundings: &Surroundings,
) -> Result<ConnectionManager, Problem> {
    let codec = match config.text_or("codec_type", "AUTO")?.as_str() {
        "AUTO" => Codec::Auto,
        "HTTP1" => Codec::Http1,
        "HTTP2" => Codec::Http2,
        _ => {
            return Err(config
                .node()
                .problem("codec_type: expected AUTO, HTTP1 or HTTP2"));
        }
    };
    let mut http1_trailers = false;
    if let Some(options) = config.get("http_protocol_options") {
        let options = options.fields()?;
        http1_trailers = options.boolean_or("enable_trailers", false)?;
        options.finish(&[]);
    }
    let mut idle_timeout = Some(Duration::from_secs(3600));
    let mut max_stream_duration = None;
    let mut max_headers = 100;
    let mut underscores = Underscores::Allow;
    if let Some(common) = config.get("common_http_protocol_options") {
        let common = common.fields()?;
        idle_timeout = common.duration_or("idle_timeout", idle_timeout)?;
        max_stream_duration = common.duration_or("max_stream_duration", None)?;
        max_headers = common.number_or("max_headers_count", max_headers)?;
        underscores = match common
            .text_or("headers_with_underscores_action", "ALLOW")?
            .as_str()
        {
            "ALLOW" => Underscores::Allow,
            "DROP_HEADER" => Underscores::Drop,
            "REJECT_REQUEST" => Underscores::Reject,
            _ => {
                return Err(common.node().problem(
                    "headers_with_underscores_action: expected ALLOW, DROP_HEADER or REJECT_REQUEST",
                ));
            }
        };
        common.finish(&["max_connection_duration"]);
    }
    let escaped_slashes = match config
        .text_or("path_with_escaped_slashes_action", "KEEP_UNCHANGED")?
        .as_str()
    {
        "IMPLEMENTATION_SPECIFIC_DEFAULT" | "KEEP_UNCHANGED" => EscapedSlashes::Keep,
        "REJECT_REQUEST" => EscapedSlashes::Reject,
        "UNESCAPE_AND_FORWARD" => EscapedSlashes::Unescape,
        _ => {
            return Err(config.node().problem(
                "path_with_escaped_slashes_action: expected KEEP_UNCHANGED, REJECT_REQUEST or UNESCAPE_AND_FORWARD",
            ));
        }
    };
    let server_name = match config
        .text_or("server_header_transformation", "OVERWRITE")?
        .as_str()
    {
        "PASS_THROUGH" => None,
        _ => Some(config.text_or("server_name", "envoy")?),
    };
    let (filters, suppress_envoy_headers) = read_filters(&config, surroundings)?;
    let virtual_hosts = route::read(&config.require("route_config")?, surroundings)?;
    let manager = ConnectionManager {
        codec,
        http1_trailers,
        buffer_limit_bytes,
        request_timeout: config.duration_or("request_timeout", None)?,
        stream_idle_timeout: config
            .duration_or("stream_idle_timeout", Some(Duration::from_secs(300)))?,
        max_stream_duration,
        idle_timeout,
        max_headers: usize::try_from(max_headers).unwrap_or(usize::MAX),
        max_header_bytes: usize::try_from(config.number_or("max_request_headers_kb", 60)?)
            .unwrap_or(usize::MAX)
            .saturating_mul(1024),
        underscores,
        normalize_path: config.boolean_or("normalize_path", false)?,
        merge_slashes: config.boolean_or("merge_slashes", false)?,
        escaped_slashes,
        use_remote_address: config.boolean_or("use_remote_address", false)?,
        generate_request_id: config.boolean_or("generate_request_id", true)?,
        server_name,
        filters,
        suppress_envoy_headers,
        virtual_hosts,
    };
    config.finish(&[
        "stat_prefix",
        "access_log",
        "access_log_options",
        "request_headers_timeout", // the idle timeout covers it
        "delayed_close_timeout",
        "drain_timeout",
        "xff_num_trusted_hops",
        "http2_protocol_options",
    ]);
    Ok(manager)
}

fn read_filters(
    config: &Fields<'_>,
    surroundings: &Surroundings,
) -> Result<(Vec<HttpFilter>, bool), Problem> {
    let mut filters = Vec::new();
    let mut suppress_envoy_headers = false;
    for node in config.items_or_none("http_filters")? {
        let entry = node.fields()?;
        let name = entry.require("name")?.text()?;
        let (type_name, filter) = typed_config(&entry)?;
        match type_name.as_str() {
            "Wasm" => {
                filters.push(HttpFilter {
                    name,
                    wasm: wasm::read(&filter, surroundings)?,
                });
                filter.finish(&[]);
            }
            "Router" => {
                suppress_envoy_headers = filter.boolean_or("suppress_envoy_headers", false)?;
                filter.finish(&["dynamic_stats"]);
            }
            _ => node.not_understood("only Wasm and Router; this filter does nothing here"),
        }
        entry.finish(&[]);
    }
    Ok((filters, suppress_envoy_headers))
}
