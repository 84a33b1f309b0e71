//! AES by look-up tables, for wasm.
//!
//! # Why tables
//! wasm has no AES instructions, and without them constant time means bit-slicing, which computes several blocks at
//! once; CBC encryption has only one. For 608 bytes (a text message in its envelope), in ns, wasm32-wasip1 under V8's
//! optimising compiler, best of 1500 rounds, on one 2.5 GHz machine:
//!
//! | | encrypt | decrypt |
//! |---|---|---|
//! | crate `aes` 0.9 (bit-sliced), block by block | 23 500 | 22 800 |
//! | the same, all blocks at once | not in CBC | 6 900 |
//! | these tables | 4 000 | 4 100 |
//! | crate `aes-wasm` 0.2 (expands the key on every call) | 3 900 | 3 800 |
//!
//! `aes-wasm` is as fast, but it is an archive compiled from Zig that cannot be built or read here, it is unsafe
//! foreign code, and it pads to 16 where WeChat pads to 32.
//!
//! # What it costs
//! Look-ups by secret octets can leak through the cache's timing. A stranger gains nothing here: decryption only runs
//! on bytes whose `msg_signature` matched, and encryption only on our own replies, with a random first block; what is
//! measured would have to be seen across a network and a proxy, or from another program on the same core. Whoever is
//! there can do worse.
//!
//! # Shape
//! Tables are laid out for little-endian words, because wasm loads those at once and has no byte swap.

// Every index below is an octet or a round number, and every table has as many entries: checked by the types where
// the compiler can see it, and by the vectors otherwise.
#![allow(clippy::indexing_slicing)]

use zeroize::Zeroize;

use super::BLOCK;

type Words = [u32; 4];

const fn double(x: u8) -> u8 {
    (x << 1) ^ (0x1b & (x >> 7).wrapping_neg())
}

const fn times(mut x: u8, mut by: u8) -> u8 {
    let mut product = 0;
    while by != 0 {
        if by & 1 != 0 {
            product ^= x;
        }
        x = double(x);
        by >>= 1;
    }
    product
}

/// The S-box of FIPS 197, section 5.1.1: the inverse in GF(2^8) (here by walking two generators), then an affine map.
const SBOX: [u8; 256] = {
    let mut sbox = [0; 256];
    let (mut p, mut q) = (1u8, 1u8);
    loop {
        p ^= double(p); // times 3
        q ^= q << 1; // divided by 3
        q ^= q << 2;
        q ^= q << 4;
        q ^= 0x09 & (q >> 7).wrapping_neg();
        sbox[p as usize] =
            q ^ q.rotate_left(1) ^ q.rotate_left(2) ^ q.rotate_left(3) ^ q.rotate_left(4) ^ 0x63;
        if p == 1 {
            break;
        }
    }
    sbox[0] = 0x63;
    sbox
};

const INVERSE_SBOX: [u8; 256] = {
    let mut inverse = [0; 256];
    let mut x = 0;
    while x < 256 {
        inverse[SBOX[x] as usize] = x as u8;
        x += 1;
    }
    inverse
};

/// One column of MixColumns after SubBytes, for a byte in row 0; the other rows are rotations.
const fn columns(sbox: &[u8; 256], by: [u8; 4], rotation: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut x = 0;
    while x < 256 {
        let s = sbox[x];
        let column = [
            times(s, by[0]),
            times(s, by[1]),
            times(s, by[2]),
            times(s, by[3]),
        ];
        table[x] = u32::from_le_bytes(column).rotate_left(rotation);
        x += 1;
    }
    table
}

const fn four(sbox: &[u8; 256], by: [u8; 4]) -> [[u32; 256]; 4] {
    [
        columns(sbox, by, 0),
        columns(sbox, by, 8),
        columns(sbox, by, 16),
        columns(sbox, by, 24),
    ]
}

static FORWARD: [[u32; 256]; 4] = four(&SBOX, [2, 1, 1, 3]);
static INVERSE: [[u32; 256]; 4] = four(&INVERSE_SBOX, [14, 9, 13, 11]);
static SUBSTITUTE: [u8; 256] = SBOX;
static INVERSE_SUBSTITUTE: [u8; 256] = INVERSE_SBOX;

/// Row `row` of a column.
#[inline(always)]
fn octet(column: u32, row: u32) -> usize {
    ((column >> (8 * row)) & 0xff) as usize
}

#[inline(always)]
fn mix(tables: &[[u32; 256]; 4], a: u32, b: u32, c: u32, d: u32) -> u32 {
    tables[0][octet(a, 0)]
        ^ tables[1][octet(b, 1)]
        ^ tables[2][octet(c, 2)]
        ^ tables[3][octet(d, 3)]
}

#[inline(always)]
fn substitute(sbox: &[u8; 256], a: u32, b: u32, c: u32, d: u32) -> u32 {
    u32::from_le_bytes([
        sbox[octet(a, 0)],
        sbox[octet(b, 1)],
        sbox[octet(c, 2)],
        sbox[octet(d, 3)],
    ])
}

#[inline(always)]
fn xor(a: Words, b: Words) -> Words {
    [a[0] ^ b[0], a[1] ^ b[1], a[2] ^ b[2], a[3] ^ b[3]]
}

#[inline(always)]
fn load(block: &[u8; BLOCK]) -> Words {
    let b = block;
    [
        u32::from_le_bytes([b[0], b[1], b[2], b[3]]),
        u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
        u32::from_le_bytes([b[8], b[9], b[10], b[11]]),
        u32::from_le_bytes([b[12], b[13], b[14], b[15]]),
    ]
}

#[inline(always)]
fn store(block: &mut [u8; BLOCK], words: Words) {
    for (bytes, word) in block.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *bytes = word.to_le_bytes();
    }
}

/// A key of `KEY` words, expanded into `ROUND_KEYS` = rounds + 1 round keys per direction; wiped when dropped.
#[derive(Clone)]
pub(crate) struct Aes<const KEY: usize, const ROUND_KEYS: usize> {
    encrypt: [Words; ROUND_KEYS],
    decrypt: [Words; ROUND_KEYS],
}

/// AES with 128-bit keys.
pub(crate) type Aes128 = Aes<4, 11>;
/// AES with 256-bit keys.
pub(crate) type Aes256 = Aes<8, 15>;

impl<const KEY: usize, const ROUND_KEYS: usize> Drop for Aes<KEY, ROUND_KEYS> {
    fn drop(&mut self) {
        self.encrypt.zeroize();
        self.decrypt.zeroize();
    }
}

impl Aes128 {
    pub(crate) fn new(key: &[u8; 16]) -> Self {
        Self::expand(key)
    }
}

impl Aes256 {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self::expand(key)
    }
}

impl<const KEY: usize, const ROUND_KEYS: usize> Aes<KEY, ROUND_KEYS> {
    /// FIPS 197, sections 5.2 and 5.3.5 (round keys of the equivalent inverse cipher).
    fn expand(key: &[u8]) -> Self {
        let mut encrypt = [[0; 4]; ROUND_KEYS];
        let words = encrypt.as_flattened_mut();
        for (word, bytes) in words.iter_mut().zip(key.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        let mut round_constant = 1;
        for at in KEY..words.len() {
            let mut word = words[at - 1];
            if at % KEY == 0 {
                word = substitute(&SUBSTITUTE, word, word, word, word).rotate_right(8)
                    ^ u32::from(round_constant);
                round_constant = double(round_constant);
            } else if KEY > 6 && at % KEY == 4 {
                word = substitute(&SUBSTITUTE, word, word, word, word);
            }
            words[at] = words[at - KEY] ^ word;
        }

        let mut decrypt = encrypt;
        decrypt.reverse();
        for round_key in &mut decrypt[1..ROUND_KEYS - 1] {
            for word in round_key {
                let w = substitute(&SUBSTITUTE, *word, *word, *word, *word);
                *word = mix(&INVERSE, w, w, w, w);
            }
        }
        Self { encrypt, decrypt }
    }

    /// Encrypts whole blocks in place; a rest shorter than a block is left as it is.
    #[inline(never)] // inlined into a larger function it takes 1.6 times as long: the registers run out
    pub(crate) fn cbc_encrypt(&self, iv: &[u8; BLOCK], data: &mut [u8]) {
        let mut chain = load(iv);
        for block in data.as_chunks_mut().0 {
            chain = self.encrypt(xor(load(block), chain));
            store(block, chain);
        }
    }

    /// Decrypts whole blocks in place; a rest shorter than a block is left as it is.
    #[inline(never)]
    pub(crate) fn cbc_decrypt(&self, iv: &[u8; BLOCK], data: &mut [u8]) {
        let mut chain = load(iv);
        for block in data.as_chunks_mut().0 {
            let next = load(block);
            store(block, xor(self.decrypt(next), chain));
            chain = next;
        }
    }

    #[inline(always)]
    fn encrypt(&self, block: Words) -> Words {
        let [a, b, c, d] = self.encrypt[1..ROUND_KEYS - 1].iter().fold(
            xor(block, self.encrypt[0]),
            |[a, b, c, d], k| {
                xor(
                    [
                        mix(&FORWARD, a, b, c, d),
                        mix(&FORWARD, b, c, d, a),
                        mix(&FORWARD, c, d, a, b),
                        mix(&FORWARD, d, a, b, c),
                    ],
                    *k,
                )
            },
        );
        let s = &SUBSTITUTE;
        let last = [
            substitute(s, a, b, c, d),
            substitute(s, b, c, d, a),
            substitute(s, c, d, a, b),
            substitute(s, d, a, b, c),
        ];
        xor(last, self.encrypt[ROUND_KEYS - 1])
    }

    #[inline(always)]
    fn decrypt(&self, block: Words) -> Words {
        let [a, b, c, d] = self.decrypt[1..ROUND_KEYS - 1].iter().fold(
            xor(block, self.decrypt[0]),
            |[a, b, c, d], k| {
                xor(
                    [
                        mix(&INVERSE, a, d, c, b),
                        mix(&INVERSE, b, a, d, c),
                        mix(&INVERSE, c, b, a, d),
                        mix(&INVERSE, d, c, b, a),
                    ],
                    *k,
                )
            },
        );
        let s = &INVERSE_SUBSTITUTE;
        let last = [
            substitute(s, a, d, c, b),
            substitute(s, b, a, d, c),
            substitute(s, c, b, a, d),
            substitute(s, d, c, b, a),
        ];
        xor(last, self.decrypt[ROUND_KEYS - 1])
    }
}
