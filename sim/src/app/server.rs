//! The application on a socket.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use super::Answer;
use super::answer::Then;
use crate::fields::Fields;
use crate::resettable::{Conn, Reset, ResetSwitch};

/// Larger bodies are answered with 413.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// One call as it came in.
#[derive(Debug, Clone)]
pub struct Asked {
    /// When its head was there.
    pub at: Instant,
    /// With the query.
    pub path: String,
    /// In order; names in lower case, values as text as far as they are.
    pub headers: Vec<(String, String)>,
    /// Empty if it was not read.
    pub body: Vec<u8>,
}

impl Asked {
    #[cfg(test)]
    pub(super) fn of_body(body: Vec<u8>) -> Self {
        Self {
            at: Instant::now(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body,
        }
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// What tells this push from others: the event's id, or WeChat's `MsgId`.
    pub fn id(&self) -> Option<String> {
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(event) => Some(event.get("id")?.as_str()?.to_owned()),
            Err(_) => leaf(&self.body, "MsgId"),
        }
    }

    /// What the user said, in whichever format.
    pub fn text(&self) -> Option<String> {
        match serde_json::from_slice::<Value>(&self.body) {
            Ok(event) => {
                let push = event.pointer("/data/push").unwrap_or(&event);
                Some(push.get("Content")?.as_str()?.to_owned())
            }
            Err(_) => leaf(&self.body, "Content"),
        }
    }
}

fn leaf(xml: &[u8], name: &str) -> Option<String> {
    Some(Fields::from_xml(xml).ok()?.text(name)?.to_owned())
}

#[derive(Default)]
struct State {
    plans: Vec<(String, Answer)>,
    calls: Vec<Asked>,
}

impl State {
    /// The latest plan that fits.
    fn answer(&self, asked: &Asked) -> Option<Answer> {
        let body = String::from_utf8_lossy(&asked.body);
        let mut plans = self.plans.iter().rev();
        let plan = plans.find(|(word, _)| body.contains(word));
        plan.map(|(_, answer)| answer.clone())
    }
}

/// A running application, or one that is down. Dropping it closes its sockets.
pub struct App {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: Option<JoinHandle<()>>,
}

impl App {
    /// Serves at this address; port 0 picks a free one.
    ///
    /// # Errors
    /// The address is taken.
    pub async fn start(listen: SocketAddr) -> anyhow::Result<Self> {
        let mut app = Self {
            address: listen,
            state: Arc::default(),
            task: None,
        };
        app.up().await?;
        Ok(app)
    }

    /// Where it listens, or did.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every call so far, in the order of their coming.
    pub fn calls(&self) -> Vec<Asked> {
        self.state().calls.clone()
    }

    /// From now on this is the answer to whatever has `word` in its body; of several plans that fit, the latest counts.
    /// An empty word is in everything.
    pub fn plan(&self, word: &str, answer: Answer) {
        self.state().plans.push((word.to_owned(), answer));
    }

    /// Ends it, with all connections: it refuses from now on. What it was asked stays known.
    pub async fn down(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // Over when the sockets are closed.
            let _ = task.await;
        }
    }

    /// Serves again, at the same address.
    ///
    /// # Errors
    /// The address is taken meanwhile.
    pub async fn up(&mut self) -> anyhow::Result<()> {
        self.down().await;
        let listener = TcpListener::bind(self.address)
            .await
            .with_context(|| format!("cannot listen on {}", self.address))?;
        self.address = listener.local_addr()?;
        self.task = Some(tokio::spawn(serve(listener, self.state.clone())));
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    // Owned here, so that aborting this task ends every connection.
    let mut connections = JoinSet::new();
    loop {
        let Ok((tcp, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: let some go.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let _ = tcp.set_nodelay(true);
        let (conn, reset) = Conn::new(tcp);
        connections.spawn(converse(conn, state.clone(), reset));
    }
}

async fn converse(conn: Conn, state: Arc<Mutex<State>>, reset: ResetSwitch) {
    let service = service_fn(|request| {
        let (state, reset) = (state.clone(), reset.clone());
        async move {
            let answer = answer(&state, request).await;
            if answer.is_err() {
                reset.pull();
            }
            answer
        }
    });
    // Errors here are the peer's: it went away, or does not speak HTTP.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(conn), service)
        .await;
}

type Response = hyper::Response<Full<Bytes>>;

async fn answer(
    state: &Mutex<State>,
    request: hyper::Request<Incoming>,
) -> Result<Response, Reset> {
    let (head, body) = request.into_parts();
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let mut asked = Asked {
        at: Instant::now(),
        path: head.uri.to_string(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    let unread = lock(state).answer(&asked);
    if let Some(Answer {
        delay,
        then: Then::Reset { read: false },
    }) = unread
    {
        lock(state).calls.push(asked);
        tokio::time::sleep(delay).await;
        return Err(Reset);
    }
    let Ok(body) = Limited::new(body, MAX_BODY_BYTES).collect().await else {
        return Ok(response(413, "text/plain", Vec::new()));
    };
    asked.body = body.to_bytes().to_vec();
    let planned = lock(state).answer(&asked);
    let Answer { delay, then } = planned.unwrap_or_else(|| Answer::by_words(&asked));
    lock(state).calls.push(asked);
    tokio::time::sleep(delay).await;
    match then {
        Then::Say {
            status,
            content_type,
            body,
        } => Ok(response(status, content_type, body)),
        Then::Reset { .. } => Err(Reset),
        Then::Hang => std::future::pending().await,
    }
}

fn response(status: u16, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() =
        hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    let value = hyper::header::HeaderValue::from_static(content_type);
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, value);
    response
}
