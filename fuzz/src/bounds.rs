//! `bounds`: large bodies, made of small inputs.
//!
//! Bounds on counts are out of a fuzzer's reach: it tries short inputs, and 8,192 values are long. So the input says
//! what is to be repeated: flags, how often (two bytes), a start, a unit, and the end. Wherever the unit has the byte 1,
//! it gets the number of the repetition, so that names can differ. It finds what makes the code slow.

use crate::pieces::Pieces;
use crate::{json, xml};

/// Most bytes of a body: more than every count needs that is bounded.
const MAX_BODY: usize = 64 * 1024;

/// The target.
///
/// # Panics
/// What must hold does not.
pub fn check(data: &[u8]) {
    let mut pieces = Pieces::new(data);
    let flags = pieces.byte();
    let body = repeated(pieces);
    if flags & 1 == 0 {
        xml::check(&body);
    } else {
        json::check(&body);
    }
}

fn repeated(mut pieces: Pieces<'_>) -> Vec<u8> {
    let count = u16::from_be_bytes([pieces.byte(), pieces.byte()]);
    let mut body = pieces.next().unwrap_or_default().to_vec();
    let unit = pieces.next().unwrap_or_default();
    for number in 0..count {
        if body.len() + unit.len() > MAX_BODY {
            break;
        }
        for (index, part) in unit.split(|&byte| byte == 1).enumerate() {
            if index > 0 {
                body.extend_from_slice(number.to_string().as_bytes());
            }
            body.extend_from_slice(part);
        }
    }
    body.extend_from_slice(pieces.rest());
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_input_stands_for_a_large_body() {
        let body = |data| repeated(Pieces::new(data));
        assert_eq!(body(b"\x00\x03<\xff\x01,\xff>"), b"<0,1,2,>");
        assert!(body(b"\xff\xff<\xff12345678\xff>").len() > 60_000);
    }
}
