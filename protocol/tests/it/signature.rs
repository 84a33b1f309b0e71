use weir_protocol::error::ConfigError;
use weir_protocol::signature::{Token, sign, verify, verify_encrypted};

use crate::vectors::{list, load, str};

#[test]
fn every_published_or_independent_signature_is_recomputed() {
    for vector in list(&load("signature.json"), "vectors") {
        let (token, timestamp, nonce) = (
            str(&vector, "token"),
            str(&vector, "timestamp"),
            str(&vector, "nonce"),
        );
        let parts = [token.as_bytes(), timestamp.as_bytes(), nonce.as_bytes()];
        let expected = str(&vector, "signature");
        let encrypt = vector["encrypt"].as_str();
        let signed = match encrypt {
            Some(encrypt) => sign(&[parts[0], parts[1], parts[2], encrypt.as_bytes()]),
            None => sign(&parts),
        };
        assert_eq!(
            std::str::from_utf8(&signed),
            Ok(expected),
            "{}",
            vector["id"]
        );
        if let Ok(token) = Token::parse(token) {
            let verified = match encrypt {
                Some(encrypt) => verify_encrypted(&token, timestamp, nonce, encrypt, expected),
                None => verify(&token, timestamp, nonce, expected),
            };
            assert!(verified, "{}", vector["id"]);
        }
    }
}

#[test]
fn no_wrong_signature_is_accepted() {
    for vector in list(&load("signature.json"), "negative") {
        let (timestamp, nonce) = (str(&vector, "timestamp"), str(&vector, "nonce"));
        let given = str(&vector, "given_signature");
        let Ok(token) = Token::parse(str(&vector, "token")) else {
            assert_eq!(vector["id"], "token-trailing-space");
            continue;
        };
        let verified = match vector["encrypt"].as_str() {
            Some(encrypt) => verify_encrypted(&token, timestamp, nonce, encrypt, given),
            None => verify(&token, timestamp, nonce, given),
        };
        assert!(!verified, "{}", vector["id"]);
    }
}

#[test]
fn an_upper_case_signature_is_not_the_signature() {
    let token = Token::parse("AAAAA").unwrap();
    let right = "899cf89e464efb63f54ddac96b0a0a235f53aa78";
    assert!(verify(&token, "1714037059", "486452656", right));
    assert!(!verify(
        &token,
        "1714037059",
        "486452656",
        &right.to_uppercase()
    ));
}

#[test]
fn forged_stamps_that_share_a_signature_are_refused_by_their_shape() {
    use weir_protocol::query::CallbackQuery;
    for pair in list(&load("signature.json")["ambiguity"], "pairs") {
        let token = Token::parse(str(&pair, "token")).unwrap();
        let signature = str(&pair, "signature");
        for (which, well_shaped) in [("original", true), ("forged", false)] {
            let (timestamp, nonce) = (str(&pair[which], "timestamp"), str(&pair[which], "nonce"));
            assert!(
                verify(&token, timestamp, nonce, signature),
                "the signature alone accepts {which}"
            );
            let query = format!("signature={signature}&timestamp={timestamp}&nonce={nonce}");
            assert_eq!(
                CallbackQuery::parse(&query).unwrap().stamp().is_ok(),
                well_shaped,
                "{} {which}",
                pair["id"]
            );
        }
    }
}

#[test]
fn a_token_has_3_to_32_letters_and_digits_and_is_never_shown() {
    assert_eq!(
        Token::parse("ab").unwrap_err(),
        ConfigError::TokenLength { found: 2 }
    );
    assert_eq!(
        Token::parse(&"a".repeat(33)).unwrap_err(),
        ConfigError::TokenLength { found: 33 }
    );
    assert_eq!(
        Token::parse("a b c").unwrap_err(),
        ConfigError::TokenAlphabet
    );
    assert_eq!(
        Token::parse("令牌令牌").unwrap_err(),
        ConfigError::TokenAlphabet
    );
    assert!(Token::parse(&"a".repeat(32)).is_ok());
    assert_eq!(
        format!("{:?}", Token::parse("weixinToken1").unwrap()),
        "Token(…)"
    );
}
