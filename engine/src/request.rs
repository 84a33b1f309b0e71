//! An HTTP request of any shape: what the modules beside the push filter send.

/// An HTTP request to one of the configured clusters.
#[derive(Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// Envoy's cluster.
    pub cluster: String,
    /// `:authority`.
    pub authority: String,
    /// `:method`.
    pub method: String,
    /// `:path`. May hold an access token or a secret: never log it.
    pub path: String,
    /// `content-type`.
    pub content_type: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// How long to wait, never 0.
    pub timeout_ms: u32,
}
