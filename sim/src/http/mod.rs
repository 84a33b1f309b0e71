//! A raw HTTP/1.1 client: every byte of a request can be chosen, and each request has its own connection.
//!
//! A proper client library would repair or refuse what tests need to send: header values that are not UTF-8, bodies in
//! chunks with trailers, lengths that lie. Answers, on the other hand, are read strictly.
//!
//! No limit on time here: the caller wraps [`exchange`] and drops it, which closes the connection.

mod request;
mod response;
mod target;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

pub use request::{Framing, Request, Slow};
pub use response::{MAX_RESPONSE_BYTES, Response};
pub use target::{BadTarget, Target, Trust};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpFault {
    /// No connection.
    #[error("no connection: {0}")]
    Connect(std::io::Error),
    /// TLS failed.
    #[error("TLS: {0}")]
    Tls(std::io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(std::io::Error),
    /// The connection was closed before the answer was complete.
    #[error("the connection was closed before the answer was complete")]
    Incomplete,
    /// Not HTTP/1.x, or larger than [`MAX_RESPONSE_BYTES`].
    #[error("not a proper HTTP answer: {0}")]
    Malformed(&'static str),
}

/// Connects to `target`, sends `request` and reads the answer.
///
/// # Errors
/// [`HttpFault`].
pub async fn exchange(target: &Target, request: &Request) -> Result<Response, HttpFault> {
    let tcp = target.connect().await?;
    match target.tls() {
        None => converse(tcp, target, request).await,
        Some((connector, name)) => {
            let tls = connector.connect(name, tcp).await.map_err(HttpFault::Tls)?;
            converse(tls, target, request).await
        }
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite,
    target: &Target,
    request: &Request,
) -> Result<Response, HttpFault> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    // A server may answer before it has read everything (413) and then close: what it said counts, so a failed
    // write does not end the exchange, only a failed read does.
    let write = async {
        let sent = request.write_to(&mut writer, &target.authority()).await;
        if sent.is_ok() {
            let _ = writer.flush().await;
        }
        std::future::pending::<std::convert::Infallible>().await
    };
    tokio::select! {
        response = response::read(&mut reader, &request.method) => response,
        never = write => match never {},
    }
}
