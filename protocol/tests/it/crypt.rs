use weir_protocol::aes_key::EncodingAesKey;
use weir_protocol::cipher::{decrypt, decrypt_any, encrypt};
use weir_protocol::envelope::Envelope;
use weir_protocol::error::{ConfigError, CryptError};
use weir_protocol::push::{Format, Push};
use weir_protocol::signature::{Token, verify_encrypted};

use crate::vectors::{list, load, str};

fn key(vector: &serde_json::Value, name: &str) -> EncodingAesKey {
    EncodingAesKey::parse(str(vector, name)).unwrap()
}

fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert_eq!(text.len(), 2 * N);
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

/// What a receiver does, in the order it must: the signature, then the cipher, then the parser.
fn open(vector: &serde_json::Value) -> Result<Vec<u8>, &'static str> {
    let token = Token::parse(str(vector, "token")).unwrap();
    let encrypt = str(vector, "encrypt");
    let given = str(vector, "msg_signature");
    if !verify_encrypted(
        &token,
        str(vector, "timestamp"),
        str(vector, "nonce"),
        encrypt,
        given,
    ) {
        return Err("signature_mismatch");
    }
    let message = decrypt(
        &key(vector, "encodingAESKey"),
        encrypt,
        str(vector, "appid"),
    )
    .map_err(|error| match error {
        CryptError::Base64 => "bad_base64",
        CryptError::CiphertextLength => "bad_ciphertext_length",
        CryptError::Padding => "bad_padding",
        CryptError::Buffer => "illegal_buffer",
        CryptError::ReceiveId => "appid_mismatch",
    })?;
    Ok(message)
}

#[test]
fn every_envelope_is_verified_and_decrypted() {
    for vector in list(&load("crypt.json"), "vectors") {
        let message = open(&vector).unwrap_or_else(|class| panic!("{}: {class}", vector["id"]));
        assert_eq!(
            message,
            str(&vector, "plaintext").as_bytes(),
            "{}",
            vector["id"]
        );
    }
}

#[test]
fn encryption_gives_the_same_bytes_as_other_implementations() {
    for vector in list(&load("crypt.json"), "vectors") {
        let random = hex(str(&vector, "random16_hex"));
        let message = str(&vector, "plaintext").as_bytes();
        let encrypted = encrypt(
            &key(&vector, "encodingAESKey"),
            message,
            str(&vector, "appid"),
            &random,
        );
        assert_eq!(encrypted, str(&vector, "encrypt"), "{}", vector["id"]);
    }
}

#[test]
fn every_wrong_envelope_is_refused_with_its_class() {
    for vector in list(&load("crypt.json"), "negative") {
        let class = match open(&vector) {
            Err(class) => class,
            Ok(message) if str(&vector, "expect") == "ok" => {
                assert_eq!(message, str(&vector, "plaintext").as_bytes());
                "ok"
            }
            Ok(message) => match Push::parse(&message) {
                Ok(_) => "parsed",
                Err(_) => "payload_parse_error",
            },
        };
        assert!(
            str(&vector, "expect").split('|').any(|e| e == class),
            "{}: {class}",
            vector["id"]
        );
    }
}

#[test]
fn bad_keys_are_refused() {
    for vector in list(&load("crypt.json"), "bad_keys") {
        let error = EncodingAesKey::parse(str(&vector, "encodingAESKey")).unwrap_err();
        assert_eq!(error.code(), -40004, "{}", vector["id"]);
    }
    let multibyte = "é".repeat(21) + "A";
    assert_eq!(multibyte.len(), 43);
    assert_eq!(
        EncodingAesKey::parse(&multibyte).unwrap_err(),
        ConfigError::AesKeyAlphabet
    );
}

#[test]
fn trailing_bits_of_a_key_mean_nothing() {
    for vector in list(&load("crypt.json"), "key_trailing_bits") {
        let given = str(&vector, "encodingAESKey");
        let sent = encrypt(
            &EncodingAesKey::parse(given).unwrap(),
            b"hello",
            "wx1",
            &[1; 16],
        );
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let (head, last) = given.split_at(42);
        let four = alphabet.find(last).unwrap() & !3;
        for other in alphabet[four..four + 4].chars() {
            let key = EncodingAesKey::parse(&format!("{head}{other}")).unwrap();
            assert_eq!(
                decrypt(&key, &sent, "wx1").unwrap(),
                b"hello",
                "{given} as …{other}"
            );
        }
        let stranger = if four == 0 { 'E' } else { 'A' };
        let key = EncodingAesKey::parse(&format!("{head}{stranger}")).unwrap();
        assert!(
            decrypt(&key, &sent, "wx1").is_err(),
            "{given} as …{stranger}"
        );
    }
}

#[test]
fn during_a_rotation_the_key_that_fits_is_found_and_answers() {
    for vector in list(&load("crypt.json"), "key_rotation") {
        let keys = [key(&vector, "current_key"), key(&vector, "previous_key")];
        let appid = str(&vector, "appid");
        let (message, fitting) = decrypt_any(&keys, str(&vector, "encrypt"), appid).unwrap();
        assert_eq!(message, str(&vector, "plaintext").as_bytes());
        let expected = key(&vector, str(&vector, "expect_reply_encrypted_with"));
        let reply = encrypt(fitting, b"reply", appid, &[2; 16]);
        assert_eq!(
            decrypt(&expected, &reply, appid).unwrap(),
            b"reply",
            "{}",
            vector["id"]
        );
    }
    let keys: [EncodingAesKey; 0] = [];
    assert!(decrypt_any(&keys, "", "wx1").is_err());
}

#[test]
fn a_sealed_reply_is_the_published_one() {
    let document = load("crypt.json");
    let vectors = list(&document, "vectors");
    let find = |id: &str| vectors.iter().find(|v| v["id"] == id).unwrap();
    let seal = |vector: &serde_json::Value, format| {
        let token = Token::parse(str(vector, "token")).unwrap();
        let timestamp = str(vector, "timestamp").parse().unwrap();
        let random = hex(str(vector, "random16_hex"));
        let reply = str(vector, "plaintext").as_bytes();
        let key = key(vector, "encodingAESKey");
        let sealed = Envelope::seal(
            format,
            &key,
            &token,
            str(vector, "appid"),
            reply,
            timestamp,
            str(vector, "nonce"),
            &random,
        );
        String::from_utf8(sealed).unwrap()
    };
    let mini = find("official-mini-reply");
    assert_eq!(
        seal(mini, Format::Json),
        format!(
            r#"{{"Encrypt":"{}","MsgSignature":"1b9339964ed2e271e7c7b6ff2b0ef902fc94dea1","TimeStamp":1713424427,"Nonce":"415670741"}}"#,
            str(mini, "encrypt")
        )
    );
    let component = find("official-component-reply");
    assert_eq!(
        seal(component, Format::Xml),
        format!(
            "<xml><Encrypt><![CDATA[{}]]></Encrypt><MsgSignature><![CDATA[{}]]></MsgSignature>\
             <TimeStamp>{}</TimeStamp><Nonce><![CDATA[{}]]></Nonce></xml>",
            str(component, "encrypt"),
            str(component, "msg_signature"),
            str(component, "timestamp"),
            str(component, "nonce")
        )
    );
}

#[test]
fn a_key_is_never_shown() {
    let key = EncodingAesKey::parse("eSd7q1YbuOdflnt5Jhd3HlPAIO255XcyPzFrdbLQqHB").unwrap();
    assert_eq!(format!("{key:?}"), "EncodingAesKey(…)");
}
