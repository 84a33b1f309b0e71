//! Bends requests.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use weir_sim::wechat::signature::sign;
use weir_sim::wechat::{Format, Mode, cipher};

use super::oracle;
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

/// Wrong requests without end, drawn from a seed.
#[derive(Debug)]
pub(super) struct Requests {
    samples: Arc<Vec<Sample>>,
    rng: Rng,
    /// Bent requests that might be right after all, and were not given out.
    pub(super) left_out: u64,
}

type Bend = fn(&Sample, &mut Rng) -> Draft;

/// Every way to bend, by what is wrong then.
const WAYS: [(&str, Bend); 22] = [
    ("signature: changed", signature_changed),
    ("signature: of something else", signature_of_something_else),
    ("query: a parameter missing", parameter_missing),
    ("query: a parameter twice", parameter_twice),
    ("query: not of the right shape", odd_stamp),
    ("query: stale", stale),
    ("query: bytes changed", query_bytes),
    ("query: too long or none", query_long_or_none),
    ("mode: another one", another_mode),
    ("verification: wrong", verification),
    ("method: another one", another_method),
    ("body: cut short", body_cut),
    ("body: bytes changed", body_bytes),
    ("body: garbage", body_garbage),
    ("body: never complete", body_withheld),
    ("body: too large", body_large),
    ("inside: the frame", frame),
    ("inside: cut short", push_cut),
    ("inside: bytes changed", push_bytes),
    ("inside: garbage", push_garbage),
    ("inside: a field missing, twice or odd", push_field),
    ("inside: beyond a bound", push_beyond),
];

impl Requests {
    pub(super) fn new(samples: Arc<Vec<Sample>>, seed: u64) -> Self {
        Self {
            samples,
            rng: Rng::with_seed(seed),
            left_out: 0,
        }
    }

    /// The next wrong one.
    pub(super) fn bent(&mut self) -> Wire {
        loop {
            let sample = &self.samples[self.rng.usize(..self.samples.len())];
            let mut chosen = self.rng.usize(..WAYS.len());
            if chosen == LARGE && self.rng.u8(..) > 2 {
                chosen = self.rng.usize(..LARGE); // these are dear
            }
            let (way, bend) = WAYS[chosen];
            let draft = bend(sample, &mut self.rng);
            if oracle::might_be_right(sample, &draft, now_s()) {
                self.left_out += 1;
                continue;
            }
            return wire(way, &draft, &mut self.rng);
        }
    }

    /// Every sample as it is, in another order each time.
    pub(super) fn good(mut self) -> impl Iterator<Item = Wire> {
        let mut order: Vec<usize> = (0..self.samples.len()).collect();
        self.rng.shuffle(&mut order);
        order.into_iter().map(move |index| {
            let draft = right(&self.samples[index], &mut self.rng);
            wire(self.samples[index].variant.name, &draft, &mut self.rng)
        })
    }
}

/// The place of `body: too large` in [`WAYS`].
const LARGE: usize = 15;

fn now_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs().cast_signed())
}

/// Nine or ten digits.
fn nonce(rng: &mut Rng) -> String {
    rng.u64(100_000_000..2_000_000_000).to_string()
}

fn keyed(sample: &Sample) -> bool {
    sample.variant.mode != Mode::Plain
}

/// The parameters, rightly signed for a body of `encrypt`, or for a readable one.
fn query(
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
fn signed_at(sample: &Sample, rng: &mut Rng, timestamp: &str, nonce: &str, push: &[u8]) -> Draft {
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
fn signed(sample: &Sample, rng: &mut Rng, push: &[u8]) -> Draft {
    let nonce = nonce(rng);
    signed_at(sample, rng, &now_s().to_string(), &nonce, push)
}

fn with_body(sample: &Sample, pairs: &[(&str, String)], body: Vec<u8>) -> Draft {
    Draft {
        method: "POST",
        path: sample.variant.path,
        query: written(pairs),
        body,
        withheld: 0,
    }
}

/// The sample as it is.
fn right(sample: &Sample, rng: &mut Rng) -> Draft {
    signed(sample, rng, &sample.push)
}

/// A right request whose parameters are then changed.
fn with_pairs(
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
fn deciding(sample: &Sample) -> [&'static str; 3] {
    let signature = if keyed(sample) {
        "msg_signature"
    } else {
        "signature"
    };
    [signature, "timestamp", "nonce"]
}

fn value<'p>(pairs: &'p mut [(&'static str, String)], name: &str) -> &'p mut String {
    let found = pairs.iter_mut().find(|(known, _)| *known == name);
    &mut found.expect("the parameter was written").1
}

fn pick<'a, T: ?Sized>(rng: &mut Rng, from: &[&'a T]) -> &'a T {
    from[rng.usize(..from.len())]
}

// --- The query.

fn signature_changed(sample: &Sample, rng: &mut Rng) -> Draft {
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

fn signature_of_something_else(sample: &Sample, rng: &mut Rng) -> Draft {
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

fn parameter_missing(sample: &Sample, rng: &mut Rng) -> Draft {
    let missing = pick(rng, &deciding(sample).each_ref().map(|name| *name));
    with_pairs(sample, rng, |pairs, rng| {
        if rng.bool() {
            pairs.retain(|(name, _)| *name != missing);
        } else {
            value(pairs, missing).clear();
        }
    })
}

fn parameter_twice(sample: &Sample, rng: &mut Rng) -> Draft {
    let twice = pick(rng, &deciding(sample).each_ref().map(|name| *name));
    with_pairs(sample, rng, |pairs, rng| {
        let again = (twice, value(pairs, twice).clone());
        let at = rng.usize(..=pairs.len());
        pairs.insert(at, again);
    })
}

fn odd_stamp(sample: &Sample, rng: &mut Rng) -> Draft {
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

fn stale(sample: &Sample, rng: &mut Rng) -> Draft {
    let away = rng.i64(400..1_000_000_000);
    let timestamp = if rng.bool() {
        now_s() - away
    } else {
        now_s() + away
    };
    let nonce = nonce(rng);
    signed_at(sample, rng, &timestamp.to_string(), &nonce, &sample.push)
}

fn query_bytes(sample: &Sample, rng: &mut Rng) -> Draft {
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

fn query_long_or_none(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut draft = right(sample, rng);
    match rng.u8(..3) {
        0 => draft.query.clear(),
        1 => draft.query = "a=b&".repeat(rng.usize(..500)),
        _ => draft.query += &format!("&x={}", "y".repeat(rng.usize(4_096..8_000))),
    }
    draft
}

fn another_mode(sample: &Sample, rng: &mut Rng) -> Draft {
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

fn verification(sample: &Sample, rng: &mut Rng) -> Draft {
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

fn another_method(sample: &Sample, rng: &mut Rng) -> Draft {
    let draft = right(sample, rng);
    Draft {
        method: pick(rng, &["DELETE", "PUT", "OPTIONS", "PATCH", "POST"]),
        body: Vec::new(),
        ..draft
    }
}

// --- The body as it came.

fn body_cut(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut draft = right(sample, rng);
    draft.body.truncate(rng.usize(..draft.body.len()));
    draft
}

fn body_bytes(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut draft = right(sample, rng);
    draft.body = changed(draft.body, sample.variant.format, rng);
    draft
}

fn body_garbage(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut draft = right(sample, rng);
    draft.body = garbage(sample, rng);
    draft
}

fn body_withheld(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut draft = right(sample, rng);
    draft.withheld = rng.usize(1..10_000);
    draft
}

fn body_large(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut draft = right(sample, rng);
    // Blanks after the end belong to nobody.
    draft.body.resize(rng.usize(262_145..400_000), b' ');
    draft
}

// --- The inside, signed and sealed as it should be.

fn frame(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut framed = b"0123456789abcdef".to_vec();
    let len = sample.push.len() as u32;
    let (claimed, id) = match rng.u8(..6) {
        0 => (rng.u32(..), &*sample.account.appid),
        1 => (
            pick(rng, &[&u32::MAX, &(u32::MAX - 19), &(1 << 31), &0]).to_owned(),
            &*sample.account.appid,
        ),
        2 => (len, "wxffffffffffffffff"),
        3 => (len, ""),
        _ => (len, &*sample.account.appid),
    };
    framed.extend_from_slice(&claimed.to_be_bytes());
    framed.extend_from_slice(&sample.push);
    framed.extend_from_slice(id.as_bytes());
    let mut padding = 32 - framed.len() % 32;
    framed.resize(framed.len() + padding, padding as u8);
    if rng.bool() {
        padding = pick(rng, &[&0, &33, &64, &255, &1]).to_owned();
        if let Some(last) = framed.last_mut() {
            *last = padding as u8;
        }
    }
    if rng.u8(..4) == 0 {
        framed.truncate(16 * rng.usize(1..4));
    }
    let mut encrypt = cipher::seal(&sample.key, &framed);
    match rng.u8(..6) {
        0 => encrypt.truncate(rng.usize(..encrypt.len())),
        1 => encrypt.insert(
            rng.usize(..encrypt.len()),
            pick(rng, &[&'=', &'-', &'_', &'!', &' ']).to_owned(),
        ),
        2 => encrypt = String::new(),
        _ => {}
    }
    let nonce = nonce(rng);
    let pairs = query(sample, &now_s().to_string(), &nonce, Some(&encrypt));
    with_body(sample, &pairs, sample.envelope(&encrypt))
}

fn push_cut(sample: &Sample, rng: &mut Rng) -> Draft {
    let cut = &sample.push[..rng.usize(..sample.push.len())];
    signed(sample, rng, cut)
}

fn push_bytes(sample: &Sample, rng: &mut Rng) -> Draft {
    let push = changed(sample.push.clone(), sample.variant.format, rng);
    signed(sample, rng, &push)
}

fn push_garbage(sample: &Sample, rng: &mut Rng) -> Draft {
    let push = garbage(sample, rng);
    signed(sample, rng, &push)
}

/// Whole fields taken out, doubled, renamed or filled with what they cannot hold.
fn push_field(sample: &Sample, rng: &mut Rng) -> Draft {
    let text = String::from_utf8_lossy(&sample.push);
    let name = pick(
        rng,
        &[
            "ToUserName",
            "FromUserName",
            "CreateTime",
            "MsgType",
            "MsgId",
            "Event",
        ],
    );
    let (start, end) = match sample.variant.format {
        Format::Xml => (format!("<{name}>"), format!("</{name}>")),
        Format::Json => (format!("\"{name}\":"), ",".to_owned()),
    };
    let place = text.find(&start).and_then(|from| {
        let to = text[from..].find(&end)?;
        Some((from, from + to + end.len()))
    });
    let Some((from, to)) = place else {
        return push_garbage(sample, rng);
    };
    let (before, field, after) = (&text[..from], &text[from..to], &text[to..]);
    let with = |inner: &str| match sample.variant.format {
        Format::Xml => format!("{start}{inner}{end}"),
        Format::Json if inner.starts_with('<') => format!("{start}{{\"a\":[1]}},"),
        Format::Json => format!("{start}\"{inner}\","),
    };
    let giant = "9".repeat(rng.usize(17..5_000));
    let new = match rng.u8(..9) {
        0 => String::new(),
        1 => field.repeat(2),
        2 => field.replace(name, &name.to_lowercase()),
        3 => with(""),
        4 => with("<a>1</a>"),
        5 => with(&giant),
        6 => with("-1"),
        7 => with(pick(rng, &["gh_another", "event", "1e9", "0x10", "NaN"])),
        _ => with(&format!("{giant}{}", '\u{0}')),
    };
    let push = [before, &new, after].concat();
    signed(sample, rng, push.as_bytes())
}

/// Nested too deep, too many, too long, or what is forbidden for good reason.
fn push_beyond(sample: &Sample, rng: &mut Rng) -> Draft {
    let many = rng.usize(33..3_000);
    let (end, inner) = match sample.variant.format {
        Format::Xml => (
            "</xml>",
            match rng.u8(..7) {
                0 => format!("{}x{}", "<a>".repeat(many), "</a>".repeat(many)),
                1 => "<a>".repeat(many),
                2 => "<a/>".repeat(8_193),
                3 => (0..300).map(|n| format!("<n{n}/>")).collect(),
                4 => format!("<{}/>", "n".repeat(many + 100)),
                5 => "<!DOCTYPE x [<!ENTITY a \"b\">]>&a;".to_owned(),
                _ => format!("<a>{}</a>", "&lol;".repeat(many)),
            },
        ),
        Format::Json => (
            "}",
            match rng.u8(..6) {
                0 => format!(",\"a\":{}1{}", "[".repeat(many), "]".repeat(many)),
                1 => format!(",\"a\":{}", "{\"a\":".repeat(many)),
                2 => format!(",\"a\":[0{}]", ",0".repeat(8_193)),
                3 => (0..300).map(|n| format!(",\"n{n}\":0")).collect(),
                4 => format!(",\"{}\":0", "n".repeat(many + 100)),
                _ => format!(",\"a\":\"{}\"", "\\ud800".repeat(many)),
            },
        ),
    };
    let push = sample.push.trim_ascii_end();
    let start = push.strip_suffix(end.as_bytes()).unwrap_or(push);
    let push = [start, inner.as_bytes(), end.as_bytes()].concat();
    signed(sample, rng, &push)
}

/// A few bytes changed, in places chosen by chance, to what mostly matters there.
fn changed(mut bytes: Vec<u8>, format: Format, rng: &mut Rng) -> Vec<u8> {
    let pieces: &[&[u8]] = match format {
        Format::Xml => &[
            b"<",
            b">",
            b"&",
            b"]]>",
            b"<![CDATA[",
            b"<!--",
            b"-->",
            b"</",
            b"/>",
            b"<a>",
            b"</xml>",
            b"&#0;",
            b"&x;",
            b"<?",
            b"\0",
            b"\xff",
            b"\xc3",
            b"\xed\xa0\x80",
            b"<!DOCTYPE x>",
            b"'",
            b"\"",
            b" ",
        ],
        Format::Json => &[
            b"{", b"}", b"[", b"]", b",", b":", b"\"", b"\\", b"\\u", b"\0", b"\xff", b"\xc3",
            b"1e999", b"-", b"00", b"null", b"tru", b"\n", b"//", b"'", b" ",
        ],
    };
    for _ in 0..rng.usize(1..5) {
        let at = rng.usize(..=bytes.len());
        let piece = pick(rng, pieces);
        let end = bytes.len().min(at + rng.usize(..8));
        match rng.u8(..4) {
            0 => drop(bytes.splice(at..end, piece.iter().copied())),
            1 => drop(bytes.splice(at..at, piece.iter().copied())),
            2 => drop(bytes.drain(at..end)),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.u8(..8);
                }
            }
        }
    }
    bytes
}

/// What was never a push.
fn garbage(sample: &Sample, rng: &mut Rng) -> Vec<u8> {
    let bytes =
        |rng: &mut Rng| -> Vec<u8> { (0..rng.usize(..2_000)).map(|_| rng.u8(..)).collect() };
    match rng.u8(..7) {
        0 => bytes(rng),
        1 => [&b"<xml>"[..], &bytes(rng), b"</xml>"].concat(),
        2 => [&b"{\""[..], &bytes(rng), b"\":0}"].concat(),
        3 => pick(
            rng,
            &[
                "",
                " ",
                "success",
                "[]",
                "null",
                "<xml/>",
                "{}",
                "\u{feff}",
                "<a><b/></a>",
            ],
        )
        .as_bytes()
        .to_vec(),
        4 => [&sample.push[..], &sample.push].concat(),
        5 => {
            let mut push = sample.push.clone();
            push.reverse();
            push
        }
        _ => String::from_utf8_lossy(&sample.push)
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect(),
    }
}

// --- On the wire.

/// With a length or in chunks, with odd headers and trailers now and then.
fn wire(way: &'static str, draft: &Draft, rng: &mut Rng) -> Wire {
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
