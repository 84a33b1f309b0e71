//! A request one can bend.

use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};

/// How the body's end is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length` of the body (none for an empty body).
    Length,
    /// `Content-Length` as said here, whatever the body is.
    ClaimedLength(u64),
    /// `Transfer-Encoding: chunked` in chunks of `size` bytes, then these trailers.
    Chunked {
        /// Bytes per chunk, at least 1.
        size: usize,
        /// Sent after the last chunk.
        trailers: Vec<(Vec<u8>, Vec<u8>)>,
    },
}

/// Sends the body in pieces with a pause before each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slow {
    /// Bytes per piece, at least 1.
    pub piece: usize,
    /// Before each piece.
    pub pause: Duration,
}

/// An HTTP/1.1 request. Every part is open; nothing is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST` …
    pub method: String,
    /// Path without query, as it goes on the wire.
    pub path: String,
    /// Names and values before percent-encoding, in order.
    pub query: Vec<(String, String)>,
    /// In order; `Host` and the framing headers are added unless one of that name is here.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Without framing.
    pub body: Vec<u8>,
    /// How the body's end is told.
    pub framing: Framing,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: &'static str,
    /// All at once when `None`.
    pub slow: Option<Slow>,
}

impl Request {
    /// A request without query, headers and body.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            framing: Framing::Length,
            version: "HTTP/1.1",
            slow: None,
        }
    }

    /// The value of a query parameter.
    pub fn query_value(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }

    /// Replaces a query parameter, or adds it.
    pub fn set_query(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        let value = value.into();
        match self.query.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.query.push((name.to_owned(), value)),
        }
        self
    }

    /// Takes a query parameter out.
    pub fn remove_query(&mut self, name: &str) -> &mut Self {
        self.query.retain(|(n, _)| n != name);
        self
    }

    /// Adds a header; the value is bytes, UTF-8 or not.
    pub fn add_header(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.headers
            .push((name.as_bytes().to_vec(), value.as_ref().to_vec()));
        self
    }

    /// Takes a header out, whatever its case.
    pub fn remove_header(&mut self, name: &str) -> &mut Self {
        self.headers
            .retain(|(n, _)| !n.eq_ignore_ascii_case(name.as_bytes()));
        self
    }

    /// Path and percent-encoded query.
    pub fn path_and_query(&self) -> String {
        let mut out = self.path.clone();
        for (i, (name, value)) in self.query.iter().enumerate() {
            out.push(if i == 0 && !self.path.contains('?') {
                '?'
            } else {
                '&'
            });
            percent_encode(&mut out, name);
            out.push('=');
            percent_encode(&mut out, value);
        }
        out
    }

    fn has_header(&self, name: &str) -> bool {
        self.headers
            .iter()
            .any(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// Request line and headers, with the blank line.
    fn head(&self, authority: &str) -> Vec<u8> {
        let mut out = format!(
            "{} {} {}\r\n",
            self.method,
            self.path_and_query(),
            self.version
        )
        .into_bytes();
        if !self.has_header("host") {
            write_header(&mut out, b"Host", authority.as_bytes());
        }
        for (name, value) in &self.headers {
            write_header(&mut out, name, value);
        }
        let length = match &self.framing {
            Framing::Length if self.body.is_empty() && self.method == "GET" => None,
            Framing::Length => Some(self.body.len() as u64),
            Framing::ClaimedLength(length) => Some(*length),
            Framing::Chunked { .. } => {
                if !self.has_header("transfer-encoding") {
                    write_header(&mut out, b"Transfer-Encoding", b"chunked");
                }
                None
            }
        };
        if let Some(length) = length.filter(|_| !self.has_header("content-length")) {
            write_header(&mut out, b"Content-Length", length.to_string().as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    /// The body as it goes on the wire.
    fn framed_body(&self) -> Vec<u8> {
        let Framing::Chunked { size, trailers } = &self.framing else {
            return self.body.clone();
        };
        let mut out = Vec::new();
        for chunk in self.body.chunks((*size).max(1)) {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n");
        for (name, value) in trailers {
            write_header(&mut out, name, value);
        }
        out.extend_from_slice(b"\r\n");
        out
    }

    pub(super) async fn write_to(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
        authority: &str,
    ) -> std::io::Result<()> {
        let mut head = self.head(authority);
        let body = self.framed_body();
        let Some(slow) = self.slow else {
            head.extend_from_slice(&body);
            return writer.write_all(&head).await;
        };
        writer.write_all(&head).await?;
        for piece in body.chunks(slow.piece.max(1)) {
            writer.flush().await?;
            tokio::time::sleep(slow.pause).await;
            writer.write_all(piece).await?;
        }
        Ok(())
    }
}

fn write_header(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn percent_encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_and_trailers_are_written_as_given() {
        let mut request = Request::new("POST", "/p");
        request
            .set_query("nonce", "a+b 1")
            .add_header("X-Odd", b"\xff");
        request.body = b"hello".to_vec();
        request.framing = Framing::Chunked {
            size: 3,
            trailers: vec![(b"x-t".to_vec(), b"\xfe".to_vec())],
        };
        let mut wire = request.head("h:1");
        wire.extend(request.framed_body());
        assert_eq!(
            wire,
            b"POST /p?nonce=a%2Bb%201 HTTP/1.1\r\nHost: h:1\r\nX-Odd: \xff\r\nTransfer-Encoding: chunked\r\n\r\n\
              3\r\nhel\r\n2\r\nlo\r\n0\r\nx-t: \xfe\r\n\r\n"
        );
    }

    #[test]
    fn a_claimed_length_may_lie() {
        let mut request = Request::new("POST", "/");
        request.framing = Framing::ClaimedLength(9);
        assert!(
            String::from_utf8(request.head("h"))
                .unwrap()
                .contains("Content-Length: 9\r\n")
        );
    }
}
