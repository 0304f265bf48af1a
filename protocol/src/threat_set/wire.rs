//! A set on the wire: whole ([`full`]) or as the change from another one ([`delta`]), and back into a set file.
//!
//! In: sets. Out: bytes, and from them ([`apply_full`], [`apply_delta`]) the very same set file, byte for byte: its digest
//! is compared with the announced one before the file takes its place. Whatever the bytes say, nothing panics, and memory
//! is bounded by one shard, the exceptions and the feeds.
//!
//! # Form
//!
//! A head of fixed size (what it is, which set it leads to and from which, the deployment's key, counts, a SHA-256 over
//! all that follows the checksum), then frames, each behind its length (4 bytes, little-endian). A column is a frame that
//! holds one byte of each value, packed with zstd:
//!
//! | part | frames | in |
//! | --- | --- | --- |
//! | feeds, as in the set file | JSON | both |
//! | the base's feeds by their new numbers, `ffff` for one that is gone | 2 columns | delta |
//! | hashes that come in, each as its distance from the one before | 8 columns | both |
//! | of each, how many marks beyond the first | 2 columns | both |
//! | marks: scope, feed | 3 columns | both |
//! | ranks of the base's hashes that go, as distances | 4 columns | delta |
//! | ranks of the base's hashes that get other marks, these marks | 8 + 2 + 3 columns | delta |
//!
//! In each part the listed hashes come first, the exceptions follow and count from 0 again. What a base's mark becomes by
//! the new numbers of the feeds is not said again; a hash that is left without a mark goes.

// Why bytes become no set, and a set no bytes.
mod refusal;

// The fixed bytes in front.
mod head;

// Values of some bytes <-> packed columns.
mod columns;

// Hashes with their marks <-> columns.
mod entries;

// Ranks of a base's hashes <-> columns.
mod ranks;

// The table of feeds, and how numbers change from one to another.
mod feeds;

// Entries that may be anything -> a set file that is sound.
mod target;

// The whole set, out and in.
mod full;

// Two sets -> what changes.
mod difference;

// A set and what changes -> the other set.
mod patch;

use super::layout::FEEDS_MAX;
use super::walk::Table;
use super::{SetId, SetKey};

pub use difference::delta;
pub use full::{apply_full, full};
pub use patch::apply_delta;
pub use refusal::{ApplyError, EncodeError};

/// Hashes of a set that travel, and of each part of a delta.
pub const HASHES_MAX: u64 = 1 << 26;
/// Exceptions of a set that travel: they are one shard, which is held in memory.
pub const EXCEPTIONS_MAX: u64 = 1 << 23;
/// Marks of a set that travel.
pub const MARKS_MAX: u64 = 1 << 27;
/// Bytes of the feeds' JSON: about a thousand for each of as many feeds as a set can have.
const FEED_BYTES_MAX: u64 = 1024 * FEEDS_MAX as u64;

/// What some bytes announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// The set that they lead to.
    pub id: SetId,
    /// The key of its hashes.
    pub key: SetKey,
    /// From where.
    pub kind: Kind,
}

/// From where bytes lead to a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From nothing: the whole set.
    Full,
    /// From another set.
    Delta {
        /// The set that must be at hand.
        base: SetId,
    },
}

/// Reads what bytes announce, once they have passed their checksum.
pub fn announced(bytes: &[u8]) -> Result<Announced, ApplyError> {
    let (head, _) = head::Head::read(bytes)?;
    Ok(Announced { id: head.id(), key: head.key(), kind: head.kind()? })
}

/// The tables in the order in which they travel.
const TABLES: [Table; 2] = [Table::Listed, Table::Exceptions];

/// How many hashes of a table may travel.
fn most(table: Table) -> u64 {
    match table {
        Table::Listed => HASHES_MAX,
        Table::Exceptions => EXCEPTIONS_MAX,
    }
}

#[cfg(test)]
mod tests;
