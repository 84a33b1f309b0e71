//! `/cgi-bin/media/upload` and `/cgi-bin/media/get`.

use hyper::body::Bytes;
use ring::digest;
use serde_json::{Value, json};

use super::{ApiError, Call, Caller};
use crate::api::ledger::Upload;
use crate::api::media::{Content, Medium};
use crate::wechat::ids;

/// Largest upload by type. Source: WeChat's page on temporary media.
const LIMITS: [(&str, usize); 4] = [
    ("image", 10 << 20),
    ("voice", 2 << 20),
    ("video", 10 << 20),
    ("thumb", 64 << 10),
];

pub(super) fn upload(caller: &mut Caller<'_>, call: &Call) -> Result<Value, ApiError> {
    let kind = call.query("type").ok_or(40004)?;
    let (kind, limit) = LIMITS
        .into_iter()
        .find(|(known, _)| *known == kind)
        .ok_or(40004)?;
    let boundary = call.boundary().ok_or(41005)?;
    let part = file_part(&call.body, boundary).ok_or(41005)?;
    if part.content.is_empty() {
        return Err(44001.into());
    }
    if part.content.len() > limit {
        return Err(40006.into());
    }
    let media_id = ids::alphanumeric(64);
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, part.content);
    let (now_ms, account) = (caller.now_ms, caller.account());
    let name = account.account.name.clone();
    let medium = Medium {
        content_type: part
            .content_type
            .unwrap_or_else(|| "application/octet-stream".to_owned()),
        filename: part.filename.clone(),
        content: Content::Bytes(Bytes::copy_from_slice(part.content)),
    };
    account.media.put(now_ms, &media_id, medium);
    caller.state.ledger.uploaded(Upload {
        account: name,
        media_id: media_id.clone(),
        kind: kind.to_owned(),
        filename: part.filename,
        bytes: part.content.len() as u64,
        sha1: digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        at_ms: now_ms,
    });
    let id = if kind == "thumb" {
        "thumb_media_id"
    } else {
        "media_id"
    };
    Ok(json!({"type": kind, id: media_id, "created_at": now_ms / 1000}))
}

pub(super) fn get(caller: &mut Caller<'_>, call: &Call) -> Result<Medium, ApiError> {
    let id = call.query("media_id").ok_or(41006)?;
    let now_ms = caller.now_ms;
    let medium = caller.account().media.get(now_ms, id).ok_or(40007)?;
    Ok(medium.clone())
}

/// The file of a `multipart/form-data` body.
struct Part<'a> {
    filename: String,
    content_type: Option<String>,
    content: &'a [u8],
}

/// The part named `media`, which has to be a file. The body must be whole, to its last boundary.
fn file_part<'a>(body: &'a [u8], boundary: &str) -> Option<Part<'a>> {
    let delimiter = format!("\r\n--{boundary}");
    let first = format!("--{boundary}");
    let mut rest = body.strip_prefix(first.as_bytes())?;
    let mut found = None;
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = find(part, delimiter.as_bytes())?;
        let head_end = find(part, b"\r\n\r\n").filter(|at| *at < end)?;
        let head = std::str::from_utf8(&part[..head_end]).ok()?;
        let disposition = header(head, "content-disposition")?;
        if parameter(disposition, "name") == Some("media") {
            found = Some(Part {
                filename: parameter(disposition, "filename")?.to_owned(),
                content_type: header(head, "content-type").map(str::to_owned),
                content: &part[head_end + 4..end],
            });
        }
        rest = &part[end + delimiter.len()..];
    }
    rest.starts_with(b"--").then_some(found).flatten()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    // Bodies have megabytes: the first byte is looked for, then the rest compared.
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        from += haystack.get(from..)?.iter().position(|b| *b == first)?;
        if haystack[from..].starts_with(needle) {
            return Some(from);
        }
        from += 1;
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// A parameter of a header's value, with or without quotes.
pub(super) fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split(';').skip(1).find_map(|parameter| {
        let (known, value) = parameter.trim().split_once('=')?;
        known
            .eq_ignore_ascii_case(name)
            .then(|| value.trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(body: &str) -> Option<(String, &[u8])> {
        file_part(body.as_bytes(), "B").map(|part| (part.filename, part.content))
    }

    #[test]
    fn the_file_is_found_among_other_parts() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\n{}\r\n\
                    --B\r\ncontent-disposition: form-data; name=\"media\"; filename=\"a.jpg\"\r\n\r\n\r\n--A\r\n\r\n--B--\r\n";
        assert_eq!(file(body), Some(("a.jpg".to_owned(), &b"\r\n--A\r\n"[..])));
    }

    #[test]
    fn a_body_that_breaks_off_has_no_file() {
        let whole = "--B\r\nContent-Disposition: form-data; name=\"media\"; filename=\"a\"\r\n\r\nxyz\r\n--B--";
        assert!(file(whole).is_some());
        for end in 0..whole.len() {
            assert_eq!(file(&whole[..end]), None, "{end}");
        }
    }
}
