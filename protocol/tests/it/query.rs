use weir_protocol::error::QueryError;
use weir_protocol::query::{CallbackQuery, timestamp_seconds};

fn check(query: &str, expected: QueryError) {
    let parsed = CallbackQuery::parse(query);
    let result = parsed
        .as_ref()
        .map_err(|e| *e)
        .and_then(|query| query.stamp().map(|_| ()));
    assert_eq!(result, Err(expected), "{query}");
}

#[test]
fn values_are_form_decoded() {
    let query = CallbackQuery::parse(
        "nonce=a%2Bb+c%e4%bd%a0&timestamp=1714112401&x=%zz&echostr&%6Fpenid=o1",
    )
    .unwrap();
    assert_eq!(query.nonce.as_deref(), Some("a+b c你"));
    assert_eq!(query.echostr.as_deref(), Some(""));
    assert_eq!(query.openid.as_deref(), Some("o1"));
    assert_eq!(query.signature, None);
    assert_eq!(query.stamp().unwrap().seconds, 1_714_112_401);
}

#[test]
fn only_aes_means_encrypted() {
    for (query, encrypted) in [
        ("encrypt_type=aes", true),
        ("encrypt_type=raw", false),
        ("encrypt_type=AES", false),
        ("", false),
    ] {
        assert_eq!(
            CallbackQuery::parse(query).unwrap().is_encrypted(),
            encrypted,
            "{query}"
        );
    }
}

#[test]
fn a_bad_query_is_refused_with_its_reason() {
    check("", QueryError::Missing("timestamp"));
    check("timestamp=&nonce=1", QueryError::Missing("timestamp"));
    check("timestamp=1714112401", QueryError::Missing("nonce"));
    check("timestamp=1714112401&nonce=", QueryError::Missing("nonce"));
    check("timestamp=171411240&nonce=1", QueryError::BadTimestamp);
    check("timestamp=17141124011&nonce=1", QueryError::BadTimestamp);
    check("timestamp=%2B714112401&nonce=1", QueryError::BadTimestamp);
    check("timestamp=-714112401&nonce=1", QueryError::BadTimestamp);
    check(
        "timestamp=171411240%D9%A1&nonce=1",
        QueryError::BadTimestamp,
    );
    check(
        &format!("timestamp=1714112401&nonce={}", "1".repeat(65)),
        QueryError::BadNonce,
    );
    check(
        "signature=a&signature=a",
        QueryError::Duplicate("signature"),
    );
    check("nonce=1&nonce=2", QueryError::Duplicate("nonce"));
    check(
        "timestamp=1&%74imestamp=2",
        QueryError::Duplicate("timestamp"),
    );
    check(
        "msg_signature&msg_signature",
        QueryError::Duplicate("msg_signature"),
    );
    check("nonce=%", QueryError::BadEncoding("nonce"));
    check("nonce=%4", QueryError::BadEncoding("nonce"));
    check("nonce=%g0", QueryError::BadEncoding("nonce"));
    check("nonce=%ff", QueryError::BadEncoding("nonce"));
    check(
        &format!("echostr={}", "1".repeat(513)),
        QueryError::ParameterTooLong("echostr"),
    );
    check(&"x".repeat(4097), QueryError::TooLong);
}

#[test]
fn a_timestamp_is_ten_ascii_digits() {
    assert_eq!(timestamp_seconds("0000000001"), Some(1));
    assert_eq!(timestamp_seconds("9999999999"), Some(9_999_999_999));
    assert_eq!(timestamp_seconds("+000000001"), None);
    assert_eq!(timestamp_seconds(""), None);
}

#[test]
fn debug_shows_no_value() {
    let query =
        CallbackQuery::parse("signature=sss&nonce=nnn&timestamp=1714112401&openid=ooo").unwrap();
    let shown = format!("{query:?} {:?}", query.stamp().unwrap());
    for secret in ["sss", "nnn", "ooo"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
