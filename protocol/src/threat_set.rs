//! The threat set: the entries of all feeds as one immutable, numbered, digest-named table of hashes.
//!
//! In: entries of feeds ([`Builder`]). Out: a file, and from it a [`ThreatSet`] that answers whether a name is listed,
//! by which entry and by which feeds. It never holds a name: only hashes under the deployment's key.
//!
//! # File
//!
//! All integers are little-endian. Nothing is aligned. The digest is SHA-256 over everything behind the header, then
//! the header up to the digest: a file is written in one pass.
//!
//! | part | size | what |
//! | --- | --- | --- |
//! | header | 120 | magic, version, epoch, number, key, counts, digest |
//! | `2^shard_bits` shards | | the listed hashes whose top bits are the shard's number |
//! | exceptions | | one more shard without a filter: what `@@`, passthru and the allow list take out |
//! | feeds | | JSON: a list of [`FeedInfo`], `null` where a refused feed stood |
//!
//! A shard is a head of 24 bytes (hashes, overflow words, filter shape and seed), the sorted hashes (8 bytes each), a
//! binary fuse filter of 8 bits over them, one value for each hash (8 bytes) and overflow words (8 bytes each). A value
//! is a listing (feed, scope, line), or, where several feeds or scopes share a hash, points to a run of listings among
//! the shard's overflow words. Exact entries stand under [`NameHasher::exact`], all others under the name's own hash.
//!
//! Hashes and filters are resident (8 + 1.2 bytes a name), values stay in the file and are read when a name hits.

// Name -> 64-bit hashes under a key.
mod name_hash;

// The bytes of the file: header, shard head, value.
mod layout;

// One shard's filter: built, asked.
mod filter;

// Entries of a feed that do not fit in memory wait in an unlinked file.
mod spill;

// Feeds and entries -> a set.
mod build;

// Sorted shards -> file, digest.
mod write;

// A file comes into its place whole or not at all.
mod place;

// File -> set; refuses whatever is not sound.
mod open;

// Why a file is refused.
mod refusal;

// Set x name -> who lists it.
mod find;

// Set -> every entry, in order.
mod walk;

// Set -> bytes for the network, whole or as the change from another set; and back into a file.
pub mod wire;

use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

pub use build::{BuildError, Builder};
pub use find::{Listed, Listing};
pub use name_hash::NameHasher;
pub use refusal::{OpenError, ShardFault};

use filter::Filter;
use open::Tables;

/// What the pipeline reads: the set in use, swapped by one atomic pointer.
pub type Current = arc_swap::ArcSwap<ThreatSet>;

/// The deployment's hash key: 128 secret bits, the same for the controller and all agents.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SetKey(pub [u8; 16]);

/// Which set: epoch and number order the sets of a deployment, the digest names the content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId {
    /// Grows when key or history are new.
    pub epoch: u64,
    /// Grows with every set of an epoch, never used twice.
    pub number: u64,
    /// SHA-256 of the file's content; zero for [`ThreatSet::empty`].
    pub digest: [u8; 32],
}

/// A feed's number within one set (or one [`Builder`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeedId(u16);

/// What an alert says of a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedInfo {
    /// Name of the feed.
    pub name: Arc<str>,
    /// The operator's words on it; may be empty.
    pub description: Arc<str>,
    /// 1 to 100.
    pub severity: u8,
    /// MITRE ATT&CK technique ids.
    pub techniques: Arc<[String]>,
}

/// Where a hash stands in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntryIndex {
    shard: u16,
    position: u32,
}

/// An immutable set of listed names. Cheap to share, safe to read from any thread.
#[derive(Debug)]
pub struct ThreatSet {
    id: SetId,
    key: SetKey,
    hasher: NameHasher,
    /// `2^shard_bits` of them; none in an empty set.
    listed: Vec<Shard>,
    /// Of each listed shard.
    filters: Vec<Filter>,
    exceptions: Shard,
    /// Bits to shift a hash by, after a first one, for its shard's number.
    shard_shift: u32,
    tables: Tables,
    feeds: Vec<Option<Arc<FeedInfo>>>,
    /// `None` only where no hash is held.
    file: Option<File>,
    unreadable: AtomicU64,
    instance: u64,
}

#[derive(Debug, Default)]
struct Shard {
    /// First hash, counted over all shards.
    first: usize,
    count: usize,
    /// Where the shard's values begin in the file.
    values_at: u64,
}

impl SetKey {
    /// A new key from the kernel's random numbers.
    pub fn random() -> std::io::Result<Self> {
        let mut key = [0; 16];
        let mut filled = 0;
        while let Some(rest) = key.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
        }
        Ok(Self(key))
    }
}

/// Hides the key: debug output ends up in logs.
impl fmt::Debug for SetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetKey(..)")
    }
}

/// `epoch.number-` and the digest's first 12 hexadecimal digits.
impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}-", self.epoch, self.number)?;
        self.digest.iter().take(6).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl ThreatSet {
    /// A set that lists nothing, for an agent without feeds.
    pub fn empty(key: SetKey) -> Self {
        Self {
            id: SetId::default(),
            key,
            hasher: NameHasher::new(key),
            listed: Vec::new(),
            filters: Vec::new(),
            exceptions: Shard::default(),
            shard_shift: 63,
            tables: Tables::default(),
            feeds: Vec::new(),
            file: None,
            unreadable: AtomicU64::new(0),
            instance: next_instance(),
        }
    }

    /// Epoch, number and digest.
    pub fn id(&self) -> SetId {
        self.id
    }

    /// The key that its names are hashed under.
    pub fn key(&self) -> SetKey {
        self.key
    }

    /// A number that no other set of this process has or had: what was derived from one set is not taken for another's.
    #[inline]
    pub fn instance(&self) -> u64 {
        self.instance
    }

    /// Names listed. A name listed both exactly and with its subdomains counts twice; exceptions do not count.
    pub fn len(&self) -> usize {
        self.listed.iter().map(|shard| shard.count).sum()
    }

    /// Shards of the listed hashes, as a power of two.
    fn shard_bits(&self) -> u32 {
        63 - self.shard_shift
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that stay resident while the set is in use.
    pub fn resident_bytes(&self) -> usize {
        let shards = size_of_val(self.listed.as_slice()) + size_of_val(self.filters.as_slice());
        self.tables.bytes() + shards
    }

    /// The hash function under the set's key.
    #[inline]
    pub fn hasher(&self) -> NameHasher {
        self.hasher
    }

    /// What is known of a feed; `None` for a number that is not of this set, or of a feed that was retracted.
    pub fn feed(&self, id: FeedId) -> Option<&Arc<FeedInfo>> {
        self.feeds.get(usize::from(id.0))?.as_ref()
    }

    /// All feeds of the set.
    pub fn feeds(&self) -> impl Iterator<Item = &Arc<FeedInfo>> {
        self.feeds.iter().flatten()
    }

    /// Values that could not be read from the file (the disk failed): names that should have been found.
    pub fn unreadable(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    /// Whether a hash is listed. Costs one filter look-up for a hash that is not.
    #[inline]
    pub fn probe(&self, hash: u64) -> Option<EntryIndex> {
        // In two steps, for one shard is a shift by 64.
        let number = (hash >> 1 >> self.shard_shift) as usize;
        if !self.filters.get(number)?.may_contain(self.tables.filters(), hash) {
            return None;
        }
        self.search(number, self.listed.get(number)?, hash)
    }

    #[cold]
    fn search(&self, number: usize, shard: &Shard, hash: u64) -> Option<EntryIndex> {
        let hashes = self.tables.hashes().get(shard.first..shard.first + shard.count)?;
        let position = hashes.binary_search_by_key(&hash, |stored| stored.get()).ok()?;
        Some(EntryIndex { shard: u16::try_from(number).ok()?, position: u32::try_from(position).ok()? })
    }
}

fn next_instance() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

#[cfg(test)]
mod tests;
