//! A small gateway for one account: checks and opens pushes with `weir-protocol`, and answers as a test says.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{Method, StatusCode, Uri};
use tokio::net::TcpListener;
use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::cipher;
use weir_protocol::envelope::Envelope;
use weir_protocol::push::{Format, Push};
use weir_protocol::query::CallbackQuery;
use weir_protocol::reply::Reply;
use weir_protocol::signature::{self, Token};

use crate::weir::VARIABLES;

pub(crate) const APPID: &str = "wx0123456789abcdef";
pub(crate) const ORIGINAL_ID: &str = "gh_0a1b2c3d4e5f";

/// A push that was admitted.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// The readable body.
    pub(crate) body: String,
    /// By the table of kinds.
    pub(crate) typed: serde_json::Value,
    /// Whether it came encrypted.
    pub(crate) encrypted: bool,
    pub(crate) path: String,
}

/// What to answer.
pub(crate) enum Answer {
    /// A reply from the account to the user, encrypted if the push was.
    Reply(Reply<'static>),
    /// The same with these bytes changed in the readable body.
    Changed(Reply<'static>, &'static str, &'static str),
    /// A status and a body as they are.
    Raw(u16, &'static str),
}

pub(crate) fn text(content: &'static str) -> Answer {
    Answer::Reply(Reply::Text {
        content: content.into(),
    })
}

/// The running gateway.
pub(crate) struct Gateway {
    /// `http://127.0.0.1:…`
    pub(crate) base: String,
    received: Arc<Mutex<Vec<Received>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Gateway {
    /// Answers every push that is WeChat's as `answer` says, and anything else with 403. The number counts pushes from 1.
    pub(crate) fn start(
        answer: impl Fn(usize, &Received) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let seen = received.clone();
        let answer = Arc::new(answer);
        let handle = move |method: Method, uri: Uri, body: Bytes| {
            let (seen, answer) = (seen.clone(), answer.clone());
            async move {
                match handle(&method, &uri, &body, &seen, &*answer) {
                    Some((status, body)) => (StatusCode::from_u16(status).unwrap(), body),
                    None => (StatusCode::FORBIDDEN, Vec::new()),
                }
            }
        };
        let (base, runtime) = serve(Router::new().fallback(handle));
        Self {
            base,
            received,
            _runtime: runtime,
        }
    }

    /// The pushes so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The only push.
    #[track_caller]
    pub(crate) fn one(&self) -> Received {
        let mut received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received.remove(0)
    }
}

/// A server that answers every request alike.
pub(crate) struct Answering {
    pub(crate) base: String,
    asked: Arc<Mutex<Vec<String>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Answering {
    pub(crate) fn start(body: String) -> Self {
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = asked.clone();
        let (base, runtime) = serve(Router::new().fallback(move |uri: Uri| {
            seen.lock().unwrap().push(uri.to_string());
            let body = body.clone();
            async move { body }
        }));
        Self {
            base,
            asked,
            _runtime: runtime,
        }
    }

    /// Paths and queries so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Serves on a free port of loopback, as long as the runtime lives.
pub(crate) fn serve(router: Router) -> (String, tokio::runtime::Runtime) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move { axum::serve(listener, router).await });
    (base, runtime)
}

fn token() -> Token {
    Token::parse(VARIABLES[0].1).unwrap()
}

fn key() -> EncodingAesKey {
    EncodingAesKey::parse(VARIABLES[1].1).unwrap()
}

fn handle(
    method: &Method,
    uri: &Uri,
    body: &[u8],
    seen: &Mutex<Vec<Received>>,
    answer: &(dyn Fn(usize, &Received) -> Answer + Send + Sync),
) -> Option<(u16, Vec<u8>)> {
    let query = CallbackQuery::parse(uri.query()?).ok()?;
    let stamp = query.stamp().ok()?;
    if let (&Method::GET, Some(given)) = (method, query.msg_signature.as_deref()) {
        // WeCom's way.
        let sealed = query.echostr.as_deref()?;
        signature::verify_encrypted(&token(), stamp.timestamp, stamp.nonce, sealed, given)
            .then_some(())?;
        return Some((200, cipher::decrypt(&key(), sealed, APPID).ok()?.to_vec()));
    }
    if *method == Method::GET {
        let right = signature::verify(
            &token(),
            stamp.timestamp,
            stamp.nonce,
            query.signature.as_deref()?,
        );
        return right.then(|| {
            (
                200,
                query
                    .echostr
                    .clone()
                    .unwrap_or_default()
                    .into_owned()
                    .into(),
            )
        });
    }
    let (encrypted, readable) = if query.is_encrypted() {
        let envelope = Envelope::parse(body).ok()?;
        signature::verify_encrypted(
            &token(),
            stamp.timestamp,
            stamp.nonce,
            &envelope.encrypt,
            query.msg_signature.as_deref()?,
        )
        .then_some(())?;
        (
            true,
            cipher::decrypt(&key(), &envelope.encrypt, APPID).ok()?,
        )
    } else {
        let given = query.signature.as_deref()?;
        signature::verify(&token(), stamp.timestamp, stamp.nonce, given).then_some(())?;
        (false, body.to_vec())
    };
    let Ok(push) = Push::parse(&readable) else {
        let received = Received {
            body: String::from_utf8_lossy(&readable).into_owned(),
            typed: serde_json::Value::Null,
            encrypted,
            path: uri.path().to_owned(),
        };
        seen.lock().unwrap().push(received);
        return None;
    };
    let received = Received {
        body: String::from_utf8(readable.to_vec()).unwrap(),
        typed: serde_json::to_value(push.typed()).unwrap(),
        encrypted,
        path: uri.path().to_owned(),
    };
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(received.clone());
        seen.len()
    };
    let (reply, change) = match answer(number, &received) {
        Answer::Raw(status, body) => return Some((status, body.as_bytes().to_vec())),
        Answer::Reply(reply) => (reply, ("", "")),
        Answer::Changed(reply, from, to) => (reply, (from, to)),
    };
    let user = push.from_user_name();
    let mut bytes = reply.encode(push.format(), user, push.to_user_name(), stamp.seconds);
    if !change.0.is_empty() {
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(change.0), "{text}");
        bytes = text.replace(change.0, change.1).into_bytes();
    }
    if encrypted && !reply.is_silent() {
        let format: Format = push.format();
        bytes = Envelope::seal(
            format,
            &key(),
            &token(),
            APPID,
            &bytes,
            stamp.seconds,
            stamp.nonce,
            &[7; 16],
        );
    }
    Some((200, bytes))
}
