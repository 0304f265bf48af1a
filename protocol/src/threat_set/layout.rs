//! The bytes of a set file: header, shard head, value. Any bytes decode to a value or to nothing; none can panic.

use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::FeedId;
use crate::entry::Scope;

/// First bytes of every set file.
pub const MAGIC: [u8; 8] = *b"NWTHREAT";

/// Bumped with every change of the layout or of the hash function.
pub const VERSION: u32 = 1;

/// At most 256 shards: the shard's number is the hash's top byte or less of it.
pub const SHARD_BITS_MAX: u32 = 8;

/// Feeds in a set: the runs of one hash (two scopes a feed) must fit in 16 bits.
pub const FEEDS_MAX: u16 = 32_000;

/// The file's first 120 bytes.
#[repr(C)]
#[derive(Clone, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Header {
    pub magic: [u8; 8],
    pub version: U32,
    pub shard_bits: U32,
    pub epoch: U64,
    pub number: U64,
    pub key: [u8; 16],
    /// Hashes of all shards, exceptions included.
    pub hashes: U64,
    /// Of them, exceptions.
    pub exceptions: U64,
    /// Filter bytes of all shards.
    pub filter_bytes: U64,
    /// Length of the feeds' JSON.
    pub feed_bytes: U64,
    /// Length of the whole file.
    pub file_bytes: U64,
    /// SHA-256 over the rest of the file, then the header up to here.
    pub digest: [u8; 32],
}

/// Bytes of the header that the digest covers.
pub const HEADER_DIGESTED: usize = size_of::<Header>() - 32;

/// What opens each shard.
#[repr(C)]
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct ShardHead {
    pub count: U32,
    /// Words that follow the values.
    pub overflow: U32,
    /// Filter shape (see `filter`); both 0 where the shard has none.
    pub segment_length: U32,
    pub segment_count: U32,
    pub seed: U64,
}

const _: () = assert!(size_of::<Header>() == 120);
const _: () = assert!(size_of::<ShardHead>() == 24);

/// Who lists a hash: feed, scope and line in 51 bits.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable)]
pub struct Mark(u64);

/// Stands for the operator's allow list where a feed's number would stand.
pub const ALLOW_LIST: u16 = u16::MAX;

/// A value of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// The only listing of its hash.
    One(Mark),
    /// A run of listings among the shard's overflow words.
    Run { first: u32, count: u16 },
}

const RUN: u64 = 1 << 63;
const SCOPE_AT: u32 = 48;
const FEED_AT: u32 = 32;

impl Mark {
    /// Feed in the higher bits, so that marks sort by feed, then scope, then line.
    pub fn new(feed: u16, scope: Scope, line: u32) -> Self {
        let scope = match scope {
            Scope::Exact => 0,
            Scope::Subdomains => 1,
            Scope::Both => 2,
        };
        Self((scope << SCOPE_AT) | (u64::from(feed) << FEED_AT) | u64::from(line))
    }

    /// `None` for bits that no mark has.
    pub fn from_bits(bits: u64) -> Option<Self> {
        (bits >> SCOPE_AT <= 2).then_some(Self(bits))
    }

    pub fn bits(self) -> u64 {
        self.0
    }

    pub fn feed(self) -> FeedId {
        FeedId(u16::try_from((self.0 >> FEED_AT) & 0xffff).unwrap_or(ALLOW_LIST))
    }

    pub fn line(self) -> u32 {
        u32::try_from(self.0 & 0xffff_ffff).unwrap_or(0)
    }

    pub fn scope(self) -> Scope {
        match self.0 >> SCOPE_AT {
            0 => Scope::Exact,
            1 => Scope::Subdomains,
            _ => Scope::Both,
        }
    }

    /// Feed and scope: two marks of one hash that agree here say the same, wherever they stood in the source.
    pub fn meaning(self) -> u64 {
        self.0 >> FEED_AT
    }
}

impl Value {
    pub fn from_bits(bits: u64) -> Option<Self> {
        if bits & RUN == 0 {
            return Mark::from_bits(bits).map(Self::One);
        }
        let first = u32::try_from(bits & 0xffff_ffff).ok()?;
        let count = u16::try_from((bits & !RUN) >> FEED_AT).ok()?;
        (count > 1).then_some(Self::Run { first, count })
    }

    pub fn bits(self) -> u64 {
        match self {
            Self::One(mark) => mark.bits(),
            Self::Run { first, count } => RUN | (u64::from(count) << FEED_AT) | u64::from(first),
        }
    }
}

/// An entry on its way into the set. In the spill it has this machine's byte order: nobody else reads it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable)]
pub struct Pending {
    pub hash: u64,
    pub mark: Mark,
}
