//! The crate `aes`: instructions of the processor where it has them, constant time everywhere.

use aes::cipher::consts::U16;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit};

use super::BLOCK;

/// A key, expanded for both directions; wiped when dropped.
#[derive(Clone)]
pub(crate) struct Cbc<C>(C);

/// AES with 128-bit keys.
pub(crate) type Aes128 = Cbc<aes::Aes128>;
/// AES with 256-bit keys.
pub(crate) type Aes256 = Cbc<aes::Aes256>;

impl Aes128 {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self(aes::Aes128::new(key.into()))
    }
}

impl Aes256 {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self(aes::Aes256::new(key.into()))
    }
}

impl<C: BlockCipherEncrypt + BlockCipherDecrypt + BlockSizeUser<BlockSize = U16>> Cbc<C> {
    /// Encrypts whole blocks in place; a rest shorter than a block is left as it is.
    pub(crate) fn cbc_encrypt(&self, iv: &[u8; BLOCK], data: &mut [u8]) {
        let mut chain = *iv;
        for block in data.as_chunks_mut().0 {
            xor(block, &chain);
            self.0.encrypt_block(block.into());
            chain = *block;
        }
    }

    /// Decrypts whole blocks in place; a rest shorter than a block is left as it is.
    pub(crate) fn cbc_decrypt(&self, iv: &[u8; BLOCK], data: &mut [u8]) {
        let mut chain = *iv;
        for block in data.as_chunks_mut().0 {
            let next = *block;
            self.0.decrypt_block(block.into());
            xor(block, &chain);
            chain = next;
        }
    }
}

fn xor(block: &mut [u8; BLOCK], with: &[u8; BLOCK]) {
    for (byte, other) in block.iter_mut().zip(with) {
        *byte ^= other;
    }
}
