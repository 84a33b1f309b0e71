//! Bends the query and the request line.

use fastrand::Rng;
use weir_sim::wechat::Mode;
use weir_sim::wechat::signature::sign;

use super::pick;
use crate::flood::draft::{
    Draft, deciding, keyed, nonce, now_s, query, right, signed_at, value, with_body, with_pairs,
};
use crate::flood::samples::Sample;

pub(super) fn signature_changed(sample: &Sample, rng: &mut Rng) -> Draft {
    let name = deciding(sample)[0];
    with_pairs(sample, rng, |pairs, rng| {
        let signature = value(pairs, name);
        let at = rng.usize(..signature.len());
        match rng.u8(..6) {
            0 => signature.truncate(at),
            1 => signature.insert(at, rng.digit(16)),
            2 => signature.make_ascii_uppercase(),
            3 => signature.push(' '),
            4 => *signature = "0".repeat(40),
            _ => signature.replace_range(at..=at, &rng.digit(16).to_string()),
        }
    })
}

pub(super) fn signature_of_something_else(sample: &Sample, rng: &mut Rng) -> Draft {
    let [name, ..] = deciding(sample);
    let mut another = sample.clone();
    match rng.u8(..4) {
        0 => another.account.token = "anotherToken".to_owned(),
        1 => another.account.token.push('0'),
        2 => another.account.token.clear(),
        _ => {
            return with_pairs(sample, rng, |pairs, rng| {
                let changed = pick(rng, &["timestamp", "nonce"]);
                let number: i64 = value(pairs, changed).parse().unwrap_or(0);
                *value(pairs, changed) = (number + 1 + rng.i64(..200)).to_string();
                // In keyed modes the other signature decides nothing, so it may as well be right.
                let [timestamp, nonce] =
                    ["timestamp", "nonce"].map(|name| value(pairs, name).clone());
                if name == "msg_signature" {
                    *value(pairs, "signature") = sign(&[&sample.account.token, &timestamp, &nonce]);
                }
            });
        }
    }
    right(&another, rng)
}

pub(super) fn parameter_missing(sample: &Sample, rng: &mut Rng) -> Draft {
    let missing = pick(rng, &deciding(sample).each_ref().map(|name| *name));
    with_pairs(sample, rng, |pairs, rng| {
        if rng.bool() {
            pairs.retain(|(name, _)| *name != missing);
        } else {
            value(pairs, missing).clear();
        }
    })
}

pub(super) fn parameter_twice(sample: &Sample, rng: &mut Rng) -> Draft {
    let twice = pick(rng, &deciding(sample).each_ref().map(|name| *name));
    with_pairs(sample, rng, |pairs, rng| {
        let again = (twice, value(pairs, twice).clone());
        let at = rng.usize(..=pairs.len());
        pairs.insert(at, again);
    })
}

pub(super) fn odd_stamp(sample: &Sample, rng: &mut Rng) -> Draft {
    let now = now_s().to_string();
    let long = "9".repeat(rng.usize(65..600));
    let (timestamp, nonce) = match rng.u8(..8) {
        0 => (format!("{now}0"), nonce(rng)),
        1 => (format!("-{now}"), nonce(rng)),
        2 => (now[..rng.usize(..10)].to_owned(), nonce(rng)),
        3 => (format!("0{now}"), nonce(rng)),
        4 => (format!(" {now}"), nonce(rng)),
        5 => ("１７１４１１２４４５".to_owned(), nonce(rng)),
        // Digits that wander from one to the other leave the signature as it is.
        6 => (now[..9].to_owned(), format!("{}{}", &now[9..], nonce(rng))),
        _ => (now, long),
    };
    signed_at(sample, rng, &timestamp, &nonce, &sample.push)
}

pub(super) fn stale(sample: &Sample, rng: &mut Rng) -> Draft {
    let away = rng.i64(400..1_000_000_000);
    let timestamp = if rng.bool() {
        now_s() - away
    } else {
        now_s() + away
    };
    let nonce = nonce(rng);
    signed_at(sample, rng, &timestamp.to_string(), &nonce, &sample.push)
}

pub(super) fn query_bytes(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut draft = right(sample, rng);
    let mut bytes = draft.query.into_bytes();
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..bytes.len());
        // Neither a blank nor a fragment's sign: with them it is HTTP that goes wrong, not the query.
        let byte = pick(
            rng,
            &[
                b"%", b"&", b"=", b"+", b"A", b"0", b"f", b"~", b"\"", b"?", b";",
            ],
        )[0];
        match rng.u8(..3) {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
    }
    draft.query = String::from_utf8_lossy(&bytes).into_owned();
    draft
}

pub(super) fn query_long_or_none(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut draft = right(sample, rng);
    match rng.u8(..3) {
        0 => draft.query.clear(),
        1 => draft.query = "a=b&".repeat(rng.usize(..500)),
        _ => draft.query += &format!("&x={}", "y".repeat(rng.usize(4_096..8_000))),
    }
    draft
}

pub(super) fn another_mode(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut another = sample.clone();
    another.variant.mode = if keyed(sample) {
        Mode::Plain
    } else {
        Mode::Encrypted
    };
    let mut draft = right(&another, rng);
    match rng.u8(..3) {
        0 => {}
        1 => {
            draft.query += pick(
                rng,
                &["&encrypt_type=raw", "&encrypt_type=AES", "&encrypt_type="],
            )
        }
        _ => {
            let wrong = pick(rng, &["AES", "aes2", "none", ""]);
            draft = with_pairs(sample, rng, |pairs, _| {
                pairs.retain(|(name, _)| *name != "encrypt_type");
                pairs.push(("encrypt_type", wrong.to_owned()));
            });
        }
    }
    draft
}

pub(super) fn verification(sample: &Sample, rng: &mut Rng) -> Draft {
    let nonce = nonce(rng);
    let mut pairs = query(sample, &now_s().to_string(), &nonce, None);
    let echostr = match rng.u8(..4) {
        0 => None,
        1 => Some(String::new()),
        2 => Some("7".repeat(rng.usize(129..600))),
        _ => {
            *value(&mut pairs, "signature") = sign(&["another", &nonce]);
            Some("1234567890".to_owned())
        }
    };
    pairs.extend(echostr.map(|echostr| ("echostr", echostr)));
    Draft {
        method: "GET",
        ..with_body(sample, &pairs, Vec::new())
    }
}

pub(super) fn another_method(sample: &Sample, rng: &mut Rng) -> Draft {
    let draft = right(sample, rng);
    Draft {
        method: pick(rng, &["DELETE", "PUT", "OPTIONS", "PATCH", "POST"]),
        body: Vec::new(),
        ..draft
    }
}
