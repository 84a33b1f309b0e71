//! `query`: the query string of a callback, and the signature in it.

use std::borrow::Cow;

use form_urlencoded::Serializer;
use weir_protocol::error::QueryError;
use weir_protocol::limits::{
    MAX_ECHOSTR_BYTES, MAX_NONCE_BYTES, MAX_PARAMETER_BYTES, MAX_QUERY_BYTES,
};
use weir_protocol::query::{CallbackQuery, timestamp_seconds};
use weir_protocol::signature::{self, Token};
use weir_protocol::verification;

use crate::worker::TOKEN;

/// The parameters that are known.
const KNOWN: [&str; 7] = [
    "signature",
    "msg_signature",
    "timestamp",
    "nonce",
    "echostr",
    "encrypt_type",
    "openid",
];

/// The target.
///
/// # Panics
/// What must hold does not.
pub fn check(data: &[u8]) {
    // Cut as the path of a request is: a query is text.
    let query = String::from_utf8_lossy(data);
    let theirs = other_reading(&query);
    let parsed = match CallbackQuery::parse(&query) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert_eq!(error.code(), -40001);
            return check_refused(error, &query, &theirs);
        }
    };
    assert!(query.len() <= MAX_QUERY_BYTES);
    let values = values(&parsed);
    for (name, value) in KNOWN.iter().zip(values) {
        let all: Vec<_> = theirs.iter().filter(|(known, _)| known == name).collect();
        assert!(all.len() <= 1, "{name} is there twice");
        assert_eq!(value, all.first().map(|(_, value)| &**value), "{name}");
        assert!(value.is_none_or(|value| value.len() <= MAX_PARAMETER_BYTES));
    }
    check_stamp(&parsed);
    assert_eq!(
        parsed.is_encrypted(),
        parsed.encrypt_type.as_deref() == Some("aes")
    );
    assert!(format!("{parsed:?}").len() < 100);

    // The same said otherwise.
    let reversed: Vec<_> = query.split('&').rev().collect();
    check_same(
        &parsed,
        &(reversed.join("&") + "&another=1&&signature2=%zz"),
    );
    let mut escaped = Serializer::new(String::new());
    for (name, value) in KNOWN.iter().zip(values) {
        if let Some(value) = value {
            escaped.append_pair(name, value);
        }
    }
    check_same(&parsed, &escaped.finish());
    let mut all_escaped = String::new();
    for (name, value) in KNOWN.iter().zip(values) {
        if let Some(value) = value {
            escape(name, &mut all_escaped);
            all_escaped.push('=');
            escape(value, &mut all_escaped);
            all_escaped.push('&');
        }
    }
    check_same(&parsed, &all_escaped);

    // Once more is once too often.
    if let Some((name, _)) = KNOWN.iter().zip(values).find(|(_, value)| value.is_some()) {
        let twice = format!("{query}&{name}=");
        if twice.len() <= MAX_QUERY_BYTES {
            assert_eq!(
                CallbackQuery::parse(&twice).err(),
                Some(QueryError::Duplicate(name))
            );
        }
    }
}

/// The pairs as another decoder has them. It takes what is not text or not an escape for something else, which here is
/// an error.
fn other_reading(query: &str) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(query.as_bytes()).collect()
}

fn values<'q>(parsed: &'q CallbackQuery<'_>) -> [Option<&'q str>; 7] {
    [
        &parsed.signature,
        &parsed.msg_signature,
        &parsed.timestamp,
        &parsed.nonce,
        &parsed.echostr,
        &parsed.encrypt_type,
        &parsed.openid,
    ]
    .map(Option::as_deref)
}

/// A refusal has a reason that can be seen in the query.
fn check_refused(error: QueryError, query: &str, theirs: &[(Cow<'_, str>, Cow<'_, str>)]) {
    let of = |name: &str| theirs.iter().filter(|(known, _)| known == name).count();
    match error {
        QueryError::TooLong => assert!(query.len() > MAX_QUERY_BYTES),
        QueryError::Duplicate(name) => assert!(of(name) > 1, "{name} is there once"),
        QueryError::ParameterTooLong(name) => assert!(
            theirs
                .iter()
                .any(|(known, value)| known == name && value.len() > MAX_PARAMETER_BYTES)
        ),
        QueryError::BadEncoding(name) => {
            let pairs = query
                .split('&')
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            assert!(of(name) > 0);
            assert!(
                pairs.into_iter().any(|(_, value)| broken(value)),
                "{name} is right"
            );
        }
        other => panic!("parsing does not look for this: {other}"),
    }
}

/// Whether a value has an escape that is none, or bytes that are not text.
fn broken(value: &str) -> bool {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after
            .get(..2)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        match (byte, digits) {
            (b'%', Some(digits)) if digits.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                bytes.push(u8::from_str_radix(digits, 16).expect("two hex digits"));
                rest = &after[2..];
            }
            (b'%', _) => return true,
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).is_err()
}

fn check_stamp(parsed: &CallbackQuery<'_>) {
    let (timestamp, nonce) = (parsed.timestamp.as_deref(), parsed.nonce.as_deref());
    let stamp = match parsed.stamp() {
        Ok(stamp) => stamp,
        Err(QueryError::Missing(name)) => {
            let missing = if name == "nonce" { nonce } else { timestamp };
            return assert!(missing.is_none_or(str::is_empty));
        }
        Err(QueryError::BadTimestamp) => {
            return assert_eq!(timestamp_seconds(timestamp.unwrap_or_default()), None);
        }
        Err(QueryError::BadNonce) => {
            return assert!(nonce.is_some_and(|nonce| nonce.len() > MAX_NONCE_BYTES));
        }
        Err(other) => panic!("a stamp has nothing to do with this: {other}"),
    };
    assert_eq!(
        (Some(stamp.timestamp), Some(stamp.nonce)),
        (timestamp, nonce)
    );
    assert_eq!(format!("{:010}", stamp.seconds), stamp.timestamp);

    // Only the right signature is right: this one, in lower case, as it is.
    let token = Token::parse(TOKEN).expect("letters and digits");
    let parts = [TOKEN, stamp.timestamp, stamp.nonce].map(str::as_bytes);
    let signature = signature::sign(&parts);
    let signature = std::str::from_utf8(&signature).expect("hex digits");
    let verify = |given: &str| signature::verify(&token, stamp.timestamp, stamp.nonce, given);
    assert!(verify(signature));
    assert!(!verify(&signature[1..]) && !verify(&format!("{signature} ")));
    if let Some(given) = parsed.signature.as_deref() {
        assert_eq!(verify(given), given == signature);
    }
    let echostr = parsed.echostr.as_deref().unwrap_or_default();
    let right = parsed.signature.as_deref() == Some(signature)
        && (1..=MAX_ECHOSTR_BYTES).contains(&echostr.len());
    let answer = verification::echostr([&token], parsed).ok();
    assert_eq!(answer, right.then_some(echostr));
}

fn check_same(parsed: &CallbackQuery<'_>, query: &str) {
    match CallbackQuery::parse(query) {
        Ok(again) => assert!(again == *parsed, "other values"),
        Err(error) => assert!(error == QueryError::TooLong, "it is refused: {error}"),
    }
}

/// Every byte as `%` and two digits.
fn escape(text: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in text.bytes() {
        let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
        out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
    }
}
