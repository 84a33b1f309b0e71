//! One spelling per path, before any filter sees it: `normalize_path`, `merge_slashes` and escaped slashes.
//!
//! Normalising resolves `.` and `..` (escaped ones too), turns backslashes into slashes, and decodes escapes of
//! letters, digits, `-`, `.`, `_` and `~`. The query string is never touched.

use super::property::split_query;
use crate::config::{ConnectionManager, EscapedSlashes};

/// The path is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

/// The `:path` as filters and routes get it.
pub(crate) fn canonical(path: &[u8], manager: &ConnectionManager) -> Result<Vec<u8>, Refused> {
    let (path_only, _) = split_query(path);
    let query = &path[path_only.len()..];
    let mut canonical = match manager.escaped_slashes {
        EscapedSlashes::Keep => path_only.to_vec(),
        EscapedSlashes::Reject if has_escaped_slash(path_only) => return Err(Refused),
        EscapedSlashes::Reject => path_only.to_vec(),
        EscapedSlashes::Unescape => unescape(path_only, |byte| matches!(byte, b'/' | b'\\')),
    };
    if manager.normalize_path {
        canonical = normalize(&canonical).ok_or(Refused)?;
    }
    if manager.merge_slashes {
        canonical.dedup_by(|b, a| *a == b'/' && *b == b'/');
    }
    canonical.extend_from_slice(query);
    Ok(canonical)
}

fn has_escaped_slash(path: &[u8]) -> bool {
    path.windows(3)
        .any(|window| matches!(escaped(window), Some(b'/' | b'\\')))
}

/// The byte that `%xx` at the beginning stands for.
fn escaped(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else {
        return None;
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn unescape(path: &[u8], wanted: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, after)) = rest.split_first() {
        match escaped(rest) {
            Some(byte) if wanted(byte) => {
                plain.push(byte);
                rest = &rest[3..];
            }
            _ => {
                plain.push(first);
                rest = after;
            }
        }
    }
    plain
}

/// `None` for what is no absolute path.
fn normalize(path: &[u8]) -> Option<Vec<u8>> {
    let plain = unescape(path, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
    });
    let mut segments: Vec<&[u8]> = Vec::new();
    let mut parts = plain.split(|byte| matches!(byte, b'/' | b'\\')).peekable();
    if parts.next()? != b"" {
        return None;
    }
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            b"." if last => segments.push(b""),
            b"." => {}
            b".." => {
                segments.pop();
                if last {
                    segments.push(b"");
                }
            }
            _ => segments.push(part),
        }
    }
    let mut normal = Vec::with_capacity(plain.len());
    for segment in segments {
        normal.push(b'/');
        normal.extend_from_slice(segment);
    }
    Some(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<&str>) {
        let normal = normalize(path.as_bytes());
        let normal = normal.map(|path| String::from_utf8_lossy(&path).into_owned());
        assert_eq!(normal.as_deref(), expected, "{path}");
    }

    #[test]
    fn dots_and_backslashes_are_resolved_and_needless_escapes_decoded() {
        check("/", Some("/"));
        check("/a/b", Some("/a/b"));
        check("/a/./b/", Some("/a/b/"));
        check("/a/../b", Some("/b"));
        check("/a/..", Some("/"));
        check("/a/.", Some("/a/"));
        check("/../../b", Some("/b"));
        check("/a/%2e%2E/b", Some("/b"));
        check("/a\\b", Some("/a/b"));
        check("/%77echat/%e4%2F", Some("/wechat/%e4%2F"));
        check("*", None);
    }

    #[test]
    fn escaped_slashes_are_found_in_either_case() {
        assert!(has_escaped_slash(b"/a%2fb"));
        assert!(has_escaped_slash(b"/a%5C"));
        assert!(!has_escaped_slash(b"/a%2eb%"));
    }
}
