//! The native server that Weir is compared with: what one would write without Weir.
//!
//! axum behind Envoy, the same formats, rules and configuration as Weir, and the same promises as Weir under
//! `ack: at_once`: it verifies, decrypts, parses, recognises copies in a bounded table, replies by rule, encrypts, counts,
//! and sends the events in batches. One thread, as it shares one core with Envoy.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::routing::post;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use sha1::{Digest, Sha1};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use weir_engine::config::{Account, Config, Mode};
use weir_engine::rules::Decision;
use weir_engine::time::rfc3339;
use weir_protocol::cipher;
use weir_protocol::envelope::Envelope;
use weir_protocol::json::Json;
use weir_protocol::push::Push;
use weir_protocol::query::CallbackQuery;
use weir_protocol::reply::Reply;
use weir_protocol::signature;
use weir_store_api::{CONTENT_TYPE_BATCH, TYPE_EVENT, TYPE_MESSAGE};

/// Between two tries to deliver a batch.
const PAUSE: Duration = Duration::from_millis(100);

struct Server {
    config: Config,
    seen: Mutex<Seen>,
    outbox: mpsc::Sender<Vec<u8>>,
    metrics: Metrics,
}

#[derive(Default)]
struct Metrics {
    replied: AtomicU64,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    copies: AtomicU64,
    /// Handling times by power of two, microseconds.
    handling_us: [AtomicU64; 24],
}

/// Pushes seen of late, oldest first, and the `CreateTime` of the reply to each.
#[derive(Default)]
struct Seen {
    by_identity: HashMap<Arc<[u8]>, u64>,
    order: VecDeque<(Instant, Arc<[u8]>)>,
}

/// A refusal tells a stranger nothing; what was wrong would go to a metric.
struct Refused;

type Answer = (StatusCode, [(HeaderName, &'static str); 1], Vec<u8>);

/// Serves until it is killed. Says on standard output where it listens.
///
/// # Errors
/// The configuration is wrong, or no port is free.
pub(crate) fn run(sink: SocketAddr, configuration: &Path) -> Result<()> {
    let document = fs::read(configuration)?;
    let config = weir_config::parse(&document, &|name| std::env::var(name).ok())
        .map_err(|problems| anyhow!("the configuration has {} problems", problems.len()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (outbox, events) = mpsc::channel(config.limits.outbox_max_events);
        let limits = &config.limits;
        let batches = Batches {
            uri: format!("http://{sink}{}", config.store.path),
            max_events: limits.batch_max_events,
            wait: Duration::from_millis(limits.batch_wait_ms),
        };
        tokio::spawn(batches.deliver(events));
        let (_, account) = config.accounts().next().context("there is an account")?;
        let path = account.path.clone();
        let server = Arc::new(Server {
            config,
            seen: Mutex::default(),
            outbox,
            metrics: Metrics::default(),
        });
        let router = Router::new().route(&path, post(push)).with_state(server);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("listening on {}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            // Only costs latency when it fails.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await?;
        Ok(())
    })
}

async fn push(State(server): State<Arc<Server>>, query: RawQuery, body: Bytes) -> Answer {
    let started = Instant::now();
    let answer = server.answer(query.0.as_deref().unwrap_or_default(), &body);
    let us = started.elapsed().as_micros().max(1).ilog2() as usize;
    if let Some(bucket) = server.metrics.handling_us.get(us) {
        bucket.fetch_add(1, Ordering::Relaxed);
    }
    answer.unwrap_or_else(|Refused| {
        server.metrics.refused.fetch_add(1, Ordering::Relaxed);
        let headers = [(CONTENT_TYPE, "text/plain")];
        (StatusCode::FORBIDDEN, headers, Vec::new())
    })
}

impl Server {
    fn answer(&self, query: &str, body: &[u8]) -> Result<Answer, Refused> {
        let (_, account) = self.config.accounts().next().ok_or(Refused)?;
        let query = CallbackQuery::parse(query).map_err(|_| Refused)?;
        let stamp = query.stamp().map_err(|_| Refused)?;
        let received = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| Refused)?;
        if stamp.seconds.abs_diff(received.as_secs()) > self.config.limits.freshness_s
            || query.is_encrypted() == (account.mode == Mode::Plain)
        {
            return Err(Refused);
        }
        if account.mode == Mode::Plain {
            let given = query.signature.as_deref().ok_or(Refused)?;
            let ours = |token| signature::verify(token, stamp.timestamp, stamp.nonce, given);
            if !account.tokens.iter().any(ours) {
                return Err(Refused);
            }
            let reply = self.handle(account, body, received)?;
            return Ok(answer_with(reply));
        }
        let given = query.msg_signature.as_deref().ok_or(Refused)?;
        let envelope = Envelope::parse(body).map_err(|_| Refused)?;
        let token = account
            .tokens
            .iter()
            .find(|token| {
                let (time, nonce) = (stamp.timestamp, stamp.nonce);
                signature::verify_encrypted(token, time, nonce, &envelope.encrypt, given)
            })
            .ok_or(Refused)?;
        let (message, key) = cipher::decrypt_any(&account.keys, &envelope.encrypt, &account.appid)
            .map_err(|_| Refused)?;
        let reply = self.handle(account, &message, received)?;
        Ok(answer_with(reply.map(|reply| {
            Envelope::seal(
                account.format,
                key,
                token,
                &account.appid,
                &reply,
                received.as_secs(),
                stamp.nonce,
                &rand::random(),
            )
        })))
    }

    /// What to reply to a push that is WeChat's; its event goes to the outbox, unless it is a copy.
    fn handle(
        &self,
        account: &Account,
        body: &[u8],
        received: Duration,
    ) -> Result<Option<Vec<u8>>, Refused> {
        let push = Push::parse(body).map_err(|_| Refused)?;
        if push.to_user_name() != account.original_id {
            return Err(Refused);
        }
        let mut identity = account.name.clone().into_bytes();
        identity.push(0);
        push.write_identity(&mut identity);
        let limits = &self.config.limits;
        let retention = Duration::from_millis(limits.dedup_retention_ms);
        let first = self
            .seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .claim(&identity, received.as_secs(), retention, limits.dedup_slots);
        if first.is_some() {
            self.metrics.copies.fetch_add(1, Ordering::Relaxed);
        } else {
            let event = event_of(account, &push, &identity, received);
            self.outbox.try_send(event).map_err(|_| Refused)?;
        }
        // These rules ask nothing that only a store knows.
        let Ok(Decision { reply, .. }) = account.rules.decide(&push, b"", None) else {
            return Err(Refused);
        };
        if reply.is_silent() {
            self.metrics.acknowledged.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        }
        self.metrics.replied.fetch_add(1, Ordering::Relaxed);
        let create_time = first.unwrap_or(received.as_secs());
        Ok(Some(Reply::encode(
            &reply,
            account.format,
            push.from_user_name(),
            push.to_user_name(),
            create_time,
        )))
    }
}

impl Seen {
    /// When this push was first seen, if it was.
    fn claim(&mut self, identity: &[u8], now_s: u64, keep: Duration, most: usize) -> Option<u64> {
        if let Some(&first) = self.by_identity.get(identity) {
            return Some(first);
        }
        let now = Instant::now();
        while let Some((since, _)) = self.order.front() {
            if self.order.len() < most && now.duration_since(*since) <= keep {
                break;
            }
            if let Some((_, old)) = self.order.pop_front() {
                self.by_identity.remove(&old);
            }
        }
        let identity: Arc<[u8]> = identity.into();
        self.order.push_back((now, identity.clone()));
        self.by_identity.insert(identity, now_s);
        None
    }
}

fn answer_with(reply: Option<Vec<u8>>) -> Answer {
    match reply {
        Some(reply) => (StatusCode::OK, [(CONTENT_TYPE, "application/xml")], reply),
        None => (
            StatusCode::OK,
            [(CONTENT_TYPE, "text/plain")],
            b"success".to_vec(),
        ),
    }
}

fn event_of(account: &Account, push: &Push<'_>, identity: &[u8], received: Duration) -> Vec<u8> {
    let (prefix, kind) = match push.event() {
        Some(event) => (TYPE_EVENT, event),
        None => (TYPE_MESSAGE, push.msg_type()),
    };
    let id = signature::hex(&Sha1::digest(identity).into());
    let mut json = Json::with_capacity(1024);
    json.begin_object();
    json.member("specversion").text("1.0");
    json.member("id")
        .text(std::str::from_utf8(&id).unwrap_or_default());
    json.member("source")
        .text(&format!("/accounts/{}", account.name));
    json.member("type")
        .text(&format!("{prefix}{}", kind.to_ascii_lowercase()));
    json.member("time").text(&rfc3339(push.create_time()));
    json.member("subject").text(push.from_user_name());
    json.member("datacontenttype").text("application/json");
    json.member("data").begin_object();
    json.member("account").text(&account.name);
    json.member("appid").text(&account.appid);
    json.member("received_at_ms")
        .unsigned(u64::try_from(received.as_millis()).unwrap_or(u64::MAX));
    push.typed().write(json.member("push"));
    json.end_object().end_object();
    json.finish()
}

/// How events are delivered.
struct Batches {
    uri: String,
    max_events: usize,
    /// How long the first event of a batch waits for company.
    wait: Duration,
}

impl Batches {
    async fn deliver(self, mut events: mpsc::Receiver<Vec<u8>>) {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        while let Some(first) = events.recv().await {
            let mut batch = vec![first];
            let company = async {
                while batch.len() < self.max_events {
                    let room = self.max_events - batch.len();
                    if events.recv_many(&mut batch, room).await == 0 {
                        break;
                    }
                }
            };
            // Whether it is full or late: what is there goes.
            let _ = tokio::time::timeout(self.wait, company).await;
            let mut body =
                Vec::with_capacity(batch.iter().map(|event| event.len() + 1).sum::<usize>() + 2);
            body.push(b'[');
            body.extend_from_slice(&batch.join(&b','));
            body.push(b']');
            let body = Bytes::from(body);
            while !self.post(&client, body.clone()).await {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn post(
        &self,
        client: &Client<hyper_util::client::legacy::connect::HttpConnector, Full<Bytes>>,
        body: Bytes,
    ) -> bool {
        let request = Request::post(&self.uri)
            .header(CONTENT_TYPE, CONTENT_TYPE_BATCH)
            .body(Full::new(body));
        let Ok(request) = request else { return false };
        let answer = client.request(request).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_pushes_seen_knows_copies_and_stays_bounded() {
        let mut seen = Seen::default();
        let keep = Duration::from_secs(60);
        assert_eq!(seen.claim(b"a", 1, keep, 2), None);
        assert_eq!(seen.claim(b"a", 2, keep, 2), Some(1));
        assert_eq!(seen.claim(b"b", 3, keep, 2), None);
        assert_eq!(seen.claim(b"c", 4, keep, 2), None);
        assert_eq!(seen.claim(b"a", 5, keep, 2), None);
        assert_eq!((seen.by_identity.len(), seen.order.len()), (2, 2));
        assert_eq!(seen.claim(b"d", 6, Duration::ZERO, 9), None);
        assert_eq!(seen.order.len(), 1);
    }
}
