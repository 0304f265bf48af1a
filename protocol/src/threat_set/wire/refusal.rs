//! Why bytes from the network become no set, and why a set is not put into bytes.

use std::io;

use super::super::build::BuildError;
use super::super::{SetId, refusal::hex};

/// Why a set cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The set was compiled with line numbers.
    #[error("the set holds line numbers: build what is to be published with `Builder::without_lines`")]
    Lines,
    /// The set never was a file, so no file can be made equal to it.
    #[error("the set has no file: build or open one")]
    NoFile,
    /// A delta between sets of two keys would be larger than the set.
    #[error("the sets have different hash keys: publish the new one whole")]
    OtherKey,
    /// More than a reader takes.
    #[error("{found} {what}, at most {most} travel")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: u64,
        /// Possible.
        most: u64,
    },
    /// The set's file cannot be read.
    #[error("cannot read the threat set: {0}")]
    Read(#[source] io::Error),
    /// The packer failed: there is no memory.
    #[error("cannot pack the threat set: {0}")]
    Pack(#[source] io::Error),
}

/// Why bytes from the network are refused. The set in use stays; where a delta was refused, ask for the full set.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Something else altogether.
    #[error("not a published threat set: it begins with {found:02x?}")]
    Magic {
        /// Its first bytes.
        found: [u8; 8],
    },
    /// Written by another version of this program.
    #[error(
        "published threat set of version {found:?}, this program reads {supported:?}: update the older of the two"
    )]
    Version {
        /// Of the published form and of the set file.
        found: (u32, u32),
        /// In this program.
        supported: (u32, u32),
    },
    /// Bytes were changed, lost or added on the way.
    #[error(
        "published threat set was damaged on its way: its checksum is {}, it says {}",
        hex(found),
        hex(expected)
    )]
    Checksum {
        /// As the bytes say.
        expected: [u8; 32],
        /// As it is.
        found: [u8; 32],
    },
    /// A full set where a delta was expected, or the other way round.
    #[error("published threat set of another kind: expected {expected}")]
    Kind {
        /// What was expected.
        expected: &'static str,
    },
    /// A count that no set has.
    #[error("published threat set gives {what} as {found}, at most {most} can be")]
    Count {
        /// Which count.
        what: &'static str,
        /// Its value.
        found: u64,
        /// Possible.
        most: u64,
    },
    /// A part contradicts the counts or the other parts.
    #[error("published threat set is not sound: {0}")]
    Damaged(&'static str),
    /// The table of feeds cannot be read.
    #[error("published threat set's table of feeds cannot be read: {0}")]
    Feeds(#[source] serde_json::Error),
    /// The delta is about another set.
    #[error("the delta is for {expected}, the set here is {found}")]
    Base {
        /// The base that the delta names.
        expected: SetId,
        /// The set at hand.
        found: SetId,
    },
    /// The set at hand cannot be read.
    #[error("cannot read the threat set that the delta is for: {0}")]
    ReadBase(#[source] io::Error),
    /// What was made is not what was announced.
    #[error("the set made has digest {}, {} was announced", hex(found), hex(expected))]
    Digest {
        /// As announced.
        expected: [u8; 32],
        /// Of the file made.
        found: [u8; 32],
    },
    /// The set file could not be written.
    #[error(transparent)]
    Write(#[from] BuildError),
}
