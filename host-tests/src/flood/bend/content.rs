//! Bends the body: as it came, and inside, signed and sealed again as it should be.

use fastrand::Rng;
use weir_sim::wechat::{Format, cipher};

use super::pick;
use crate::flood::draft::{Draft, nonce, now_s, query, right, signed, with_body};
use crate::flood::samples::Sample;

pub(super) fn body_cut(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut draft = right(sample, rng);
    draft.body.truncate(rng.usize(..draft.body.len()));
    draft
}

pub(super) fn body_bytes(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut draft = right(sample, rng);
    draft.body = changed(draft.body, sample.variant.format, rng);
    draft
}

pub(super) fn body_garbage(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut draft = right(sample, rng);
    draft.body = garbage(sample, rng);
    draft
}

pub(super) fn body_withheld(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut draft = right(sample, rng);
    draft.withheld = rng.usize(1..10_000);
    draft
}

pub(super) fn body_large(sample: &Sample, rng: &mut Rng) -> Draft {
    let mut draft = right(sample, rng);
    // Blanks after the end belong to nobody.
    draft.body.resize(rng.usize(262_145..400_000), b' ');
    draft
}

pub(super) fn frame(sample: &Sample, rng: &mut Rng) -> Draft {
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

pub(super) fn push_cut(sample: &Sample, rng: &mut Rng) -> Draft {
    let cut = &sample.push[..rng.usize(..sample.push.len())];
    signed(sample, rng, cut)
}

pub(super) fn push_bytes(sample: &Sample, rng: &mut Rng) -> Draft {
    let push = changed(sample.push.clone(), sample.variant.format, rng);
    signed(sample, rng, &push)
}

pub(super) fn push_garbage(sample: &Sample, rng: &mut Rng) -> Draft {
    let push = garbage(sample, rng);
    signed(sample, rng, &push)
}

/// Whole fields taken out, doubled, renamed or filled with what they cannot hold.
pub(super) fn push_field(sample: &Sample, rng: &mut Rng) -> Draft {
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
pub(super) fn push_beyond(sample: &Sample, rng: &mut Rng) -> Draft {
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
