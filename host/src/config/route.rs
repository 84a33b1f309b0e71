//! Where a request goes once the filters let it through.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Fields, Node, Problem, Surroundings};

/// One `virtual_hosts` entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualHost {
    /// Host names, lower case; `*` alone is any, `*.x` and `x.*` are a suffix and a prefix.
    pub domains: Vec<String>,
    /// In the order of the file: the first that matches is taken.
    pub routes: Vec<Route>,
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `name`, the property `xds.route_name`.
    pub name: String,
    /// Which paths it takes.
    pub matches: PathMatch,
    /// What happens to them.
    pub action: RouteAction,
    /// Names of the HTTP filters that this route switches off.
    pub disabled_filters: BTreeSet<String>,
    /// `request_headers_to_remove` of the route and its host: what does not go on to the upstream. Lower case.
    pub removed_headers: BTreeSet<String>,
}

/// Which paths a route takes. The query string is not part of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// Paths that begin so.
    Prefix(String),
    /// This path.
    Exact(String),
}

impl PathMatch {
    /// Whether `path` (without its query) is one of them.
    #[must_use]
    pub fn takes(&self, path: &[u8]) -> bool {
        match self {
            Self::Prefix(prefix) => path.starts_with(prefix.as_bytes()),
            Self::Exact(exact) => path == exact.as_bytes(),
        }
    }
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteAction {
    /// An answer from the configuration.
    Direct {
        /// The status.
        status: u16,
        /// The body, as `text/plain`.
        body: Vec<u8>,
    },
    /// On to an upstream.
    Cluster {
        /// The cluster's name.
        name: String,
        /// The time from the end of the request to the end of the response; none if absent.
        timeout: Option<Duration>,
        /// What replaces the matched prefix or path.
        prefix_rewrite: Option<String>,
        /// What replaces `:authority`.
        host_rewrite: Option<String>,
    },
}

/// Reads a `route_config`.
pub(super) fn read(
    node: &Node<'_>,
    surroundings: &Surroundings,
) -> Result<Vec<VirtualHost>, Problem> {
    let fields = node.fields()?;
    let mut hosts = Vec::new();
    for host in fields.items_or_none("virtual_hosts")? {
        let host = host.fields()?;
        let mut domains = Vec::new();
        for domain in host.require("domains")?.items()? {
            domains.push(domain.text()?.to_ascii_lowercase());
        }
        let disabled = read_disabled_filters(&host)?;
        let removed = read_removed_headers(&host)?;
        let mut routes = Vec::new();
        for route in host.items_or_none("routes")? {
            routes.extend(read_route(&route, &disabled, &removed, surroundings)?);
        }
        host.finish(&["name"]);
        hosts.push(VirtualHost { domains, routes });
    }
    fields.finish(&["name", "validate_clusters"]);
    Ok(hosts)
}

/// `None` when the route is of a kind this host cannot match or run; it is then named.
fn read_route(
    node: &Node<'_>,
    disabled_by_host: &BTreeSet<String>,
    removed_by_host: &BTreeSet<String>,
    surroundings: &Surroundings,
) -> Result<Option<Route>, Problem> {
    let fields = node.fields()?;
    let matcher_node = fields.require("match")?;
    let matcher = matcher_node.fields()?;
    let matches = if let Some(prefix) = matcher.get("prefix") {
        Some(PathMatch::Prefix(prefix.text()?))
    } else if let Some(path) = matcher.get("path") {
        Some(PathMatch::Exact(path.text()?))
    } else {
        None
    };
    let Some(matches) = matches else {
        matcher_node.not_understood("only prefix and path; this route never matches here");
        return Ok(None);
    };
    matcher.finish(&[]);
    let action = if let Some(direct) = fields.get("direct_response") {
        let direct = direct.fields()?;
        let status = direct.require("status")?;
        let code = u16::try_from(status.number()?)
            .ok()
            .filter(|code| (200..600).contains(code))
            .ok_or_else(|| status.problem("expected a status from 200 to 599"))?;
        let body = direct.get("body").map_or(Ok(Vec::new()), |body| {
            super::data_source(&body, surroundings)
        })?;
        direct.finish(&[]);
        RouteAction::Direct { status: code, body }
    } else if let Some(route) = fields.get("route") {
        let route = route.fields()?;
        let Some(cluster) = route.get("cluster") else {
            route
                .node()
                .not_understood("only routes to one cluster; this route never matches here");
            return Ok(None);
        };
        let action = RouteAction::Cluster {
            name: cluster.text()?,
            timeout: route.duration_or("timeout", Some(Duration::from_secs(15)))?,
            prefix_rewrite: route.get("prefix_rewrite").map(|n| n.text()).transpose()?,
            host_rewrite: route
                .get("host_rewrite_literal")
                .map(|n| n.text())
                .transpose()?,
        };
        route.finish(&[]);
        action
    } else {
        node.not_understood("only route and direct_response; this route never matches here");
        return Ok(None);
    };
    let mut disabled_filters = disabled_by_host.clone();
    disabled_filters.extend(read_disabled_filters(&fields)?);
    let mut removed_headers = removed_by_host.clone();
    removed_headers.extend(read_removed_headers(&fields)?);
    let name = fields.text_or("name", "")?;
    fields.finish(&["metadata", "stat_prefix"]);
    Ok(Some(Route {
        name,
        matches,
        action,
        disabled_filters,
        removed_headers,
    }))
}

fn read_removed_headers(fields: &Fields<'_>) -> Result<BTreeSet<String>, Problem> {
    let mut removed = BTreeSet::new();
    for name in fields.items_or_none("request_headers_to_remove")? {
        let text = name.text()?.to_ascii_lowercase();
        if text.starts_with(':') || text == "host" {
            return Err(name.problem("Envoy does not remove this one"));
        }
        removed.insert(text);
    }
    Ok(removed)
}

/// The names in `typed_per_filter_config` that are switched off by a `FilterConfig`.
fn read_disabled_filters(fields: &Fields<'_>) -> Result<BTreeSet<String>, Problem> {
    let mut disabled = BTreeSet::new();
    let Some(per_filter) = fields.get("typed_per_filter_config") else {
        return Ok(disabled);
    };
    for (name, node) in per_filter.fields()?.entries() {
        let config = node.fields()?;
        if config.type_name()? != "FilterConfig" {
            node.not_understood("only FilterConfig{disabled}");
            continue;
        }
        if config.boolean_or("disabled", false)? {
            disabled.insert(name.to_owned());
        }
        config.finish(&[]);
    }
    Ok(disabled)
}
