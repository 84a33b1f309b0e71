//! Where a request goes: a URL, whom to trust for TLS, and the port it comes from.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;

use super::HttpFault;

/// Not a usable URL or certificate.
#[derive(Debug, thiserror::Error)]
pub enum BadTarget {
    /// Not an absolute http or https URL.
    #[error("not an http:// or https:// URL: {0}")]
    Url(String),
    /// The certificates cannot be read.
    #[error("the CA certificates cannot be read: {0}")]
    Ca(String),
}

/// Whose certificates to accept for `https`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust<'a> {
    /// The usual public authorities.
    Public,
    /// Only the authorities in this PEM text.
    Pem(&'a [u8]),
}

/// Where a request goes. Cheap to clone.
#[derive(Clone)]
pub struct Target {
    host: String,
    port: u16,
    path: String,
    connector: Option<TlsConnector>,
    server_name: Option<ServerName<'static>>,
    dial: Option<SocketAddr>,
    local_port: Option<u16>,
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("authority", &self.authority())
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Target {
    /// From a URL; `https` trusts the public authorities.
    ///
    /// # Errors
    /// [`BadTarget`].
    pub fn parse(url: &str) -> Result<Self, BadTarget> {
        Self::parse_trusting(url, Trust::Public)
    }

    /// From a URL, with a choice of whom to trust for `https`.
    ///
    /// # Errors
    /// [`BadTarget`].
    pub fn parse_trusting(url: &str, trust: Trust<'_>) -> Result<Self, BadTarget> {
        let bad = || BadTarget::Url(url.to_owned());
        let uri: ::http::Uri = url.parse().map_err(|_| bad())?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(bad)?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(bad()),
        };
        let server_name = ServerName::try_from(host.clone()).map_err(|_| bad())?;
        Ok(Self {
            port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            path: uri.path_and_query().map_or("/", |p| p.as_str()).to_owned(),
            host,
            connector: if tls { Some(connector(trust)?) } else { None },
            server_name: tls.then_some(server_name),
            dial: None,
            local_port: None,
        })
    }

    /// Connects to this address instead of looking the host's name up; `Host` and the TLS name stay.
    pub fn dialing(mut self, address: SocketAddr) -> Self {
        self.dial = Some(address);
        self
    }

    /// Connects from this local port, so that a listener shared by several workers may hand it to a chosen one.
    pub fn from_port(mut self, local_port: u16) -> Self {
        self.local_port = Some(local_port);
        self
    }

    /// Path and query of the URL.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `host:port`, without the port where it is the scheme's own.
    pub fn authority(&self) -> String {
        let default = if self.connector.is_some() { 443 } else { 80 };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.port == default {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    pub(super) fn tls(&self) -> Option<(TlsConnector, ServerName<'static>)> {
        Some((self.connector.clone()?, self.server_name.clone()?))
    }

    pub(super) async fn connect(&self) -> Result<TcpStream, HttpFault> {
        let addresses: Vec<SocketAddr> = match self.dial {
            Some(address) => vec![address],
            None => tokio::net::lookup_host((self.host.as_str(), self.port))
                .await
                .map_err(HttpFault::Connect)?
                .collect(),
        };
        let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
        for address in addresses {
            match self.connect_to(address).await {
                Ok(stream) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => last = error,
            }
        }
        Err(HttpFault::Connect(last))
    }

    async fn connect_to(&self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let Some(local_port) = self.local_port else {
            return TcpStream::connect(address).await;
        };
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_reuseaddr(true)?;
        socket.bind(match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, local_port).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, local_port).into(),
        })?;
        socket.connect(address).await
    }
}

fn connector(trust: Trust<'_>) -> Result<TlsConnector, BadTarget> {
    let mut roots = rustls::RootCertStore::empty();
    match trust {
        Trust::Public => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Trust::Pem(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|e| BadTarget::Ca(e.to_string()))?;
                roots
                    .add(certificate)
                    .map_err(|e| BadTarget::Ca(e.to_string()))?;
            }
            if roots.is_empty() {
                return Err(BadTarget::Ca("no certificate in it".to_owned()));
            }
        }
    }
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .expect("ring offers TLS 1.2 and 1.3")
    .with_root_certificates(roots)
    .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_anything_else_is_refused() {
        let target = Target::parse("http://127.0.0.1:10000/wechat/demo?x=1").unwrap();
        assert_eq!(
            (target.authority().as_str(), target.path()),
            ("127.0.0.1:10000", "/wechat/demo?x=1")
        );
        assert_eq!(
            Target::parse("https://example.com").unwrap().authority(),
            "example.com"
        );
        for url in ["", "example.com/x", "ftp://example.com/", "http://"] {
            assert!(Target::parse(url).is_err(), "{url:?}");
        }
        assert!(Target::parse_trusting("https://a/", Trust::Pem(b"no")).is_err());
    }
}
