//! Signing and encryption against data made by others. See `tests/vectors/README.md`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use weir_sim::wechat::cipher::{self, Undecryptable};
use weir_sim::wechat::{AesKey, open_data, signature};

fn load(text: &str) -> Value {
    serde_json::from_str(text).expect("the vectors are JSON")
}

fn crypt() -> Value {
    load(include_str!("../vectors/crypt.json"))
}

fn list<'a>(file: &'a Value, name: &str) -> &'a [Value] {
    let list = file[name].as_array().expect("a list");
    assert!(!list.is_empty());
    list
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name]
        .as_str()
        .unwrap_or_else(|| panic!("{} has no {name}", vector["id"]))
}

fn key(vector: &Value) -> AesKey {
    AesKey::parse(text(vector, "encodingAESKey")).unwrap()
}

fn msg_signature(vector: &Value) -> String {
    signature::sign(&[
        text(vector, "token"),
        text(vector, "timestamp"),
        text(vector, "nonce"),
        text(vector, "encrypt"),
    ])
}

fn unhex<const N: usize>(hex: &str) -> [u8; N] {
    std::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
}

#[test]
fn signatures_are_those_that_others_computed() {
    for vector in list(&load(include_str!("../vectors/signature.json")), "vectors") {
        let mut parts = vec![
            text(vector, "token"),
            text(vector, "timestamp"),
            text(vector, "nonce"),
        ];
        parts.extend(vector["encrypt"].as_str());
        assert_eq!(
            signature::sign(&parts),
            text(vector, "signature"),
            "{}",
            vector["id"]
        );
    }
}

#[test]
fn every_envelope_of_others_opens_and_encrypting_again_gives_the_same_bytes() {
    for vector in list(&crypt(), "vectors") {
        let (encrypt, appid) = (text(vector, "encrypt"), text(vector, "appid"));
        assert_eq!(
            msg_signature(vector),
            text(vector, "msg_signature"),
            "{}",
            vector["id"]
        );
        let message = cipher::decrypt(&key(vector), encrypt, appid).unwrap();
        assert_eq!(
            message,
            text(vector, "plaintext").as_bytes(),
            "{}",
            vector["id"]
        );
        let prefix = unhex(text(vector, "random16_hex"));
        assert_eq!(
            cipher::encrypt(&key(vector), prefix, &message, appid),
            encrypt,
            "{}",
            vector["id"]
        );
    }
}

#[test]
fn what_is_wrong_with_an_envelope_is_found_and_named() {
    for vector in list(&crypt(), "negative") {
        let decrypted =
            cipher::decrypt(&key(vector), text(vector, "encrypt"), text(vector, "appid"));
        let expected = text(vector, "expect");
        let right = match expected {
            "signature_mismatch" => msg_signature(vector) != text(vector, "msg_signature"),
            // The cipher is content: the garbage shows when the message is parsed.
            "payload_parse_error" => decrypted
                .as_ref()
                .is_ok_and(|m| weir_sim::Fields::from_xml(m).is_err()),
            "ok" => decrypted.is_ok(),
            _ => decrypted
                .as_ref()
                .is_err_and(|error| expected.split('|').any(|class| is_class(*error, class))),
        };
        assert!(
            right,
            "{}: expected {expected}, found {decrypted:?}",
            vector["id"]
        );
    }
}

fn is_class(error: Undecryptable, class: &str) -> bool {
    match class {
        "bad_base64" => error == Undecryptable::Base64,
        // One code for both (-40007): the length is checked against 32 here, against 16 by others.
        "bad_ciphertext_length" | "bad_padding" => {
            matches!(error, Undecryptable::Length | Undecryptable::Padding)
        }
        "illegal_buffer" => error == Undecryptable::Buffer,
        "appid_mismatch" => error == Undecryptable::AppId,
        other => panic!("unknown class {other}"),
    }
}

#[test]
fn keys_with_trailing_bits_decode_and_what_is_no_key_does_not() {
    for vector in list(&crypt(), "key_trailing_bits") {
        assert_eq!(key(vector).as_bytes(), &unhex(text(vector, "key_hex")));
    }
    for vector in list(&crypt(), "bad_keys") {
        assert!(
            AesKey::parse(text(vector, "encodingAESKey")).is_err(),
            "{}",
            vector["id"]
        );
    }
}

#[test]
fn open_data_is_sealed_as_others_seal_it_and_raw_data_signed_as_others_sign_it() {
    let file = load(include_str!("../vectors/miniprogram_data.json"));
    for vector in list(&file, "encrypted_data") {
        let iv = STANDARD.decode(text(vector, "iv")).unwrap();
        let sealed = open_data::seal(
            text(vector, "session_key"),
            &iv.try_into().unwrap(),
            text(vector, "plaintext").as_bytes(),
        );
        assert_eq!(
            sealed.as_deref(),
            Ok(text(vector, "encrypted_data")),
            "{}",
            vector["id"]
        );
    }
    for vector in list(&file, "raw_data_signature") {
        let signature = open_data::signature(text(vector, "raw_data"), text(vector, "session_key"));
        assert_eq!(
            signature == text(vector, "signature"),
            vector["valid"] == true,
            "{}",
            vector["id"]
        );
    }
    for no_key in ["abc", "", "AAAAAAAAAAAAAAAAAAAAAAA="] {
        assert_eq!(
            open_data::seal(no_key, &[0; 16], b"{}"),
            Err(open_data::BadSessionKey)
        );
    }
}
