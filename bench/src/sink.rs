//! Takes the events, and counts how often each came; and is WeChat's API for calls through the door.
//!
//! It answers 200 with an empty body, as any CloudEvents endpoint may. Which push an event is about is read from its
//! `MsgId`; that is all the parsing it does, since it must never be the limit.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use tokio::net::TcpListener;
use weir_testbed::process::wait_until;

use crate::pushes::FIRST_MSG_ID;

/// How long events may take after the last answer: a batch waits up to 0.1 s for company.
const PATIENCE: Duration = Duration::from_secs(20);

/// What WeChat's API says to every call.
pub(crate) const API_ANSWER: &[u8] = br#"{"errcode":0,"errmsg":"ok","msgid":3145727}"#;
const TOKEN: &[u8] = br#"{"access_token":"a-token-of-the-bench","expires_in":7200}"#;

/// A running sink. It lives as long as the process.
#[derive(Debug, Clone)]
pub(crate) struct Sink {
    address: SocketAddr,
    ledger: Arc<Mutex<Ledger>>,
}

/// How often each expected event came.
#[derive(Debug, Default)]
struct Ledger {
    first: u32,
    seen: Vec<u8>,
    /// Events in all, and batches.
    events: usize,
    batches: usize,
    /// Events that nobody expected.
    strange: usize,
}

/// What arrived in a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) events: usize,
    pub(crate) batches: usize,
}

impl Sink {
    /// Starts it on a loopback port, in a thread of its own on this thread's core.
    ///
    /// # Errors
    /// No port, no thread.
    pub(crate) fn start() -> Result<Self> {
        Self::with(None)
    }

    /// One that takes so many events a second, and answers a batch when its time is over.
    ///
    /// # Errors
    /// No port, no thread.
    pub(crate) fn slow(per_second: u32) -> Result<Self> {
        Self::with(Some(per_second))
    }

    fn with(per_second: Option<u32>) -> Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let sink = Self {
            address: listener.local_addr()?,
            ledger: Arc::default(),
        };
        let ledger = sink.ledger.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        thread::Builder::new()
            .name("sink".into())
            .spawn(move || runtime.block_on(serve(listener, ledger, per_second)))?;
        Ok(sink)
    }

    /// Where events go.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, the events of these pushes are expected.
    pub(crate) fn expect(&self, (first, end): (u32, u32)) {
        *lock(&self.ledger) = Ledger {
            first,
            seen: vec![0; (end - first) as usize],
            ..Ledger::default()
        };
    }

    /// Waits until as many events arrived as were expected, and tells whether they are the right ones.
    ///
    /// # Errors
    /// An event is missing, came twice, or is not of this slice.
    pub(crate) fn settle(&self) -> Result<Arrived> {
        let complete = wait_until("all events", PATIENCE, || {
            let ledger = lock(&self.ledger);
            Ok((ledger.events >= ledger.seen.len()).then_some(()))
        });
        let ledger = lock(&self.ledger);
        let count = |wanted: fn(u8) -> bool| ledger.seen.iter().filter(|&&n| wanted(n)).count();
        let (missing, twice) = (count(|n| n == 0), count(|n| n > 1));
        ensure!(
            missing == 0 && twice == 0 && ledger.strange == 0,
            "of {} events {missing} are missing, {twice} came more than once, and {} are strange",
            ledger.seen.len(),
            ledger.strange
        );
        complete.map(|()| Arrived {
            events: ledger.events,
            batches: ledger.batches,
        })
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    // Counting does not panic, and a ledger is valid after every step.
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(
    listener: std::net::TcpListener,
    ledger: Arc<Mutex<Ledger>>,
    per_second: Option<u32>,
) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await.context("accepting")?;
        stream.set_nodelay(true)?;
        let ledger = ledger.clone();
        let service = service_fn(move |request| take(request, ledger.clone(), per_second));
        tokio::spawn(async move {
            // A connection that breaks shows as events that are missing.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn take(
    request: Request<Incoming>,
    ledger: Arc<Mutex<Ledger>>,
    per_second: Option<u32>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    if request.uri().path().starts_with("/cgi-bin/") {
        let is_token = request.uri().path() == "/cgi-bin/stable_token";
        request.into_body().collect().await?;
        let answer = if is_token { TOKEN } else { API_ANSWER };
        let mut answer = Response::new(Full::new(Bytes::from_static(answer)));
        let kind = hyper::header::HeaderValue::from_static("application/json; encoding=utf-8");
        answer
            .headers_mut()
            .insert(hyper::header::CONTENT_TYPE, kind);
        return Ok(answer);
    }
    let body = request.into_body().collect().await?.to_bytes();
    let events = lock(&ledger).note(&body);
    if let Some(per_second) = per_second {
        let share = events as f64 / f64::from(per_second.max(1));
        tokio::time::sleep(Duration::from_secs_f64(share)).await;
    }
    Ok(Response::new(Full::default()))
}

impl Ledger {
    /// Counts the events of a batch, and gives how many there are.
    fn note(&mut self, batch: &[u8]) -> usize {
        const FIELD: &[u8] = br#""MsgId":"#;
        let before = self.events;
        self.batches += 1;
        for at in memmem::find_iter(batch, FIELD) {
            self.events += 1;
            let slot = number(&batch[at + FIELD.len()..])
                .and_then(|number| number.checked_sub(self.first))
                .and_then(|index| self.seen.get_mut(index as usize));
            match slot {
                Some(slot) => *slot = slot.saturating_add(1),
                None => self.strange += 1,
            }
        }
        self.events - before
    }
}

/// The push's number from its `MsgId`, a string or a number.
fn number(json: &[u8]) -> Option<u32> {
    let json = json.strip_prefix(b"\"").unwrap_or(json);
    let digits = json.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let id: u64 = str::from_utf8(json.get(..digits)?).ok()?.parse().ok()?;
    u32::try_from(id.checked_sub(FIRST_MSG_ID)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(bodies: &[&str]) -> Ledger {
        let mut ledger = Ledger {
            first: 10,
            seen: vec![0; 3],
            ..Ledger::default()
        };
        for body in bodies {
            ledger.note(body.as_bytes());
        }
        ledger
    }

    #[test]
    fn each_event_is_counted_by_its_push() {
        let ledger = ledger(&[
            r#"[{"data":{"push":{"MsgId":"24000000000000010"}}},{"data":{"push":{"MsgId":24000000000000011}}}]"#,
            r#"[{"data":{"push":{"Content":"\"MsgId\":\"1\"","MsgId":"24000000000000011"}}}]"#,
        ]);
        assert_eq!(ledger.seen, [1, 2, 0]);
        assert_eq!((ledger.events, ledger.batches, ledger.strange), (3, 2, 0));
    }

    #[test]
    fn an_event_of_another_slice_is_strange() {
        let ledger = ledger(&[
            r#"{"MsgId":"24000000000000009"} {"MsgId":"x"} {"MsgId":"24000000000000013"}"#,
        ]);
        assert_eq!((ledger.seen, ledger.strange), (vec![0, 0, 0], 3));
    }
}
