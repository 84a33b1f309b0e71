//! Looks for bytes in texts that mostly have none of them: eight at a time, since it runs over all of every push.

/// Where the first byte is that is one of `any` or less than `below`, which is at most 128.
pub(crate) fn position<const N: usize>(bytes: &[u8], below: u8, any: [u8; N]) -> Option<usize> {
    let (words, _) = bytes.as_chunks::<8>();
    let plain = words
        .iter()
        .take_while(|word| !has(**word, below, any))
        .count()
        * 8;
    let rest = bytes.get(plain..)?;
    let at = rest
        .iter()
        .position(|byte| *byte < below || any.contains(byte))?;
    Some(plain + at)
}

/// Whether one of eight bytes is.
fn has<const N: usize>(bytes: [u8; 8], below: u8, any: [u8; N]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let word = u64::from_ne_bytes(bytes);
    // Subtracting sets the high bit of the first byte that is less, unless it was set before; of those behind it perhaps, too.
    let less = |word: u64, than: u8| word.wrapping_sub(ONES * u64::from(than)) & !word;
    let equal = |to: u8| less(word ^ (ONES * u64::from(to)), 1);
    let found = any
        .iter()
        .fold(less(word, below), |found, byte| found | equal(*byte));
    found & HIGH != 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::position;

    proptest! {
        #[test]
        fn it_is_where_it_is_byte_by_byte(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0x1e_u8..0x24, Just(b'a')], 0..40),
            below in 0_u8..=128,
            any in [any::<u8>(), any::<u8>()],
        ) {
            let slowly = bytes.iter().position(|byte| *byte < below || any.contains(byte));
            prop_assert_eq!(position(&bytes, below, any), slowly);
        }
    }
}
