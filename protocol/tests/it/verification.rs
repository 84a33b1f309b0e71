//! The GET that verifies a URL.

use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::cipher;
use weir_protocol::error::{CryptError, QueryError, VerificationError};
use weir_protocol::query::CallbackQuery;
use weir_protocol::signature::{Token, sign};
use weir_protocol::verification::{echostr, open_echostr};

const CORP: &str = "wx5823bf96d3bd56c7";

/// WeCom's published sample.
const SAMPLE: &str = "msg_signature=5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3&timestamp=1409659589&nonce=263014780&echostr=P9nAzCzyDtyTWESHep1vC5X9xho%2FqYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp%2B4RPcs8TgAE7OaBO%2BFZXvnaqQ%3D%3D";

fn token(token: &str) -> Token {
    Token::parse(token).unwrap()
}

fn key(key: &str) -> EncodingAesKey {
    EncodingAesKey::parse(key).unwrap()
}

fn sample_key() -> EncodingAesKey {
    key("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C")
}

fn open(query: &str) -> Result<String, VerificationError> {
    open_echostr(
        [&token("QDG6eK")],
        [&sample_key()],
        CORP,
        &CallbackQuery::parse(query)?,
    )
}

/// A WeCom verification of ours.
fn sealed(text: &[u8], receive_id: &str) -> String {
    let encrypt = cipher::encrypt(&sample_key(), text, receive_id, &[7; 16]);
    let signature = sign(&[b"QDG6eK", b"1409659589", b"1", encrypt.as_bytes()]);
    let escaped = encrypt.replace('+', "%2B").replace('=', "%3D");
    format!(
        "msg_signature={}&timestamp=1409659589&nonce=1&echostr={escaped}",
        std::str::from_utf8(&signature).unwrap()
    )
}

#[test]
fn wecoms_sample_is_opened() {
    assert_eq!(open(SAMPLE).as_deref(), Ok("1616140317555161061"));
}

#[test]
fn a_plus_that_came_unescaped_is_one_all_the_same() {
    assert_eq!(
        open(&SAMPLE.replace("%2B", "+")).as_deref(),
        Ok("1616140317555161061")
    );
}

#[test]
fn during_a_rotation_both_tokens_and_both_keys_will_do() {
    let query = CallbackQuery::parse(SAMPLE).unwrap();
    let tokens = [token("another1"), token("QDG6eK")];
    let keys = [
        key("eSd7q1YbuOdflnt5Jhd3HlPAIO255XcyPzFrdbLQqHB"),
        sample_key(),
    ];
    assert_eq!(
        open_echostr(&tokens, &keys, CORP, &query).as_deref(),
        Ok("1616140317555161061")
    );
    assert_eq!(
        open_echostr(&tokens[..1], &keys, CORP, &query),
        Err(VerificationError::Signature)
    );
    assert!(matches!(
        open_echostr(&tokens, &keys[..1], CORP, &query),
        Err(VerificationError::Crypt(_))
    ));
}

#[test]
fn what_is_not_wecoms_is_refused() {
    use VerificationError::*;
    for (query, expected) in [
        (
            SAMPLE.replace("msg_signature=5c", "msg_signature=5d"),
            Signature,
        ),
        (SAMPLE.replace("msg_signature", "signature"), Signature),
        (
            SAMPLE.replace("nonce=263014780", "nonce=263014781"),
            Signature,
        ),
        (SAMPLE.replace("P9nA", "P9nB"), Signature),
        (SAMPLE.replace("echostr=P9nA", "echostr=&x="), NoEchostr),
        (SAMPLE.replace("&echostr=", "&other="), NoEchostr),
        (
            SAMPLE.replace("timestamp=1", "timestamp="),
            Query(QueryError::BadTimestamp),
        ),
        (
            SAMPLE.replace("nonce", "once"),
            Query(QueryError::Missing("nonce")),
        ),
        (sealed(b"1", "wxanother"), Crypt(CryptError::ReceiveId)),
        (sealed(b"\xff", CORP), NotText),
        (sealed(&[b'1'; 129], CORP), TooLong),
    ] {
        let error = open(&query).unwrap_err();
        assert_eq!(error, expected, "{query}");
        assert!((-40011..=-40001).contains(&error.code()));
    }
    assert_eq!(open(&sealed("1😀".as_bytes(), CORP)).as_deref(), Ok("1😀"));
    assert_eq!(
        open(&sealed(&[b'1'; 128], CORP)).map(|echo| echo.len()),
        Ok(128)
    );
}

#[test]
fn what_is_not_encrypted_is_echoed_as_it_is() {
    let signature = sign(&[b"AAAAA", b"1714036504", b"1514711492"]);
    assert_eq!(&signature, b"f464b24fc39322e44b38aa78f5edd27bd1441696");
    let query = |echostr: &str| {
        format!(
            "signature=f464b24fc39322e44b38aa78f5edd27bd1441696&timestamp=1714036504&nonce=1514711492&echostr={echostr}"
        )
    };
    let echo = |query: &str, with: &str| {
        let query = CallbackQuery::parse(query).unwrap();
        echostr([&token("before"), &token(with)], &query).map(str::to_owned)
    };
    assert_eq!(
        echo(&query("4375120948345356249"), "AAAAA").as_deref(),
        Ok("4375120948345356249")
    );
    assert_eq!(echo(&query("a%20b%2B"), "AAAAA").as_deref(), Ok("a b+"));
    assert_eq!(
        echo(&query("1"), "BBBBB"),
        Err(VerificationError::Signature)
    );
    assert_eq!(echo(&query(""), "AAAAA"), Err(VerificationError::NoEchostr));
    assert_eq!(
        echo(&query(&"1".repeat(129)), "AAAAA"),
        Err(VerificationError::TooLong)
    );
    assert_eq!(
        echo(&query("1").replace("signature", "msg_signature"), "AAAAA"),
        Err(VerificationError::Signature)
    );
}
