//! A request as it comes off the wire, made into what filters see; and the route it will take.

use std::net::SocketAddr;
use std::sync::Arc;

use http::request::Parts;
use http::{Method, Version};

use super::headers::Headers;
use super::local_reply::LocalReply;
use super::path;
use super::property::split_query;
use crate::config::{ConnectionManager, Route, Underscores, VirtualHost};

/// Where a request came in, under the configuration of that moment.
pub(crate) struct Place {
    pub(crate) listener: usize,
    pub(crate) manager: Arc<ConnectionManager>,
}

/// Who sent it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) connection: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) version: Version,
}

impl Client {
    /// The property `request.protocol`.
    pub(crate) fn protocol(&self) -> &'static str {
        match self.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2",
            _ => "HTTP/1.1",
        }
    }

    pub(crate) fn is_http1(&self) -> bool {
        self.version != Version::HTTP_2
    }
}

/// A request's head.
pub(crate) struct Head {
    pub(crate) headers: Headers,
    pub(crate) request_id: String,
    pub(crate) is_head: bool,
    pub(crate) route: Option<Route>,
    /// The answer, when the request is refused before any filter sees it.
    pub(crate) refused: Option<LocalReply>,
}

/// A head that no stream is made for: the connection's codec would have refused it.
pub(crate) struct Malformed;

/// Reads a request's head.
pub(crate) fn read(
    parts: &Parts,
    manager: &ConnectionManager,
    client: &Client,
) -> Result<Head, Malformed> {
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .as_bytes();
    let authority = match parts.uri.authority() {
        Some(authority) => authority.as_str().as_bytes().to_vec(),
        None => parts
            .headers
            .get(http::header::HOST)
            .ok_or(Malformed)?
            .as_bytes()
            .to_vec(),
    };
    if client.is_http1() && !path.is_ascii() {
        return Err(Malformed);
    }
    let mut refused = None;
    let canonical = path::canonical(path, manager).unwrap_or_else(|path::Refused| {
        refused = Some(LocalReply::new(400, "", "path_normalization_failed"));
        path.to_vec()
    });

    let mut headers = Headers::default();
    headers.add(b":authority", &authority);
    headers.add(b":path", &canonical);
    headers.add(b":method", parts.method.as_str().as_bytes());
    headers.add(b":scheme", b"http");
    for (name, value) in Headers::from_http(&parts.headers).iter() {
        let hop_by_hop = matches!(name, b"host" | b"connection" | b"keep-alive" | b"upgrade");
        if !hop_by_hop {
            headers.add(name, value);
        }
    }
    match manager.underscores {
        Underscores::Allow => {}
        Underscores::Drop => headers.retain(|name| !name.contains(&b'_')),
        Underscores::Reject => {
            if headers.iter().any(|(name, _)| name.contains(&b'_')) {
                refused = Some(LocalReply::new(400, "", "unexpected_underscore"));
            }
        }
    }
    let request_id = decorate(&mut headers, manager, client);
    let route = find_route(&manager.virtual_hosts, &authority, &canonical).cloned();
    Ok(Head {
        headers,
        request_id,
        is_head: parts.method == Method::HEAD,
        route,
        refused,
    })
}

/// What the connection manager adds on its own account.
fn decorate(headers: &mut Headers, manager: &ConnectionManager, client: &Client) -> String {
    if manager.use_remote_address {
        let peer = client.peer.ip().to_string();
        let forwarded = match headers.get_text("x-forwarded-for") {
            Some(before) => format!("{before},{peer}"),
            None => peer,
        };
        headers.set(b"x-forwarded-for", forwarded.as_bytes());
        headers.remove(b"x-request-id"); // a stranger's: ours instead
    }
    if headers.get(b"x-forwarded-proto").is_none() || manager.use_remote_address {
        headers.set(b"x-forwarded-proto", b"http");
    }
    if let Some(given) = headers.get_text("x-request-id") {
        return given;
    }
    if !manager.generate_request_id {
        return String::new();
    }
    let id = new_request_id();
    headers.set(b"x-request-id", id.as_bytes());
    id
}

/// A random UUID.
fn new_request_id() -> String {
    let mut bytes = [0_u8; 16];
    // Without randomness ids repeat; they are for people who read logs.
    let _ = getrandom::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

/// The virtual host is chosen by name, exact before suffix before prefix before any; the first of its routes that
/// takes the path is the route.
fn find_route<'a>(hosts: &'a [VirtualHost], authority: &[u8], path: &[u8]) -> Option<&'a Route> {
    let name = String::from_utf8_lossy(authority).to_ascii_lowercase();
    let bare = name.rsplit_once(':').map_or(name.as_str(), |(host, port)| {
        if port.bytes().all(|byte| byte.is_ascii_digit()) {
            host
        } else {
            &name
        }
    });
    let rank = |domain: &str| -> Option<(u8, usize)> {
        for name in [name.as_str(), bare] {
            if domain == name {
                return Some((3, domain.len()));
            }
            if domain == "*" {
                return Some((0, 0));
            }
            if let Some(suffix) = domain.strip_prefix('*')
                && name.len() > suffix.len()
                && name.ends_with(suffix)
            {
                return Some((2, suffix.len()));
            }
            if let Some(prefix) = domain.strip_suffix('*')
                && name.len() > prefix.len()
                && name.starts_with(prefix)
            {
                return Some((1, prefix.len()));
            }
        }
        None
    };
    let (_, host) = hosts
        .iter()
        .filter_map(|host| Some((host.domains.iter().filter_map(|d| rank(d)).max()?, host)))
        .max_by_key(|(rank, _)| *rank)?;
    let (path_only, _) = split_query(path);
    host.routes
        .iter()
        .find(|route| route.matches.takes(path_only))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{PathMatch, RouteAction};

    fn host(domain: &str, path: PathMatch) -> VirtualHost {
        VirtualHost {
            domains: vec![domain.to_owned()],
            routes: vec![Route {
                name: domain.to_owned(),
                matches: path,
                action: RouteAction::Direct {
                    status: 200,
                    body: Vec::new(),
                },
                disabled_filters: BTreeSet::new(),
                removed_headers: BTreeSet::new(),
            }],
        }
    }

    #[test]
    fn the_closest_host_is_taken_and_then_the_first_path() {
        let any = || PathMatch::Prefix("/".to_owned());
        let hosts = [
            host("*", any()),
            host("a.example", PathMatch::Exact("/x".to_owned())),
            host("*.example", any()),
            host("b.*", any()),
        ];
        let check = |authority: &str, path: &str, expected: Option<&str>| {
            let route = find_route(&hosts, authority.as_bytes(), path.as_bytes());
            assert_eq!(
                route.map(|r| r.name.as_str()),
                expected,
                "{authority}{path}"
            );
        };
        check("A.example", "/x?q=1", Some("a.example"));
        check("a.example:8080", "/x", Some("a.example"));
        check("a.example", "/y", None);
        check("z.example", "/", Some("*.example"));
        check("b.test", "/", Some("b.*"));
        check("other", "/", Some("*"));
    }

    #[test]
    fn request_ids_are_random_uuids() {
        let (a, b) = (new_request_id(), new_request_id());
        assert_eq!(a.len(), 36);
        assert_eq!(a.as_bytes()[14], b'4');
        assert_ne!(a, b);
    }
}
