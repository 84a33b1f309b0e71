//! Reads one HTTP/1.x answer.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::HttpFault;

/// Larger answers are refused: no reply to WeChat and no JSON of these APIs comes near.
pub const MAX_RESPONSE_BYTES: usize = 16 << 20;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Names as sent, values as bytes.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Without framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of that name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(value).ok()
    }
}

/// Bytes received and not yet used.
struct Input<'a, R> {
    reader: &'a mut R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Input<'_, R> {
    /// Waits for more. `false` at the end.
    async fn more(&mut self) -> Result<bool, HttpFault> {
        if self.buffer.len() > MAX_RESPONSE_BYTES {
            return Err(HttpFault::Malformed("too large"));
        }
        Ok(self
            .reader
            .read_buf(&mut self.buffer)
            .await
            .map_err(HttpFault::Io)?
            > 0)
    }

    /// Exactly `n` bytes.
    async fn take(&mut self, n: usize) -> Result<Vec<u8>, HttpFault> {
        while self.buffer.len() < n {
            if !self.more().await? {
                return Err(HttpFault::Incomplete);
            }
        }
        let rest = self.buffer.split_off(n);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// One line without its CRLF.
    async fn line(&mut self) -> Result<Vec<u8>, HttpFault> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let mut line = self.take(end + 2).await?;
                line.truncate(end);
                return Ok(line);
            }
            if !self.more().await? {
                return Err(HttpFault::Incomplete);
            }
        }
    }
}

pub(super) async fn read(
    reader: &mut (impl AsyncRead + Unpin),
    method: &str,
) -> Result<Response, HttpFault> {
    let mut input = Input {
        reader,
        buffer: Vec::new(),
    };
    let mut response = loop {
        let head = read_head(&mut input).await?;
        // 1xx are only a prelude.
        if !(100..200).contains(&head.status) {
            break head;
        }
    };
    if method != "HEAD" && response.status != 204 && response.status != 304 {
        response.body = read_body(&mut input, &response).await?;
    }
    Ok(response)
}

async fn read_head(input: &mut Input<'_, impl AsyncRead + Unpin>) -> Result<Response, HttpFault> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut parsed = httparse::Response::new(&mut headers);
        match parsed.parse(&input.buffer) {
            Ok(httparse::Status::Complete(length)) => {
                let response = Response {
                    status: parsed.code.unwrap_or_default(),
                    headers: parsed
                        .headers
                        .iter()
                        .map(|h| (h.name.to_owned(), h.value.to_vec()))
                        .collect(),
                    body: Vec::new(),
                };
                input.take(length).await?;
                return Ok(response);
            }
            Ok(httparse::Status::Partial) => {
                if !input.more().await? {
                    return Err(HttpFault::Incomplete);
                }
            }
            Err(_) => return Err(HttpFault::Malformed("head")),
        }
    }
}

async fn read_body(
    input: &mut Input<'_, impl AsyncRead + Unpin>,
    head: &Response,
) -> Result<Vec<u8>, HttpFault> {
    if head
        .header("transfer-encoding")
        .is_some_and(|value| value.eq_ignore_ascii_case("chunked"))
    {
        return read_chunks(input).await;
    }
    if let Some(length) = head.header("content-length") {
        let length = length
            .trim()
            .parse()
            .map_err(|_| HttpFault::Malformed("content-length"))?;
        if length > MAX_RESPONSE_BYTES {
            return Err(HttpFault::Malformed("too large"));
        }
        return input.take(length).await;
    }
    while input.more().await? {}
    Ok(std::mem::take(&mut input.buffer))
}

async fn read_chunks(input: &mut Input<'_, impl AsyncRead + Unpin>) -> Result<Vec<u8>, HttpFault> {
    let mut body = Vec::new();
    loop {
        let line = input.line().await?;
        let size = std::str::from_utf8(&line)
            .ok()
            .and_then(|text| text.split(';').next());
        let size = size.and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        match size.ok_or(HttpFault::Malformed("chunk"))? {
            0 => break,
            size if size > MAX_RESPONSE_BYTES - body.len() => {
                return Err(HttpFault::Malformed("too large"));
            }
            size => body.extend(input.take(size).await?),
        }
        if input.take(2).await? != b"\r\n" {
            return Err(HttpFault::Malformed("chunk"));
        }
    }
    while !input.line().await?.is_empty() {}
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(wire: &str) -> Result<(u16, String), HttpFault> {
        // Byte by byte, so that every split is met.
        let mut bytes = tokio_test_reader(wire);
        read(&mut bytes, "GET")
            .await
            .map(|r| (r.status, String::from_utf8(r.body).unwrap()))
    }

    fn tokio_test_reader(wire: &str) -> impl AsyncRead + Unpin {
        struct OneByOne(std::collections::VecDeque<u8>);
        impl AsyncRead for OneByOne {
            fn poll_read(
                mut self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
                buf: &mut tokio::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                if let Some(byte) = self.0.pop_front() {
                    buf.put_slice(&[byte]);
                }
                std::task::Poll::Ready(Ok(()))
            }
        }
        OneByOne(wire.bytes().collect())
    }

    #[tokio::test]
    async fn bodies_end_by_length_by_chunks_or_by_the_end_of_the_connection() {
        let hi = (200, "hi".to_owned());
        assert_eq!(
            check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
                .await
                .unwrap(),
            hi
        );
        assert_eq!(check("HTTP/1.1 200 OK\r\n\r\nhi").await.unwrap(), hi);
        let chunked = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
                       1;x=y\r\nh\r\n1\r\ni\r\n0\r\nt: 1\r\n\r\n";
        assert_eq!(check(chunked).await.unwrap(), hi);
    }

    #[tokio::test]
    async fn an_answer_cut_short_is_no_answer() {
        for wire in [
            "",
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n",
        ] {
            assert!(
                matches!(check(wire).await, Err(HttpFault::Incomplete)),
                "{wire:?}"
            );
        }
        assert!(matches!(
            check("SSH-2.0\r\n\r\n").await,
            Err(HttpFault::Malformed(_))
        ));
    }
}
