//! The fixed bytes in front: what it is, which set it leads to, from which, how much follows.

use sha2::{Digest as _, Sha256};
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, FromZeros as _, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::super::layout::{SHARD_BITS_MAX, VERSION};
use super::super::{SetId, SetKey, ThreatSet};
use super::refusal::ApplyError;
use super::{Kind, TABLES, most};

const MAGIC: [u8; 8] = *b"NWSETPUB";
/// Bumped with every change of the published form; a change of the set file changes its own version.
const WIRE_VERSION: u32 = 1;
const FULL: u32 = 1;
const DELTA: u32 = 2;

/// The first bytes. Everything behind `checksum` is under it.
#[repr(C)]
#[derive(Clone, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
pub struct Head {
    magic: [u8; 8],
    wire_version: U32,
    file_version: U32,
    /// SHA-256 over everything that follows.
    checksum: [u8; 32],
    kind: U32,
    pub shard_bits: U32,
    id: Id,
    key: [u8; 16],
    /// Zeros in a full set.
    base: Id,
    /// Hashes that come in, in each table.
    pub added: [U64; 2],
    /// Hashes of the base that go, beyond those that go with their last feed.
    pub removed: [U64; 2],
    /// Hashes of the base that get other marks.
    pub changed: [U64; 2],
}

#[repr(C)]
#[derive(Clone, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
struct Id {
    epoch: U64,
    number: U64,
    digest: [u8; 32],
}

/// Bytes that the checksum does not cover: itself and what stands before it.
const UNCHECKED: usize = 48;

impl Head {
    /// The head of what leads to `set`; counts and checksum are filled in when they are known.
    pub fn new(set: &ThreatSet, base: Option<SetId>) -> Self {
        let mut head = Self::new_zeroed();
        head.magic = MAGIC;
        head.wire_version = WIRE_VERSION.into();
        head.file_version = VERSION.into();
        head.kind = if base.is_some() { DELTA } else { FULL }.into();
        head.shard_bits = set.shard_bits().into();
        head.id = set.id().into();
        head.key = set.key().0;
        head.base = base.unwrap_or_default().into();
        head
    }

    /// Room for a head, for the body to be appended to.
    pub fn room() -> Vec<u8> {
        vec![0; size_of::<Self>()]
    }

    /// Puts the head, checksum included, into the room that was left for it.
    pub fn seal(mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let body = bytes.get(size_of::<Self>()..).unwrap_or_default();
        let under = self.as_bytes().get(UNCHECKED..).unwrap_or_default();
        self.checksum = Sha256::new().chain_update(under).chain_update(body).finalize().into();
        if let Some(room) = bytes.get_mut(..size_of::<Self>()) {
            room.copy_from_slice(self.as_bytes());
        }
        bytes
    }

    /// Checks everything that can be checked without the body's meaning, and parts head and body.
    pub fn read(bytes: &[u8]) -> Result<(Self, &[u8]), ApplyError> {
        let (head, body) =
            Self::read_from_prefix(bytes).map_err(|_| ApplyError::Damaged("it ends within its head"))?;
        if head.magic != MAGIC {
            return Err(ApplyError::Magic { found: head.magic });
        }
        let (found, supported) =
            ((head.wire_version.get(), head.file_version.get()), (WIRE_VERSION, VERSION));
        if found != supported {
            return Err(ApplyError::Version { found, supported });
        }
        let found: [u8; 32] = Sha256::digest(bytes.get(UNCHECKED..).unwrap_or_default()).into();
        if found != head.checksum {
            return Err(ApplyError::Checksum { expected: head.checksum, found });
        }
        let counts = [head.added, head.removed, head.changed].into_iter().flat_map(|counts| {
            TABLES
                .into_iter()
                .zip(counts)
                .map(|(table, count)| ("a number of hashes", count.get(), most(table)))
        });
        let mut limits =
            counts.chain([("the shards' bits", head.shard_bits.get().into(), SHARD_BITS_MAX.into())]);
        match limits.find(|(_, found, most)| found > most) {
            Some((what, found, most)) => Err(ApplyError::Count { what, found, most }),
            None => Ok((head, body)),
        }
    }

    pub fn kind(&self) -> Result<Kind, ApplyError> {
        match self.kind.get() {
            FULL => Ok(Kind::Full),
            DELTA => Ok(Kind::Delta { base: (&self.base).into() }),
            _ => Err(ApplyError::Kind { expected: "a full set or a delta" }),
        }
    }

    pub fn id(&self) -> SetId {
        (&self.id).into()
    }

    pub fn key(&self) -> SetKey {
        SetKey(self.key)
    }
}

impl From<SetId> for Id {
    fn from(id: SetId) -> Self {
        Self { epoch: id.epoch.into(), number: id.number.into(), digest: id.digest }
    }
}

impl From<&Id> for SetId {
    fn from(id: &Id) -> Self {
        Self { epoch: id.epoch.get(), number: id.number.get(), digest: id.digest }
    }
}
