//! What every module sends.

use std::borrow::Cow;

use crate::config::Peer;

/// An HTTP request to one of the configured clusters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Envoy's cluster.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// `:method`.
    pub method: Cow<'static, str>,
    /// `:path`, with the query. May hold an access token or a secret: never log it.
    pub path: String,
    /// `content-type`.
    pub content_type: Option<Cow<'static, str>>,
    /// The body. May hold what users wrote: never log it.
    pub body: Vec<u8>,
    /// How long to wait, never 0.
    pub timeout_ms: u32,
}

impl HttpRequest {
    /// A GET of this peer.
    #[must_use]
    pub fn get(peer: &Peer, path: String) -> Self {
        Self {
            cluster: peer.cluster.clone(),
            authority: peer.authority.clone(),
            method: Cow::Borrowed("GET"),
            path,
            content_type: None,
            body: Vec::new(),
            timeout_ms: peer.timeout_ms,
        }
    }

    /// A POST to this peer.
    #[must_use]
    pub fn post(peer: &Peer, path: String, content_type: &'static str, body: Vec<u8>) -> Self {
        Self {
            method: Cow::Borrowed("POST"),
            content_type: Some(Cow::Borrowed(content_type)),
            body,
            ..Self::get(peer, path)
        }
    }
}
