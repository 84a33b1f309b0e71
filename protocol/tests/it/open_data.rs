use weir_protocol::error::OpenDataError;
use weir_protocol::open_data::{decrypt, verify_raw_data};

use crate::vectors::{list, load, str};

fn open(vector: &serde_json::Value) -> Result<weir_protocol::open_data::OpenData, OpenDataError> {
    decrypt(
        str(vector, "session_key"),
        str(vector, "iv"),
        str(vector, "encrypted_data"),
        str(vector, "appid"),
    )
}

#[test]
fn encrypted_data_is_opened_and_its_watermark_checked() {
    for vector in list(&load("miniprogram_data.json"), "encrypted_data") {
        let opened = open(&vector).unwrap_or_else(|e| panic!("{}: {e}", vector["id"]));
        assert_eq!(opened.json, str(&vector, "plaintext"), "{}", vector["id"]);
        let expected: serde_json::Value = serde_json::from_str(&opened.json).unwrap();
        assert_eq!(
            opened.timestamp,
            expected["watermark"]["timestamp"].as_u64()
        );
        assert!(!format!("{opened:?}").contains("openId"));
    }
}

#[test]
fn wrong_encrypted_data_is_refused_with_its_class() {
    for vector in list(&load("miniprogram_data.json"), "encrypted_data_negative") {
        let error = open(&vector).unwrap_err();
        let class = match error {
            OpenDataError::SessionKey => "bad_session_key",
            OpenDataError::Iv => "bad_iv",
            OpenDataError::Base64 => "bad_base64",
            OpenDataError::CiphertextLength => "bad_ciphertext_length",
            OpenDataError::Padding => "bad_padding",
            OpenDataError::Json => "json_parse",
            OpenDataError::Watermark => "watermark_mismatch",
        };
        assert!(
            str(&vector, "expect").split('|').any(|e| e == class),
            "{}: {class}",
            vector["id"]
        );
        if let Some(code) = vector["code"].as_str() {
            assert_eq!(error.code().to_string(), code, "{}", vector["id"]);
        }
    }
}

#[test]
fn raw_data_is_verified_byte_for_byte() {
    for vector in list(&load("miniprogram_data.json"), "raw_data_signature") {
        let verified = verify_raw_data(
            str(&vector, "raw_data"),
            str(&vector, "session_key"),
            str(&vector, "signature"),
        );
        assert_eq!(
            verified,
            vector["valid"].as_bool().unwrap(),
            "{}",
            vector["id"]
        );
    }
}
