//! Texts as 64-bit numbers: what they are looked for by. Two texts may have one number, so the text itself is always looked at.

use sha2::{Digest as _, Sha256};

/// Of a document's `_id`.
pub fn id(id: &str) -> i64 {
    shortened(Sha256::new_with_prefix(id))
}

/// Of an alert group; never 0.
pub fn group(cluster: &str, group: &str) -> i64 {
    let length = u64::try_from(cluster.len()).unwrap_or(u64::MAX).to_le_bytes();
    match shortened(Sha256::new_with_prefix(length).chain_update(cluster).chain_update(group)) {
        0 => 1,
        hash => hash,
    }
}

/// Nobody who chooses texts makes many of them meet: a cryptographic digest is what keeps that away.
fn shortened(digest: Sha256) -> i64 {
    let digest = digest.finalize();
    i64::from_le_bytes(digest.first_chunk().copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files hold them.
    #[test]
    fn hashes_stay_what_they_are() {
        assert_eq!(id(""), i64::from_le_bytes([0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14]));
        assert_ne!(group("a", "bc"), group("ab", "c"));
    }
}
