//! Keyed hash of a domain name, label by label from the right.
//!
//! In: the deployment's 128-bit key and the labels of a name in any case. Out: 64 bits for each suffix, so that one
//! walk over a name gives the hashes of all its parents. The function is SipHash-1-3 (Aumasson and Bernstein, 2012):
//! without the key nobody can make a name that falsely matches. It must never change for a given key: hashes are
//! stored in files and travel between controller and agents.
//!
//! - `root = SipHash()` (the empty message);
//! - `extend(parent, label) = SipHash(parent as 8 bytes little-endian, label in lower case)`;
//! - `exact(full) = SipHash(full as 8 bytes little-endian)`: no label is empty, so the tag collides with no suffix.

use super::SetKey;

/// Hashes names under one key.
#[derive(Clone, Copy, Debug)]
pub struct NameHasher {
    start: State,
    root: u64,
}

#[derive(Clone, Copy, Debug)]
struct State {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
}

impl NameHasher {
    /// A hasher under the key of a deployment.
    pub fn new(key: SetKey) -> Self {
        let key = u128::from_le_bytes(key.0);
        let (k0, k1) = (low(key), low(key >> 64));
        // "somepseudorandomlygeneratedbytes", the constants of the SipHash paper.
        let start = State {
            v0: k0 ^ 0x736f_6d65_7073_6575,
            v1: k1 ^ 0x646f_7261_6e64_6f6d,
            v2: k0 ^ 0x6c79_6765_6e65_7261,
            v3: k1 ^ 0x7465_6462_7974_6573,
        };
        Self { start, root: start.finish(0) }
    }

    /// Hash of the root, the parent of every top-level domain.
    #[inline]
    pub fn root(&self) -> u64 {
        self.root
    }

    /// Hash of the name `label.parent`, given the parent's hash; ASCII case is folded on the way.
    ///
    /// Labels are 1 to 63 bytes; no other length occurs in a name.
    #[inline]
    pub fn extend(&self, parent: u64, label: &[u8]) -> u64 {
        self.extend_within(parent, label, 0, label.len())
    }

    /// [`extend`](Self::extend) with the label `bytes[start..start + length]`.
    ///
    /// What stands behind the label is read with it and masked: far cheaper than to pick up its last bytes one by one.
    #[inline]
    pub fn extend_within(&self, parent: u64, bytes: &[u8], start: usize, length: usize) -> u64 {
        let mut state = self.start.absorb(parent);
        let (mut at, end) = (start, start + length);
        while at + 8 <= end {
            state = state.absorb(lower_case(word(bytes, at)));
            at += 8;
        }
        // At most seven bytes are left, so the mask leaves the top byte to the length.
        let mask = (1 << ((end - at) * 8)) - 1;
        state.finish(lower_case(word(bytes, at) & mask) | length_byte(length))
    }

    /// Hash under which an entry stands that lists this very name and nothing below it.
    #[inline]
    pub fn exact(&self, full: u64) -> u64 {
        self.start.absorb(full).finish(8 << 56)
    }

    /// Hash of a whole name in presentation form; `None` where a label is empty or the name is.
    pub fn suffix(&self, name: &str) -> Option<u64> {
        name.rsplit('.').try_fold(self.root(), |parent, label| {
            (!label.is_empty()).then(|| self.extend(parent, label.as_bytes()))
        })
    }
}

impl State {
    #[inline]
    fn round(self) -> Self {
        let Self { mut v0, mut v1, mut v2, mut v3 } = self;
        v0 = v0.wrapping_add(v1);
        v2 = v2.wrapping_add(v3);
        v1 = v1.rotate_left(13) ^ v0;
        v3 = v3.rotate_left(16) ^ v2;
        v0 = v0.rotate_left(32);
        v2 = v2.wrapping_add(v1);
        v0 = v0.wrapping_add(v3);
        v1 = v1.rotate_left(17) ^ v2;
        v3 = v3.rotate_left(21) ^ v0;
        v2 = v2.rotate_left(32);
        Self { v0, v1, v2, v3 }
    }

    #[inline]
    fn absorb(mut self, word: u64) -> Self {
        self.v3 ^= word;
        self = self.round();
        self.v0 ^= word;
        self
    }

    #[inline]
    fn finish(self, last: u64) -> u64 {
        let mut state = self.absorb(last);
        state.v2 ^= 0xff;
        let State { v0, v1, v2, v3 } = state.round().round().round();
        v0 ^ v1 ^ v2 ^ v3
    }
}

/// The final block's top byte: the message's length, parent included, modulo 256.
#[inline]
fn length_byte(label: usize) -> u64 {
    (label as u64 + 8) << 56
}

/// Eight bytes, zeros beyond the end.
#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.first_chunk::<8>().map_or_else(|| short_word(rest), |word| u64::from_le_bytes(*word))
}

/// Up to seven bytes as the low end of a word.
#[cold]
fn short_word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte))
}

/// Folds ASCII upper case in eight bytes at once.
#[inline]
fn lower_case(word: u64) -> u64 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low7 = word & !HIGH;
    // Bit 7 of each byte: at least 'A' (0x41) but not beyond 'Z' (0x5a), and no byte of 128 or more.
    let from_a = low7 + ONES * (0x80 - 0x41);
    let past_z = low7 + ONES * (0x7f - 0x5a);
    let upper = from_a & !past_z & !word & HIGH;
    word | (upper >> 2)
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is wanted")]
fn low(word: u128) -> u64 {
    word as u64
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher as _;

    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;

    use super::*;

    fn independent(key: [u8; 16], message: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&key);
        hasher.write(message);
        hasher.finish()
    }

    proptest! {
        #[test]
        fn extend_is_siphash_of_parent_and_lower_case_label(
            key: [u8; 16], parent: u64, label in prop::collection::vec(any::<u8>(), 1..=63),
            before in prop::collection::vec(any::<u8>(), 0..9), behind in prop::collection::vec(any::<u8>(), 0..12),
        ) {
            let mut message = parent.to_le_bytes().to_vec();
            message.extend(label.to_ascii_lowercase());
            let hasher = NameHasher::new(SetKey(key));
            prop_assert_eq!(hasher.extend(parent, &label), independent(key, &message));
            let within = [&before[..], &label, &behind].concat();
            let found = hasher.extend_within(parent, &within, before.len(), label.len());
            prop_assert_eq!(found, independent(key, &message));
        }

        #[test]
        fn exact_is_siphash_of_the_full_hash_alone(key: [u8; 16], full: u64) {
            prop_assert_eq!(NameHasher::new(SetKey(key)).exact(full), independent(key, &full.to_le_bytes()));
        }
    }

    #[test]
    fn root_is_siphash_of_nothing() {
        let key = std::array::from_fn(|i| u8::try_from(i).unwrap());
        assert_eq!(NameHasher::new(SetKey(key)).root(), independent(key, &[]));
    }

    #[test]
    fn root_under_the_reference_key_is_the_published_vector() {
        // First SipHash-1-3 vector (key 00..0f, empty message) of the reference implementation's vectors.
        let key = std::array::from_fn(|i| u8::try_from(i).unwrap());
        assert_eq!(NameHasher::new(SetKey(key)).root(), 0xabac_0158_050f_c4dc);
    }

    #[test]
    fn every_byte_folds_as_ascii_does() {
        for byte in 0..=u8::MAX {
            let folded = lower_case(u64::from_le_bytes([byte; 8]));
            assert_eq!(folded.to_le_bytes(), [byte.to_ascii_lowercase(); 8]);
        }
    }
}
