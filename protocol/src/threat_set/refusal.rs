//! Why a set file is refused: each reason with the figures that show it.

use std::io;

/// Why a file is not a threat set that can be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read, or there is no memory for it.
    #[error("cannot read the threat set: {0}")]
    Io(#[from] io::Error),
    /// Another kind of file.
    #[error("not a threat set: it begins with {found:02x?}")]
    Magic {
        /// Its first bytes.
        found: [u8; 8],
    },
    /// Written by another version of this program.
    #[error("threat set of layout {found}, this program reads {supported}")]
    Version {
        /// In the file.
        found: u32,
        /// In this program.
        supported: u32,
    },
    /// The file was cut off, or something was appended.
    #[error("threat set of {found} bytes that says it has {expected}")]
    Length {
        /// As the header says.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// The header's counts contradict each other or the file's length.
    #[error("threat set's header gives {what} as {found}, which cannot be")]
    Count {
        /// Which count.
        what: &'static str,
        /// Its value.
        found: u64,
    },
    /// A shard contradicts its head or the header.
    #[error("threat set's shard {shard} is damaged: {fault}")]
    Shard {
        /// Which.
        shard: usize,
        /// In which way.
        fault: ShardFault,
    },
    /// A value names a feed that the set does not have.
    #[error("threat set names feed {feed}, it has {feeds}")]
    Feed {
        /// Number of the feed.
        feed: u16,
        /// Feeds in the set.
        feeds: usize,
    },
    /// The table of feeds cannot be read.
    #[error("threat set's table of feeds cannot be read: {0}")]
    Feeds(#[source] serde_json::Error),
    /// The content is not what was written.
    #[error("threat set's digest is {}, its header says {}", hex(found), hex(expected))]
    Digest {
        /// As the header says.
        expected: [u8; 32],
        /// Of the content.
        found: [u8; 32],
    },
}

/// What is wrong with a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardFault {
    /// More than the header leaves for it.
    #[error("{found} {what}, at most {left} are left")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// In the head.
        found: u64,
        /// Possible.
        left: u64,
    },
    /// No filter has such a shape.
    #[error("filter of {segment_count} segments of {segment_length}")]
    Filter {
        /// Bytes of a segment.
        segment_length: u32,
        /// Segments.
        segment_count: u32,
    },
    /// Hashes are ascending and of the shard's top bits.
    #[error("hash {position} is out of order")]
    Order {
        /// Which hash of the shard.
        position: usize,
    },
    /// A value, or an overflow word, that no entry has.
    #[error("value {position} is {bits:#018x}")]
    Value {
        /// Which word, overflow words counted after the values.
        position: u64,
        /// Its bits.
        bits: u64,
    },
}

pub(super) fn hex(digest: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
