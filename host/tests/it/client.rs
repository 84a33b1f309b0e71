//! A client that shows the wire: HTTP/1.1 over a blocking socket, one request at a time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let header = headers.find(|(held, _)| held.eq_ignore_ascii_case(name))?;
        Some(&header.1)
    }

    pub(crate) fn headers_named(&self, name: &str) -> Vec<&str> {
        let headers = self.headers.iter();
        headers
            .filter(|(held, _)| held.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }
}

/// A connection to a server.
pub(crate) struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Connection {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("an option");
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .write_all(bytes.as_ref())
            .expect("the server reads");
    }

    pub(crate) fn get(&mut self, path: &str) -> Reply {
        self.write(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"));
        self.read().expect("a reply")
    }

    /// The next response; `None` when the connection ends before one is complete.
    pub(crate) fn read(&mut self) -> Option<Reply> {
        self.read_reply(false)
    }

    pub(crate) fn read_reply(&mut self, head_only: bool) -> Option<Reply> {
        let end = loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                break at;
            }
            self.more()?;
        };
        let head = String::from_utf8_lossy(&self.unread[..end]).into_owned();
        self.unread.drain(..end + 4);
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut reply = Reply {
            status,
            headers,
            body: String::new(),
        };
        if status == 100 {
            return self.read_reply(head_only);
        }
        let body = if head_only || status == 204 {
            Vec::new()
        } else if let Some(length) = reply.header("content-length") {
            let length = length.parse().ok()?;
            while self.unread.len() < length {
                self.more()?;
            }
            self.unread.drain(..length).collect()
        } else {
            self.read_chunks()?
        };
        reply.body = String::from_utf8_lossy(&body).into_owned();
        Some(reply)
    }

    fn read_chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(at) = find(&self.unread, b"\r\n") {
                    break at;
                }
                self.more()?;
            };
            let line = String::from_utf8_lossy(&self.unread[..end]).into_owned();
            let size = usize::from_str_radix(&line, 16).ok()?;
            while self.unread.len() < end + 2 + size + 2 {
                self.more()?;
            }
            body.extend_from_slice(&self.unread[end + 2..end + 2 + size]);
            self.unread.drain(..end + 2 + size + 2);
            if size == 0 {
                return Some(body);
            }
        }
    }

    fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => None,
            Ok(size) => {
                self.unread.extend_from_slice(&buffer[..size]);
                Some(())
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("no answer: {error}"),
        }
    }

    /// Whether nothing has come, and the connection stands.
    pub(crate) fn is_silent(&mut self) -> bool {
        self.stream.set_nonblocking(true).expect("an option");
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).expect("an option");
        self.unread.is_empty() && peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Whether the server closes the connection, without another byte.
    pub(crate) fn is_closed_by_server(&mut self) -> bool {
        self.unread.is_empty() && self.more().is_none()
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// A GET to a server that may not be there.
pub(crate) fn try_get(address: SocketAddr, path: &str) -> Option<Reply> {
    let mut stream = TcpStream::connect(address).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let unread = Vec::new();
    Connection { stream, unread }.read()
}

/// A GET on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str) -> Reply {
    Connection::to(address).get(path)
}

/// A POST with a length on a connection of its own.
pub(crate) fn post(address: SocketAddr, path: &str, body: &str) -> Reply {
    let mut connection = Connection::to(address);
    connection.write(post_bytes(path, body));
    connection.read().expect("a reply")
}

pub(crate) fn post_bytes(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// Tries until it holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "never came: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
