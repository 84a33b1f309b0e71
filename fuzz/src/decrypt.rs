//! `decrypt`: the way of an encrypted push, from the envelope to the message, and back with a reply.
//!
//! A fuzzer cannot guess a signature or a block, so the target signs and encrypts what the input says. The first byte
//! chooses what the input is:
//!
//! | | input |
//! |---|---|
//! | 0 | a text that is to be an `Encrypt` |
//! | 1 | the blocks inside, framed and padded as they are |
//! | 2 | receive id, then a message: a push, or what WeCom verifies a URL with |
//! | 3 | what stands beside `Encrypt` in the envelope, then a message: a push and its reply |
//! | 4 | the blocks inside `encryptedData`, open data of a mini program |

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::cipher::{decrypt, decrypt_any, encrypt};
use weir_protocol::envelope::Envelope;
use weir_protocol::error::{CryptError, OpenDataError};
use weir_protocol::limits::{MAX_BODY_BYTES, MAX_ECHOSTR_BYTES, MAX_PARAMETER_BYTES};
use weir_protocol::open_data;
use weir_protocol::push::Format;
use weir_protocol::query::CallbackQuery;
use weir_protocol::signature::{self, Token, verify_encrypted};
use weir_protocol::verification::open_echostr;

use crate::pieces::Pieces;
use crate::reference::{decrypt_blocks, encrypt_blocks, encrypt_blocks_128, unframe};
use crate::worker::{APPID, KEY, KEY_BYTES, TOKEN};

const TIMESTAMP: &str = "1714112445";
const SESSION_KEY: &[u8; 16] = b"session key 0123";
const IV: &[u8; 16] = b"fedcba9876543210";

/// The target.
///
/// # Panics
/// What must hold does not.
pub fn check(data: &[u8]) {
    let mut pieces = Pieces::new(data);
    match pieces.byte() % 5 {
        0 => any_text(&String::from_utf8_lossy(pieces.rest())),
        1 => any_blocks(pieces.rest()),
        2 => {
            let id = pieces.text();
            any_message(&id, pieces.rest());
        }
        3 => any_envelope(pieces),
        _ => any_open_data(pieces.rest()),
    }
}

fn key() -> EncodingAesKey {
    EncodingAesKey::parse(KEY).expect("43 characters")
}

fn any_text(text: &str) {
    let opened = decrypt(&key(), text, APPID);
    let expected = match STANDARD.decode(text) {
        Err(_) => Err(CryptError::Base64),
        Ok(sealed) if sealed.is_empty() || sealed.len() % 16 != 0 => {
            Err(CryptError::CiphertextLength)
        }
        Ok(sealed) => unframe(&decrypt_blocks(KEY_BYTES, &sealed), APPID).map(<[u8]>::to_vec),
    };
    assert_eq!(opened, expected);
    if let Err(error) = opened {
        assert!((-40010..=-40005).contains(&error.code()));
    }
    // Everything else that takes a text of this kind from outside.
    let _ = (
        EncodingAesKey::parse(text).is_ok(),
        Token::parse(text).is_ok(),
    );
    let _ = open_data::decrypt(text, text, text, APPID);
    assert!(!open_data::verify_raw_data(text, text, text));
}

fn any_blocks(framed: &[u8]) {
    let framed = &framed[..framed.len() - framed.len() % 16];
    if framed.is_empty() {
        return;
    }
    let text = STANDARD.encode(encrypt_blocks(KEY_BYTES, framed));
    let expected = unframe(framed, APPID).map(<[u8]>::to_vec);
    assert_eq!(decrypt(&key(), &text, APPID), expected);
    let other = EncodingAesKey::parse(&KEY.replace('Y', "Z")).expect("43 characters");
    let any = decrypt_any([&key(), &other], &text, APPID).map(|(message, _)| message);
    // Under another key it is noise, and only once in 2^32 and more times noise of the right form.
    assert!(any == expected || decrypt(&other, &text, APPID).is_ok());
}

fn any_message(id: &str, message: &[u8]) {
    let text = encrypt(&key(), message, id, b"0123456789abcdef");
    assert_eq!(decrypt(&key(), &text, id).as_deref(), Ok(message));
    let another = format!("{id}x");
    assert_eq!(decrypt(&key(), &text, &another), Err(CryptError::ReceiveId));
    any_echostr(id, &text, message);
    let sealed = STANDARD.decode(&text).expect("base64");
    assert_eq!(sealed.len() % 32, 0);
    assert_eq!(
        unframe(&decrypt_blocks(KEY_BYTES, &sealed), id),
        Ok(message)
    );
}

/// WeCom's way to verify a URL: it wants the inside of `echostr` back.
fn any_echostr(id: &str, encrypted: &str, message: &[u8]) {
    let signature = sign(&[TOKEN, TIMESTAMP, "7", encrypted]);
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("msg_signature", &signature)
        .append_pair("timestamp", TIMESTAMP)
        .append_pair("nonce", "7")
        .append_pair("echostr", encrypted)
        .finish();
    let Ok(query) = CallbackQuery::parse(&query) else {
        return assert!(encrypted.len() > MAX_PARAMETER_BYTES);
    };
    let token = Token::parse(TOKEN).expect("letters and digits");
    let opened = open_echostr([&token], [&key()], id, &query).ok();
    let text = std::str::from_utf8(message).ok();
    let expected = text.filter(|text| text.len() <= MAX_ECHOSTR_BYTES);
    assert_eq!(opened.as_deref(), expected);
}

fn sign(parts: &[&str; 4]) -> String {
    let signature = signature::sign(&parts.map(str::as_bytes));
    String::from_utf8_lossy(&signature).into_owned()
}

fn any_envelope(mut pieces: Pieces<'_>) {
    let flags = pieces.byte();
    let nonce = pieces.text();
    let beside = pieces.next().unwrap_or_default();
    let message = pieces.rest();
    let format = if flags & 1 == 0 {
        Format::Xml
    } else {
        Format::Json
    };
    let token = Token::parse(TOKEN).expect("letters and digits");

    // In: the push.
    let encrypted = encrypt(&key(), message, APPID, b"fedcba9876543210");
    let mut body = Vec::new();
    let (start, end) = match format {
        Format::Xml => (
            format!("<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt>"),
            "</xml>",
        ),
        Format::Json => (format!("{{\"Encrypt\":\"{encrypted}\""), "}"),
    };
    body.extend_from_slice(start.as_bytes());
    body.extend_from_slice(beside);
    body.extend_from_slice(end.as_bytes());
    let sign = |encrypted: &str| sign(&[TOKEN, TIMESTAMP, &nonce, encrypted]);
    let given = sign(&encrypted);
    if let Ok(envelope) = Envelope::parse(&body) {
        // What stands beside cannot replace it.
        assert_eq!(envelope.encrypt, encrypted);
        assert_eq!(envelope.format, format);
        assert!(verify_encrypted(
            &token,
            TIMESTAMP,
            &nonce,
            &envelope.encrypt,
            &given
        ));
        assert_eq!(
            decrypt(&key(), &envelope.encrypt, APPID).as_deref(),
            Ok(message)
        );
    } else {
        assert!(!beside.is_empty() || body.len() > MAX_BODY_BYTES);
    }
    // One character changed, and the signature says so.
    let at = usize::from(flags) % encrypted.len();
    let mut changed = encrypted.clone().into_bytes();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).expect("ASCII");
    assert!(!verify_encrypted(
        &token, TIMESTAMP, &nonce, &changed, &given
    ));
    assert!(!verify_encrypted(
        &token,
        TIMESTAMP,
        &nonce,
        &encrypted,
        &sign(&changed)
    ));

    // Out: the reply.
    let timestamp: u64 = TIMESTAMP.parse().expect("digits");
    let random = b"0123456789abcdef";
    let sealed = Envelope::seal(
        format,
        &key(),
        &token,
        APPID,
        message,
        timestamp,
        &nonce,
        random,
    );
    if sealed.len() <= MAX_BODY_BYTES {
        let envelope = Envelope::parse(&sealed).expect("an envelope of our own");
        assert_eq!(envelope.format, format);
        assert_eq!(envelope.encrypt, encrypt(&key(), message, APPID, random));
        let signature = sign(&envelope.encrypt);
        let sealed = String::from_utf8(sealed).expect("UTF-8");
        assert!(sealed.contains(&signature) && sealed.contains(TIMESTAMP));
    }
}

fn any_open_data(framed: &[u8]) {
    let framed = &framed[..framed.len() - framed.len() % 16];
    let text = STANDARD.encode(encrypt_blocks_128(SESSION_KEY, IV, framed));
    let opened = open_data::decrypt(
        &STANDARD.encode(SESSION_KEY),
        &STANDARD.encode(IV),
        &text,
        APPID,
    );
    let Some(&padding) = framed.last() else {
        return assert_eq!(opened, Err(OpenDataError::CiphertextLength));
    };
    let padding = usize::from(padding);
    let padded = (1..=16).contains(&padding)
        && framed
            .iter()
            .rev()
            .take(padding)
            .all(|&byte| usize::from(byte) == padding);
    match opened {
        Ok(data) => {
            assert!(padded);
            assert_eq!(data.json.as_bytes(), &framed[..framed.len() - padding]);
            let json: serde_json::Value = serde_json::from_str(&data.json).expect("JSON");
            assert_eq!(json["watermark"]["appid"], APPID);
            assert_eq!(json["watermark"]["timestamp"].as_u64(), data.timestamp);
        }
        Err(error) => assert_eq!(padded, error != OpenDataError::Padding, "{error}"),
    }
}
