//! What WeChat says to everybody alike, and is asked for sparingly: tickets of the JS-SDK and of cards, WeChat's addresses.
//!
//! A record per account and thing in shared data: the answer, when it ends, and a lease, so that many who ask at the same
//! moment on any worker cause one call.

use serde::Deserialize;
use weir_engine::shared::{self, SharedData, Write};

/// A ticket is replaced this long before its end.
const EARLY_MS: u64 = 300_000;
/// What says no end is good for so long.
const WITHOUT_END_MS: u64 = 3_600_000;
/// One that got no answer in this time has failed.
const LEASE_MS: u64 = 5_000;
/// `ends u64 | lease_ends u64`, then the answer.
const HEAD: usize = 16;

/// A thing that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thing {
    JsTicket,
    CardTicket,
    CallbackAddresses,
    ApiAddresses,
}

const ALL: [Thing; 4] = [
    Thing::JsTicket,
    Thing::CardTicket,
    Thing::CallbackAddresses,
    Thing::ApiAddresses,
];

impl Thing {
    /// What a GET of this asks for, if it is kept.
    pub(crate) fn of(path: &str, query: &str) -> Option<Self> {
        match (path, query) {
            ("/cgi-bin/ticket/getticket", "&type=jsapi") => Some(Self::JsTicket),
            ("/cgi-bin/ticket/getticket", "&type=wx_card") => Some(Self::CardTicket),
            ("/cgi-bin/getcallbackip", "") => Some(Self::CallbackAddresses),
            ("/cgi-bin/get_api_domain_ip", "") => Some(Self::ApiAddresses),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::JsTicket => "jsapi",
            Self::CardTicket => "wx_card",
            Self::CallbackAddresses => "callback_ip",
            Self::ApiAddresses => "api_ip",
        }
    }
}

/// What to do for one who asks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Answer with it.
    Answer(Vec<u8>),
    /// Ask WeChat; others wait for it.
    Ask,
    /// Somebody asks already.
    Wait,
}

/// Creates the records. Call while configuring.
pub(crate) fn prepare(shared: &dyn SharedData, appid: &str) {
    for thing in ALL {
        shared::create(shared, &key(appid, thing), &[0; HEAD]);
    }
}

/// Looks for a thing.
pub(crate) fn find(shared: &dyn SharedData, appid: &str, thing: Thing, mono_ms: u64) -> Found {
    let found = shared::update(shared, &key(appid, thing), |value| {
        let (ends, lease_ends) = times(value);
        if ends > mono_ms {
            return (Found::Answer(answer_of(value, ends, mono_ms)), Write::No);
        }
        if lease_ends > mono_ms {
            return (Found::Wait, Write::No);
        }
        set_times(value, 0, mono_ms + LEASE_MS);
        value.truncate(HEAD);
        (Found::Ask, Write::Yes)
    });
    // What cannot be kept is asked for each time.
    found.unwrap_or(Found::Ask)
}

/// WeChat has answered, or has not: then the next one asks.
pub(crate) fn put(
    shared: &dyn SharedData,
    appid: &str,
    thing: Thing,
    answer: Option<&[u8]>,
    mono_ms: u64,
) {
    #[derive(Deserialize)]
    struct End {
        expires_in: Option<u64>,
    }
    let _ = shared::update(shared, &key(appid, thing), |value| {
        value.truncate(HEAD);
        set_times(value, 0, 0);
        if let Some(answer) = answer
            && let Ok(End { expires_in }) = serde_json::from_slice(answer)
        {
            let lasts_ms = expires_in.map_or(WITHOUT_END_MS, |s| {
                (s.min(86_400) * 1_000).saturating_sub(EARLY_MS)
            });
            set_times(value, mono_ms + lasts_ms, 0);
            value.extend_from_slice(answer);
        }
        ((), Write::Yes)
    });
}

/// The answer with the time that is left. SDKs keep it themselves for so long.
fn answer_of(value: &[u8], ends: u64, mono_ms: u64) -> Vec<u8> {
    let answer = value.get(HEAD..).unwrap_or_default();
    let Ok(mut document) = serde_json::from_slice::<serde_json::Value>(answer) else {
        return answer.to_vec();
    };
    match document.get_mut("expires_in") {
        Some(expires_in) => *expires_in = ((ends - mono_ms) / 1_000).into(),
        None => return answer.to_vec(),
    }
    document.to_string().into_bytes()
}

fn times(value: &[u8]) -> (u64, u64) {
    let number = |at: usize| {
        let bytes = value.get(at..).and_then(|rest| rest.first_chunk::<8>());
        bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
    };
    (number(0), number(8))
}

fn set_times(value: &mut Vec<u8>, ends: u64, lease_ends: u64) {
    value.resize(value.len().max(HEAD), 0);
    if let Some(head) = value.first_chunk_mut::<HEAD>() {
        let (first, second) = head.split_at_mut(8);
        first.copy_from_slice(&ends.to_le_bytes());
        second.copy_from_slice(&lease_ends.to_le_bytes());
    }
}

fn key(appid: &str, thing: Thing) -> String {
    format!("weir/kept/{}/{appid}", thing.name())
}
