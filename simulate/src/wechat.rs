//! WeChat: sends each push up to three times, waits five seconds for each response, and takes the first that comes.

use std::collections::BTreeMap;

use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::{cipher, signature};

use crate::plan::{APPID, KEY, ORIGINAL_ID, TOKEN};
use crate::rng::Rng;

/// One request of an attempt.
pub(crate) struct Request {
    pub(crate) push: usize,
    /// A second request of the same attempt, which somebody on the way has made.
    pub(crate) copy: bool,
    pub(crate) node: usize,
    pub(crate) worker: usize,
    pub(crate) sent_ms: u64,
    /// WeChat has given it up, or its connection has broken.
    pub(crate) closed: bool,
    /// Whether the gateway learns of that.
    pub(crate) end_is_told: bool,
    /// Who has it.
    pub(crate) engine: Option<usize>,
    /// When its headers came, in the world's time.
    pub(crate) arrived_ms: u64,
    /// When its body was complete.
    pub(crate) complete_ms: u64,
    /// Whether a call to the store was under way then.
    pub(crate) found_busy: bool,
    /// The status that was responded.
    pub(crate) status: Option<u16>,
}

/// How far WeChat is with a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It has not taken a response, and has attempts left or under way.
    Open,
    /// It has a response.
    Heard,
    /// It has given up.
    GaveUp,
}

/// What is known of a push while the world runs.
pub(crate) struct Progress {
    pub(crate) fate: Fate,
    pub(crate) attempts: u8,
    /// The attempt under way.
    pub(crate) current: Option<usize>,
    /// Its reply was handed out by the store when no attempt waited any more.
    pub(crate) handed_in_vain: bool,
    /// What WeChat was told, by the life of a node.
    pub(crate) homes: BTreeMap<(usize, u16), Home>,
}

/// What one node knows of a push as long as it lives.
#[derive(Default)]
pub(crate) struct Home {
    /// Requests of it that engines have had.
    pub(crate) seen: u64,
    /// The engines that have had one.
    pub(crate) handled_by: Vec<usize>,
    /// When the last of them came, and who read it.
    pub(crate) last: Option<(usize, u64)>,
    /// Whether one has done so as soon as the request came.
    pub(crate) at_once: bool,
    /// Whether one has responded 200.
    pub(crate) answered: bool,
    /// The engines that have done so at the deadline of the last attempt, without the store.
    pub(crate) kept_by: Vec<usize>,
    /// The first reply, opened.
    pub(crate) reply: Option<String>,
    /// It was answered at the deadline of the last attempt, without the store.
    pub(crate) let_go: bool,
    /// How often it was counted as lost for want of room.
    pub(crate) counted_lost: u64,
    /// Whether a request was taken after that.
    pub(crate) taken_since: bool,
    /// Whether the last request was turned away.
    pub(crate) turned_away: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self {
            fate: Fate::Open,
            attempts: 0,
            current: None,
            handed_in_vain: false,
            homes: BTreeMap::new(),
        }
    }
}

/// What is sent: query and body.
pub(crate) fn sealed(body: &str, encrypted: bool, unix_s: u64, rng: &mut Rng) -> (String, Vec<u8>) {
    let timestamp = unix_s.to_string();
    let nonce = (rng.next() % 10_000_000_000).to_string();
    let hex = |parts: &[&[u8]]| {
        let signature = match *parts {
            [a, b, c] => signature::sign(&[a, b, c]),
            [a, b, c, d] => signature::sign(&[a, b, c, d]),
            _ => unreachable!("three or four parts are signed"),
        };
        String::from_utf8_lossy(&signature).into_owned()
    };
    let [token, at, by] = [TOKEN, &timestamp, &nonce].map(str::as_bytes);
    let signature = hex(&[token, at, by]);
    let mut query = format!("signature={signature}&timestamp={timestamp}&nonce={nonce}");
    if !encrypted {
        return (query, body.as_bytes().to_vec());
    }
    let key = EncodingAesKey::parse(KEY).expect("a key");
    let salt: [u8; 16] = std::array::from_fn(|_| rng.next().to_le_bytes()[0]);
    let encrypt = cipher::encrypt(&key, body.as_bytes(), APPID, &salt);
    let signature = hex(&[token, at, by, encrypt.as_bytes()]);
    query.push_str(&format!("&encrypt_type=aes&msg_signature={signature}"));
    let body = format!(
        "<xml><ToUserName><![CDATA[{ORIGINAL_ID}]]></ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>"
    );
    (query, body.into_bytes())
}

/// A reply as the user gets it; `None` when it is no reply of ours.
pub(crate) fn opened(body: &[u8], encrypted: bool) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    if !encrypted || text == "success" {
        return Some(text.to_owned());
    }
    let (_, rest) = text.split_once("<Encrypt><![CDATA[")?;
    let (encrypt, _) = rest.split_once("]]>")?;
    let key = EncodingAesKey::parse(KEY).expect("a key");
    String::from_utf8(cipher::decrypt(&key, encrypt, APPID).ok()?).ok()
}
