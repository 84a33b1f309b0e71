//! A server that does what it is told: answers, late or never, breaks connections; and remembers what it got.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) peer: SocketAddr,
}

/// What to do about a request.
pub(crate) enum Act {
    Answer(u16, Vec<u8>),
    AnswerAfter(Duration, u16, Vec<u8>),
    Hang,
    /// Closes without a word.
    Close,
    /// These bytes, then closes.
    Raw(&'static str),
}

impl Act {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Answer(200, body.into())
    }
}

/// A running server. Requests are handed to a function with their number, from 1.
pub(crate) struct Backend {
    pub(crate) addr: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    hung_up: Arc<Mutex<usize>>,
    task: JoinHandle<()>,
}

impl Backend {
    pub(crate) async fn start(
        act: impl Fn(usize, &Received) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let hung_up = Arc::new(Mutex::new(0));
        let act = Arc::new(act);
        let (log, gone) = (received.clone(), hung_up.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, peer) = listener.accept().await.unwrap();
                let (act, log, gone) = (act.clone(), log.clone(), gone.clone());
                tokio::spawn(async move {
                    if serve(stream, peer, &*act, &log).await {
                        *gone.lock().unwrap() += 1;
                    }
                });
            }
        });
        Self {
            addr,
            received,
            hung_up,
            task,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// How many connections the other side closed before it had an answer.
    pub(crate) fn hung_up(&self) -> usize {
        *self.hung_up.lock().unwrap()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns whether the other side hung up before the answer.
async fn serve(
    mut stream: TcpStream,
    peer: SocketAddr,
    act: &(dyn Fn(usize, &Received) -> Act + Send + Sync),
    log: &Mutex<Vec<Received>>,
) -> bool {
    let Some(request) = read(&mut stream, peer).await else {
        return false;
    };
    let number = {
        let mut log = log.lock().unwrap();
        log.push(request.clone());
        log.len()
    };
    let (delay, status, body) = match act(number, &request) {
        Act::Answer(status, body) => (Duration::ZERO, status, body),
        Act::AnswerAfter(delay, status, body) => (delay, status, body),
        Act::Hang => (Duration::MAX, 0, Vec::new()),
        Act::Close => return false,
        Act::Raw(text) => {
            stream.write_all(text.as_bytes()).await.unwrap();
            return false;
        }
    };
    let mut byte = [0];
    tokio::select! {
        _ = stream.read(&mut byte) => return true,
        () = tokio::time::sleep(delay) => {}
    }
    let mut answer = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend(body);
    let _ = stream.write_all(&answer).await;
    false
}

async fn read(stream: &mut TcpStream, peer: SocketAddr) -> Option<Received> {
    let mut buffer = Vec::new();
    let mut more =
        async |buffer: &mut Vec<u8>| stream.read_buf(buffer).await.ok().filter(|n| *n > 0);
    let head_end = loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        more(&mut buffer).await?;
    };
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    head.parse(&buffer).ok()?;
    let (path, query) = head.path?.split_once('?').unwrap_or((head.path?, ""));
    let mut request = Received {
        method: head.method?.to_owned(),
        path: path.to_owned(),
        query: form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect(),
        headers: head
            .headers
            .iter()
            .map(|h| (h.name.to_ascii_lowercase(), h.value.to_vec()))
            .collect(),
        body: Vec::new(),
        peer,
    };
    let length: usize = request
        .header("content-length")
        .and_then(|l| l.parse().ok())
        .unwrap_or(0);
    let chunked = request.header("transfer-encoding").is_some();
    while if chunked {
        !buffer.ends_with(b"\r\n\r\n")
    } else {
        buffer.len() < head_end + length
    } {
        more(&mut buffer).await?;
    }
    request.body = buffer.split_off(head_end);
    Some(request)
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n == name)?;
        std::str::from_utf8(value).ok()
    }
}
