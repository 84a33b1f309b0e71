//! Requests, rightly signed for a sample, and how they are put on the wire.

use std::time::{SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use weir_sim::wechat::Mode;
use weir_sim::wechat::signature::sign;

use super::samples::Sample;

/// A request, before it is put on the wire.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// What follows the `?`, as it goes on the wire.
    pub(super) query: String,
    pub(super) body: Vec<u8>,
    /// Bytes of the body that are announced and never come.
    pub(super) withheld: usize,
}

/// A request on the wire.
#[derive(Debug)]
pub(super) struct Wire {
    /// How it was bent.
    pub(super) way: &'static str,
    pub(super) bytes: Vec<u8>,
    /// It is never complete, so the connection ends with it.
    pub(super) unfinished: bool,
}

pub(super) fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}

/// Nine or ten digits.
pub(super) fn nonce(rng: &mut Rng) -> String {
    rng.u64(100_000_000..2_000_000_000).to_string()
}

pub(super) fn keyed(sample: &Sample) -> bool {
    sample.variant.mode != Mode::Plain
}

/// The parameters, rightly signed for a body of `encrypt`, or for a readable one.
pub(super) fn query(
    sample: &Sample,
    timestamp: &str,
    nonce: &str,
    encrypt: Option<&str>,
) -> Vec<(&'static str, String)> {
    let token = &sample.account.token;
    let mut pairs = vec![
        ("signature", sign(&[token, timestamp, nonce])),
        ("timestamp", timestamp.to_owned()),
        ("nonce", nonce.to_owned()),
        ("openid", "oAbCdEf0123456789GhIjKlMnOpQ".to_owned()),
    ];
    if let Some(encrypt) = encrypt {
        pairs.push(("encrypt_type", "aes".to_owned()));
        pairs.push(("msg_signature", sign(&[token, timestamp, nonce, encrypt])));
    }
    pairs
}

fn written(pairs: &[(&str, String)]) -> String {
    let mut out = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        out.append_pair(name, value);
    }
    out.finish()
}

/// A push with this inside, signed rightly at this time.
pub(super) fn signed_at(
    sample: &Sample,
    rng: &mut Rng,
    timestamp: &str,
    nonce: &str,
    push: &[u8],
) -> Draft {
    if !keyed(sample) {
        return with_body(
            sample,
            &query(sample, timestamp, nonce, None),
            push.to_vec(),
        );
    }
    let encrypt = sample.encrypt(rng.u128(..), push);
    let pairs = query(sample, timestamp, nonce, Some(&encrypt));
    with_body(sample, &pairs, sample.envelope(&encrypt))
}

/// The same, now.
pub(super) fn signed(sample: &Sample, rng: &mut Rng, push: &[u8]) -> Draft {
    let nonce = nonce(rng);
    signed_at(sample, rng, &now_s().to_string(), &nonce, push)
}

pub(super) fn with_body(sample: &Sample, pairs: &[(&str, String)], body: Vec<u8>) -> Draft {
    Draft {
        method: "POST",
        path: sample.variant.path,
        query: written(pairs),
        body,
        withheld: 0,
    }
}

/// The sample as it is.
pub(super) fn right(sample: &Sample, rng: &mut Rng) -> Draft {
    signed(sample, rng, &sample.push)
}

/// A right request whose parameters are then changed.
pub(super) fn with_pairs(
    sample: &Sample,
    rng: &mut Rng,
    change: impl FnOnce(&mut Vec<(&'static str, String)>, &mut Rng),
) -> Draft {
    let nonce = nonce(rng);
    let timestamp = now_s().to_string();
    let encrypt = keyed(sample).then(|| sample.encrypt(rng.u128(..), &sample.push));
    let mut pairs = query(sample, &timestamp, &nonce, encrypt.as_deref());
    change(&mut pairs, rng);
    let body = encrypt.map_or_else(|| sample.push.clone(), |encrypt| sample.envelope(&encrypt));
    with_body(sample, &pairs, body)
}

/// The parameters that decide; the others may be anything.
pub(super) fn deciding(sample: &Sample) -> [&'static str; 3] {
    let signature = if keyed(sample) {
        "msg_signature"
    } else {
        "signature"
    };
    [signature, "timestamp", "nonce"]
}

pub(super) fn value<'p>(pairs: &'p mut [(&'static str, String)], name: &str) -> &'p mut String {
    let found = pairs.iter_mut().find(|(known, _)| *known == name);
    &mut found.expect("the parameter was written").1
}

/// With a length or in chunks, with odd headers and trailers now and then.
pub(super) fn wire(way: &'static str, draft: &Draft, rng: &mut Rng) -> Wire {
    let Draft {
        method,
        path,
        query,
        body,
        withheld,
    } = draft;
    let mut bytes =
        format!("{method} {path}?{query} HTTP/1.1\r\nHost: weir.example\r\n").into_bytes();
    if rng.u8(..8) == 0 {
        bytes.extend_from_slice(
            b"User-Agent: \x80\xff\r\nContent-Type: application/json; charset=gbk\r\n",
        );
    }
    let in_chunks = !body.is_empty() && *withheld == 0 && rng.u8(..3) == 0;
    if in_chunks {
        bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        let mut rest = &body[..];
        while !rest.is_empty() {
            let most = if rest.len() > 4_096 { rest.len() } else { 300 };
            let (chunk, after) = rest.split_at(rng.usize(1..=rest.len().min(most)));
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
            rest = after;
        }
        bytes.extend_from_slice(b"0\r\n");
        if rng.bool() {
            bytes.extend_from_slice(b"x-checksum: abc\r\nx-odd: \xff\xfe\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
    } else {
        let length = body.len() + withheld;
        if length > 0 || *method != "GET" {
            bytes.extend_from_slice(format!("Content-Length: {length}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
    }
    Wire {
        way,
        bytes,
        unfinished: *withheld > 0,
    }
}
