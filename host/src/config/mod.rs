//! The subset of Envoy's bootstrap configuration that this host runs.
//!
//! [`load`] turns the YAML of `envoy.yaml` into a [`Config`]. The subset is what a deployment of Weir needs:
//! listeners with an `http_connection_manager`, its wasm filters and routes, static and DNS clusters with TLS and
//! circuit breakers, the timeouts and limits between them.
//!
//! What this host does not understand is named, not ignored: [`Loaded::not_understood`] lists each such field by
//! its path. [`Loaded::without_effect`] lists the fields that are known and rightly do nothing here, such as the
//! access log. What makes the file unusable is a [`Problem`].
//!
//! Out of scope: xDS, includes, JSON-to-protobuf checks of the parts that are not read.

mod cluster;
mod document;
mod listener;
mod route;
mod wasm;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_yaml_ng::Value;

pub use self::cluster::{Breakers, Cluster, Endpoint, HeaderMutation, Tls};
pub use self::document::Problem;
pub use self::listener::{
    Codec, ConnectionManager, EscapedSlashes, HttpFilter, Listener, Underscores,
};
pub use self::route::{PathMatch, Route, RouteAction, VirtualHost};
pub use self::wasm::{FailurePolicy, VmConfig, WasmFilter};

use self::document::{Fields, Node, Remarks};

/// What the process gives to a configuration: where it is read, and with which environment.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Relative file names start here, as they start at the working directory for Envoy.
    pub base_dir: PathBuf,
    /// The environment that `host_env_keys` are read from.
    pub env: HashMap<String, String>,
}

impl Surroundings {
    fn file(&self, name: &str) -> PathBuf {
        self.base_dir.join(Path::new(name))
    }
}

/// A configuration that was read, and what was met on the way.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What to run.
    pub config: Config,
    /// Paths of fields that change what Envoy does and that this host does not do.
    pub not_understood: Vec<String>,
    /// Paths of fields that are known and have no effect here.
    pub without_effect: Vec<String>,
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `node.id`; the property `xds.node.id`.
    pub node_id: String,
    /// `node.cluster`; the property `xds.node.cluster`.
    pub node_cluster: String,
    /// Where the admin listener goes, if there is one.
    pub admin: Option<SocketAddr>,
    /// The listeners, in the order of the file.
    pub listeners: Vec<Listener>,
    /// The clusters, in the order of the file.
    pub clusters: Vec<Cluster>,
}

/// Reads a bootstrap configuration.
///
/// # Errors
/// A [`Problem`] with its path when the file is not YAML, or when a part that this host must run is missing,
/// malformed, or of a kind it cannot run at all.
pub fn load(yaml: &str, surroundings: &Surroundings) -> Result<Loaded, Problem> {
    let mut value: Value = serde_yaml_ng::from_str(yaml).map_err(|error| Problem {
        path: "the document".to_owned(),
        what: error.to_string(),
    })?;
    value.apply_merge().map_err(|error| Problem {
        path: "the document".to_owned(),
        what: error.to_string(),
    })?;
    let remarks = Remarks::default();
    let config = read_bootstrap(&Node::root(&value, &remarks), surroundings)?;
    let (not_understood, without_effect) = remarks.into_lists();
    Ok(Loaded {
        config,
        not_understood,
        without_effect,
    })
}

fn read_bootstrap(document: &Node<'_>, surroundings: &Surroundings) -> Result<Config, Problem> {
    let top = document.fields()?;
    let (mut node_id, mut node_cluster) = (String::new(), String::new());
    if let Some(node) = top.get("node") {
        let node = node.fields()?;
        node_id = node.text_or("id", "")?;
        node_cluster = node.text_or("cluster", "")?;
        node.finish(&["metadata", "locality"]);
    }
    let mut admin = None;
    if let Some(node) = top.get("admin") {
        let node = node.fields()?;
        admin = node.get("address").map(address).transpose()?;
        node.finish(&["access_log", "access_log_path", "profile_path"]);
    }
    let resources = top.require("static_resources")?.fields()?;
    let mut clusters = Vec::new();
    for node in resources.items_or_none("clusters")? {
        clusters.push(cluster::read(&node, surroundings)?);
    }
    let mut listeners = Vec::new();
    for node in resources.items_or_none("listeners")? {
        listeners.push(listener::read(&node, surroundings)?);
    }
    resources.finish(&[]);
    top.finish(&["stats_config", "stats_flush_interval", "overload_manager"]);
    Ok(Config {
        node_id,
        node_cluster,
        admin,
        listeners,
        clusters,
    })
}

/// An `address: { socket_address: … }` that must be an IP address.
fn address(node: Node<'_>) -> Result<SocketAddr, Problem> {
    let (host, port, node) = host_and_port(&node)?;
    let ip = host
        .parse()
        .map_err(|_| node.problem("expected an IP address"))?;
    Ok(SocketAddr::new(ip, port))
}

/// An `address: { socket_address: … }` with a name or an IP address.
fn host_and_port<'a>(node: &Node<'a>) -> Result<(String, u16, Node<'a>), Problem> {
    let outer = node.fields()?;
    let socket = outer.require("socket_address")?;
    let fields = socket.fields()?;
    let host = fields.require("address")?.text()?;
    let port = fields.require("port_value")?;
    let port = u16::try_from(port.number()?).map_err(|_| port.problem("expected a port"))?;
    fields.finish(&["protocol"]);
    outer.finish(&[]);
    Ok((host, port, socket))
}

/// A `DataSource`: a file or a string in place.
fn data_source(node: &Node<'_>, surroundings: &Surroundings) -> Result<Vec<u8>, Problem> {
    let fields = node.fields()?;
    let bytes = if let Some(name) = fields.get("filename") {
        let path = surroundings.file(&name.text()?);
        std::fs::read(&path)
            .map_err(|error| name.problem(format!("{}: {error}", path.display())))?
    } else if let Some(text) = fields.get("inline_string") {
        text.text()?.into_bytes()
    } else {
        return Err(node.problem("expected filename or inline_string"));
    };
    fields.finish(&[]);
    Ok(bytes)
}

/// The `typed_config` of an extension, with the last part of its type.
fn typed_config<'a>(extension: &Fields<'a>) -> Result<(String, Fields<'a>), Problem> {
    let config = extension.require("typed_config")?.fields()?;
    let type_name = config.type_name()?;
    Ok((type_name, config))
}
