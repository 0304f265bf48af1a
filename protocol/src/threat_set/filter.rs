//! One shard's binary fuse filter of 8 bits (Graf and Lemire, 2022): says "not listed" for 255 of 256 other hashes.
//!
//! Built by `xorf`, asked here: the fingerprints of all shards lie in one block of memory, and a shape that came from a
//! file must be safe whatever it says.

use xorf::BinaryFuse8;

use super::layout::ShardHead;

/// Largest segment that `xorf` makes.
const SEGMENT_MAX: u32 = 1 << 18;

/// Where a shard's fingerprints lie, and how a hash finds its three.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    seed: u64,
    /// First fingerprint, counted over all shards.
    first: usize,
    segment_length: u32,
    /// Segments that a hash's first fingerprint may lie in, times their length; 0 where there is no filter.
    first_span: u32,
}

/// A shape that no filter has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadShape;

/// Fingerprints of a shard and the shape to be written into its head; none where the filter cannot be built.
pub fn build(hashes: &[u64], head: &mut ShardHead) -> Box<[u8]> {
    if hashes.is_empty() {
        return Box::default();
    }
    // Hashes are distinct and keyed, so a thousand tries fail with a chance that nobody will see; a shard without
    // a filter is slower and as right.
    let Ok(fuse) = BinaryFuse8::try_from(hashes) else {
        return Box::default();
    };
    let shape = fuse.descriptor;
    head.seed = shape.seed.into();
    head.segment_length = shape.segment_length.into();
    head.segment_count = (shape.segment_count_length / shape.segment_length.max(1)).into();
    fuse.fingerprints
}

impl Filter {
    /// The filter of a shard whose fingerprints begin at `first`, and how many bytes they take.
    pub fn from_head(head: &ShardHead, first: usize) -> Result<(Self, usize), BadShape> {
        let (segment_length, segment_count) = (head.segment_length.get(), head.segment_count.get());
        if segment_length == 0 && segment_count == 0 {
            return Ok((Self { first, ..Self::default() }, 0));
        }
        if !segment_length.is_power_of_two() || segment_length > SEGMENT_MAX || segment_count == 0 {
            return Err(BadShape);
        }
        let all = segment_count
            .checked_add(2)
            .and_then(|count| count.checked_mul(segment_length))
            .ok_or(BadShape)?;
        let first_span = segment_count * segment_length;
        let bytes = usize::try_from(all).map_err(|_| BadShape)?;
        Ok((Self { seed: head.seed.get(), first, segment_length, first_span }, bytes))
    }

    /// `false` only for a hash that the shard does not hold.
    #[inline]
    pub fn may_contain(&self, fingerprints: &[u8], hash: u64) -> bool {
        if self.first_span == 0 {
            return true;
        }
        let mixed = mix(hash.wrapping_add(self.seed));
        let mask = self.segment_length - 1;
        let in_first = low((u128::from(mixed) * u128::from(self.first_span)) >> 64);
        let in_second = (in_first + self.segment_length) ^ (low((mixed >> 18).into()) & mask);
        let in_third = (in_first + 2 * self.segment_length) ^ (low(mixed.into()) & mask);
        let at = |offset: u32| fingerprints.get(self.first + offset as usize).copied().unwrap_or(0);
        let [fingerprint, ..] = (mixed ^ (mixed >> 32)).to_le_bytes();
        fingerprint == at(in_first) ^ at(in_second) ^ at(in_third)
    }
}

/// Murmur3's finaliser, as `xorf` mixes keys.
#[inline]
fn mix(mut word: u64) -> u64 {
    word ^= word >> 33;
    word = word.wrapping_mul(0xff51_afd7_ed55_8ccd);
    word ^= word >> 33;
    word = word.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low end is what is wanted")]
fn low(word: u128) -> u32 {
    word as u32
}
