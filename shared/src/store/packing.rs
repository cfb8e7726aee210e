//! Making records small: LZ4 with a fixed list of words.
//!
//! A million armed timers are to cost 600 bytes each; most of a case with one timer are the words of the
//! catalogue, and its event's id twice.

use lz4_flex::block::{compress_with_dict, decompress_with_dict};

/// The words. They are a part of what is stored and never change, not even with the catalogue: what was packed
/// with other words cannot be read. Better words are another version of the store's format.
const WORDS: &[u8] = include_bytes!("record_words.txt");

/// Longest record that is unpacked, bytes; a case is bounded far below.
const LONGEST: usize = 1 << 24;

/// The length in four bytes, little endian, then one LZ4 block; none where that is no shorter.
pub(super) fn pack(plain: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(plain.len()).ok().filter(|_| plain.len() <= LONGEST)?;
    let block = compress_with_dict(plain, WORDS);
    (block.len() + 4 < plain.len()).then(|| [&length.to_le_bytes()[..], &block].concat())
}

/// What was packed; none if it is damaged.
pub(super) fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let (length, block) = packed.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= LONGEST)?;
    decompress_with_dict(block, length, WORDS).ok()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back(texts in prop::collection::vec("[a-z]{0,40}|permesso-in-scadenza", 0..40)) {
            let plain = texts.concat().into_bytes();
            if let Some(packed) = pack(&plain) {
                prop_assert!(packed.len() < plain.len());
                prop_assert_eq!(unpack(&packed), Some(plain));
            }
        }

        #[test]
        fn damage_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            drop(unpack(&bytes));
        }
    }

    #[test]
    fn only_what_gets_shorter_is_packed() {
        assert_eq!(pack(b"x"), None);
        assert!(pack(&b"permesso-in-scadenza".repeat(3)).is_some());
    }

    #[test]
    fn a_length_beyond_reason_is_not_unpacked() {
        assert_eq!(unpack(&[&u32::MAX.to_le_bytes()[..], &[0; 8]].concat()), None);
    }

    #[test]
    fn the_words_never_change() {
        let mut digest = String::new();
        for byte in Sha256::digest(WORDS) {
            write!(digest, "{byte:02x}").unwrap();
        }
        assert_eq!(digest, "1fbeb00937b2f84062123744eb3783b6fe58c11a03f1c3f290d951bfae2e2f44");
    }
}
