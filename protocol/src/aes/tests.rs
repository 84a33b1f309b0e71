//! The table implementation, which only wasm ships, against the standard and against the crate `aes`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::{hardware, table};
use crate::aes_key;

fn hex<const N: usize>(text: &str) -> [u8; N] {
    std::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
}

const PLAIN: &str = "00112233445566778899aabbccddeeff";

#[test]
fn tables_give_the_example_of_fips_197_for_128_bits() {
    let aes = table::Aes128::new(&hex("000102030405060708090a0b0c0d0e0f"));
    let mut block = hex::<16>(PLAIN);
    aes.cbc_encrypt(&[0; 16], &mut block);
    assert_eq!(block, hex("69c4e0d86a7b0430d8cdb78070b4c55a"));
    aes.cbc_decrypt(&[0; 16], &mut block);
    assert_eq!(block, hex(PLAIN));
}

#[test]
fn tables_give_the_example_of_fips_197_for_256_bits() {
    let aes = table::Aes256::new(&hex(
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    ));
    let mut block = hex::<16>(PLAIN);
    aes.cbc_encrypt(&[0; 16], &mut block);
    assert_eq!(block, hex("8ea2b7ca516745bfeafc49904b496089"));
    aes.cbc_decrypt(&[0; 16], &mut block);
    assert_eq!(block, hex(PLAIN));
}

#[test]
fn tables_and_hardware_agree_on_every_vector_right_or_wrong() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/vectors/crypt.json")).unwrap();
    let mut compared = 0;
    for list in ["vectors", "negative"] {
        for vector in vectors[list].as_array().unwrap() {
            let key = aes_key::decode(vector["encodingAESKey"].as_str().unwrap()).unwrap();
            let Ok(encrypted) = STANDARD.decode(vector["encrypt"].as_str().unwrap()) else {
                continue;
            };
            let iv = key.first_chunk().unwrap();
            let (mut by_table, mut by_hardware) = (encrypted.clone(), encrypted.clone());
            table::Aes256::new(&key).cbc_decrypt(iv, &mut by_table);
            hardware::Aes256::new(&key).cbc_decrypt(iv, &mut by_hardware);
            assert_eq!(by_table, by_hardware, "{}", vector["id"]);
            if let Some(plaintext) = vector["plaintext"].as_str() {
                assert_eq!(
                    &by_table[20..20 + plaintext.len()],
                    plaintext.as_bytes(),
                    "{}",
                    vector["id"]
                );
            }
            table::Aes256::new(&key).cbc_encrypt(iv, &mut by_table);
            assert_eq!(by_table, encrypted, "{}", vector["id"]);
            compared += 1;
        }
    }
    assert!(compared > 70, "only {compared}");
}

proptest! {
    #[test]
    fn tables_and_hardware_agree(key: [u8; 32], iv: [u8; 16], data in prop::collection::vec(any::<u8>(), 0..200)) {
        let (short, _) = key.split_first_chunk().unwrap();
        let expected = data.clone();
        macro_rules! agree {
            ($name:ident, $key:expr) => {
                let (hardware, table) = (hardware::$name::new($key), table::$name::new($key));
                let (mut a, mut b) = (data.clone(), data.clone());
                hardware.cbc_encrypt(&iv, &mut a);
                table.cbc_encrypt(&iv, &mut b);
                prop_assert_eq!(&a, &b);
                hardware.cbc_decrypt(&iv, &mut a);
                table.cbc_decrypt(&iv, &mut b);
                prop_assert_eq!(&a, &expected);
                prop_assert_eq!(&b, &expected);
            };
        }
        agree!(Aes128, short);
        agree!(Aes256, &key);
    }
}
