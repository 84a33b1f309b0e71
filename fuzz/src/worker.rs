//! An engine, and just enough of a host around it: shared data, a clock that stands, and chance that does not.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use weir_engine::config::{AccountId, Config};
use weir_engine::rules::Facts;
use weir_engine::shared::{Cas, SetError, SharedData};
use weir_engine::time::Now;
use weir_engine::{
    Call, CallOutcome, Effect, Engine, Env, Input, Method, Random, Request, StreamId,
};
use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::cipher;
use weir_protocol::signature;

use crate::reference::{decrypt_blocks, unframe};

pub(crate) const APPID: &str = "wx0123456789abcdef";
pub(crate) const TOKEN: &str = "weixinToken1";
/// `a` to `z` and six digits, in base64 without its end.
pub(crate) const KEY: &str = "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU";
/// The same as bytes.
pub(crate) const KEY_BYTES: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz012345";
/// The present, Unix seconds.
pub(crate) const NOW: u64 = 1_714_112_446;
const NONCE: &str = "1590219412";

/// One worker, and a store that takes everything.
pub(crate) struct Worker {
    engine: Engine,
    shared: Shared,
    streams: u32,
    /// What the store knows of every user.
    facts: Facts,
}

/// What came of a push.
pub(crate) struct Answered {
    /// Of the 200.
    pub(crate) body: Vec<u8>,
    /// What the store got meanwhile.
    pub(crate) events: Vec<Value>,
}

impl Worker {
    pub(crate) fn new(config: Rc<Config>, facts: Facts) -> Self {
        let shared = Shared::default();
        let engine = Engine::new(config, &mut env(&shared, &mut Chance));
        Self {
            engine,
            shared,
            streams: 0,
            facts,
        }
    }

    /// Sends a push to the first account, and lets the root and the store do their part once.
    pub(crate) fn push(&mut self, body: &str, encrypted: bool) -> Answered {
        let timestamp = NOW.to_string();
        let sign = |parts: &[&[u8]; 4]| {
            let signature = signature::sign(parts);
            String::from_utf8_lossy(&signature).into_owned()
        };
        let [token, at, by] = [TOKEN, &timestamp, NONCE].map(str::as_bytes);
        let mut query = format!("timestamp={timestamp}&nonce={NONCE}");
        let mut sent = body.to_owned();
        if encrypted {
            let key = EncodingAesKey::parse(KEY).expect("a key");
            let encrypt = cipher::encrypt(&key, body.as_bytes(), APPID, b"0123456789abcdef");
            let signature = sign(&[token, at, by, encrypt.as_bytes()]);
            query += &format!("&encrypt_type=aes&msg_signature={signature}");
            sent = format!("{{\"Encrypt\":\"{encrypt}\"}}");
        } else {
            query += &format!("&signature={}", sign(&[token, at, by, b""]));
        }
        self.streams += 1;
        let request = Request {
            account: AccountId(0),
            authorizer: None,
            method: Method::Post,
            query: &query,
            body: sent.as_bytes(),
            arrived_mono_ms: 1_000,
        };
        let stream = StreamId(self.streams);
        let mut effects = self.handle(Input::Request { stream, request });
        effects.extend(self.handle(Input::Tick));
        let mut events = Vec::new();
        if let Some(batch) = effects.iter().find_map(batch) {
            events = serde_json::from_slice(batch).expect("a JSON list");
            let results: Vec<_> = events.iter().map(|event| self.taken(event)).collect();
            let body = json!({ "results": results }).to_string().into_bytes();
            let outcome = CallOutcome::Answer {
                status: 200,
                retry_after_s: None,
                body: &body,
            };
            effects.extend(self.handle(Input::CallDone {
                call: Call::Store,
                outcome,
            }));
        }
        let mut responses = effects.into_iter().filter_map(|effect| match effect {
            Effect::Respond { response, .. } => Some(response),
            _ => None,
        });
        let response = responses.next().expect("an answer");
        assert_eq!(response.status, 200);
        assert!(responses.next().is_none(), "answered twice");
        Answered {
            body: response.body.into_owned(),
            events,
        }
    }

    /// The store's answer to an event.
    fn taken(&self, event: &Value) -> Value {
        let Facts {
            first_push,
            remark,
            nickname,
        } = &self.facts;
        let user = json!({"first_push": first_push, "remark": remark, "nickname": nickname});
        if event["weirask"] == "user" {
            json!({"id": event["id"], "status": "created", "user": user})
        } else {
            json!({"id": event["id"], "status": "created"})
        }
    }

    fn handle(&mut self, input: Input<'_>) -> Vec<Effect> {
        self.engine
            .handle(input, &mut env(&self.shared, &mut Chance));
        std::iter::from_fn(|| self.engine.poll()).collect()
    }
}

/// The body of a call to the store.
fn batch(effect: &Effect) -> Option<&[u8]> {
    match effect {
        Effect::Call {
            call: Call::Store,
            request,
        } => Some(&request.body),
        _ => None,
    }
}

/// Opens a sealed reply, by others' means.
pub(crate) fn open(sealed: &[u8], in_json: bool) -> Vec<u8> {
    let text = std::str::from_utf8(sealed).expect("UTF-8");
    let field = |name: &str| -> String {
        if in_json {
            let json: Value = serde_json::from_str(text).expect("JSON");
            match &json[name] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            }
        } else {
            let tree = roxmltree::Document::parse(text).expect("XML");
            let found = tree.descendants().find(|node| node.has_tag_name(name));
            found
                .and_then(|node| node.text())
                .unwrap_or_default()
                .to_owned()
        }
    };
    let encrypt = field("Encrypt");
    let [timestamp, nonce] = ["TimeStamp", "Nonce"].map(field);
    let parts = [TOKEN, &timestamp, &nonce, &encrypt].map(str::as_bytes);
    assert_eq!(field("MsgSignature").as_bytes(), signature::sign(&parts));
    let blocks = STANDARD.decode(encrypt).expect("base64");
    let buffer = decrypt_blocks(KEY_BYTES, &blocks);
    unframe(&buffer, APPID).expect("a message").to_vec()
}

fn env<'a>(shared: &'a Shared, random: &'a mut Chance) -> Env<'a> {
    Env {
        now: Now {
            unix_ms: NOW * 1_000,
            mono_ms: 1_000,
        },
        shared,
        random,
    }
}

/// Shared data that nobody shares.
#[derive(Default)]
struct Shared(RefCell<HashMap<String, Vec<u8>>>);

impl SharedData for Shared {
    fn get(&self, key: &str) -> Option<(Vec<u8>, Cas)> {
        let value = self.0.borrow().get(key)?.clone();
        Some((value, Cas(1)))
    }

    fn set(&self, key: &str, value: &[u8], _: Option<Cas>) -> Result<(), SetError> {
        self.0.borrow_mut().insert(key.to_owned(), value.to_vec());
        Ok(())
    }
}

/// Always the same, so that an input always does the same.
struct Chance;

impl Random for Chance {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(7);
    }
}
