//! Reads a set file into memory, or refuses it.
//!
//! Whatever the file says, what comes out is safe to ask: every count, bound, order and filter shape is checked on the
//! way, and nothing is allocated that the file's own length does not cover. Values are checked here and stay in the
//! file; they are checked again when they are read (`find`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use memmap2::{Mmap, MmapMut};
use sha2::{Digest as _, Sha256};
use zerocopy::little_endian::U64;
use zerocopy::{FromBytes as _, FromZeros as _, IntoBytes as _};

use super::filter::Filter;
use super::layout::{
    ALLOW_LIST, FEEDS_MAX, HEADER_DIGESTED, Header, MAGIC, Mark, SHARD_BITS_MAX, ShardHead, VERSION, Value,
};
use super::refusal::{OpenError, ShardFault};
use super::{FeedInfo, NameHasher, SetId, SetKey, Shard, ThreatSet, next_instance};

/// Hashes and fingerprints of all shards, in memory of their own that goes back at once when the set goes.
#[derive(Debug, Default)]
pub struct Tables {
    hashes: Option<Mmap>,
    filters: Option<Mmap>,
}

impl Tables {
    pub fn hashes(&self) -> &[U64] {
        let bytes = self.hashes.as_deref().unwrap_or_default();
        <[U64]>::ref_from_bytes(bytes).unwrap_or_default()
    }

    #[inline]
    pub fn filters(&self) -> &[u8] {
        match &self.filters {
            Some(map) => map,
            None => &[],
        }
    }

    pub fn bytes(&self) -> usize {
        self.hashes.as_deref().map_or(0, <[u8]>::len) + self.filters().len()
    }
}

impl ThreatSet {
    /// Reads a set from its file, which must not be changed in place afterwards (written anew under its name it may be).
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::from_file(File::open(path)?)
    }

    /// Reads a set from an open file, from its beginning.
    pub fn from_file(file: File) -> Result<Self, OpenError> {
        let header = read_header(&file)?;
        let mut reader = Reader::new(&file, &header)?;
        for number in 0..=1usize << header.shard_bits.get() {
            reader.shard(number).map_err(|fault| fault.at(number))?;
        }
        let filters = std::mem::take(&mut reader.shard_filters);
        let (tables, mut listed, feeds) = reader.finish()?;
        let exceptions = listed.pop().unwrap_or_default();
        Ok(Self {
            id: SetId { epoch: header.epoch.get(), number: header.number.get(), digest: header.digest },
            key: SetKey(header.key),
            hasher: NameHasher::new(SetKey(header.key)),
            listed,
            filters,
            exceptions,
            shard_shift: 63 - header.shard_bits.get(),
            tables,
            feeds,
            file: Some(file),
            unreadable: AtomicU64::new(0),
            instance: next_instance(),
        })
    }
}

fn read_header(file: &File) -> Result<Header, OpenError> {
    let found = file.metadata()?.len();
    let mut header = Header::new_zeroed();
    if found < size_of::<Header>() as u64 {
        return Err(OpenError::Length { expected: size_of::<Header>() as u64, found });
    }
    file.read_exact_at(header.as_mut_bytes(), 0)?;
    if header.magic != MAGIC {
        return Err(OpenError::Magic { found: header.magic });
    }
    if header.version.get() != VERSION {
        return Err(OpenError::Version { found: header.version.get(), supported: VERSION });
    }
    if header.file_bytes.get() != found {
        return Err(OpenError::Length { expected: header.file_bytes.get(), found });
    }
    let counts = [
        ("the shards' bits", header.shard_bits.get().into(), SHARD_BITS_MAX.into()),
        ("the number of hashes", header.hashes.get(), found / 16),
        ("the number of exceptions", header.exceptions.get(), header.hashes.get()),
        ("the filter's bytes", header.filter_bytes.get(), found),
        ("the feeds' bytes", header.feed_bytes.get(), found),
    ];
    match counts.into_iter().find(|(_, count, most)| count > most) {
        Some((what, count, _)) => Err(OpenError::Count { what, found: count }),
        None => Ok(header),
    }
}

/// What stops the reading of a shard.
enum Stop {
    Io(io::Error),
    Fault(ShardFault),
}

impl Stop {
    fn at(self, shard: usize) -> OpenError {
        match self {
            Self::Io(error) => OpenError::Io(error),
            Self::Fault(fault) => OpenError::Shard { shard, fault },
        }
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<ShardFault> for Stop {
    fn from(fault: ShardFault) -> Self {
        Self::Fault(fault)
    }
}

/// One pass over a set file.
struct Reader<'a> {
    source: Source<'a>,
    header: &'a Header,
    hashes: MmapMut,
    filters: MmapMut,
    hashes_read: usize,
    filters_read: usize,
    shards: Vec<Shard>,
    shard_filters: Vec<Filter>,
    /// Largest feed number among the values.
    last_feed: Option<u16>,
}

impl<'a> Reader<'a> {
    fn new(file: &'a File, header: &'a Header) -> Result<Self, OpenError> {
        Ok(Self {
            source: Source { file, at: size_of::<Header>() as u64, digest: Sha256::new() },
            header,
            hashes: anonymous(header.hashes.get().saturating_mul(8))?,
            filters: anonymous(header.filter_bytes.get())?,
            hashes_read: 0,
            filters_read: 0,
            shards: Vec::with_capacity((1 << header.shard_bits.get()) + 1),
            shard_filters: Vec::with_capacity(1 << header.shard_bits.get()),
            last_feed: None,
        })
    }

    fn shard(&mut self, number: usize) -> Result<(), Stop> {
        let mut head = ShardHead::default();
        self.source.read(head.as_mut_bytes())?;
        let exceptions = number >> self.header.shard_bits.get() != 0;
        let (first, count) = self.shard_hashes(number, head, exceptions)?;
        let filter = self.shard_filter(head, exceptions)?;
        let values_at = self.source.at;
        self.shard_values(head, exceptions)?;
        if !exceptions {
            self.shard_filters.push(filter);
        }
        self.shards.push(Shard { first, count, values_at });
        Ok(())
    }

    fn shard_hashes(
        &mut self,
        number: usize,
        head: ShardHead,
        exceptions: bool,
    ) -> Result<(usize, usize), Stop> {
        let first = self.hashes_read;
        let count = usize::try_from(head.count.get()).unwrap_or(usize::MAX);
        let end = first.saturating_add(count).saturating_mul(8);
        let left = self.hashes.len() / 8 - first;
        let too_many =
            ShardFault::TooMany { what: "hashes", found: head.count.get().into(), left: left as u64 };
        let place = self.hashes.get_mut(first * 8..end).ok_or(too_many)?;
        self.source.read(place)?;
        let hashes = <[U64]>::ref_from_bytes(place).unwrap_or_default();
        let bits = if exceptions { 0 } else { self.header.shard_bits.get() };
        let number = if exceptions { 0 } else { number as u64 };
        let mut previous = None;
        for (position, hash) in hashes.iter().map(|hash| hash.get()).enumerate() {
            if previous.is_some_and(|previous| previous >= hash) || hash >> 1 >> (63 - bits) != number {
                return Err(ShardFault::Order { position }.into());
            }
            previous = Some(hash);
        }
        self.hashes_read += count;
        Ok((first, count))
    }

    fn shard_filter(&mut self, head: ShardHead, exceptions: bool) -> Result<Filter, Stop> {
        let (segment_length, segment_count) = (head.segment_length.get(), head.segment_count.get());
        let bad = ShardFault::Filter { segment_length, segment_count };
        let (filter, bytes) = Filter::from_head(&head, self.filters_read).map_err(|_| bad)?;
        if exceptions && bytes > 0 {
            return Err(bad.into());
        }
        let end = self.filters_read.saturating_add(bytes);
        let left = (self.filters.len() - self.filters_read) as u64;
        let too_many = ShardFault::TooMany { what: "filter bytes", found: bytes as u64, left };
        let place = self.filters.get_mut(self.filters_read..end).ok_or(too_many)?;
        self.source.read(place)?;
        self.filters_read = end;
        Ok(filter)
    }

    /// Values are checked and left where they are. Runs follow each other without a gap, so each overflow word belongs
    /// to one value.
    fn shard_values(&mut self, head: ShardHead, exceptions: bool) -> Result<(), Stop> {
        let (count, overflow) = (u64::from(head.count.get()), u64::from(head.overflow.get()));
        let mut next_run = 0;
        let mut last_feed = self.last_feed;
        let mut check = |mark: Mark| {
            let feed = mark.feed().0;
            let allow_list = exceptions && feed == ALLOW_LIST;
            if !allow_list {
                last_feed = last_feed.max(Some(feed));
            }
            allow_list || feed < FEEDS_MAX
        };
        self.source.words(count + overflow, |position, bits| {
            let sound = match Value::from_bits(bits) {
                Some(Value::One(mark)) => check(mark),
                Some(Value::Run { first, count: run })
                    if position < count && u64::from(first) == next_run =>
                {
                    next_run += u64::from(run);
                    next_run <= overflow
                }
                _ => false,
            };
            if sound { Ok(()) } else { Err(ShardFault::Value { position, bits }) }
        })?;
        self.last_feed = last_feed;
        if next_run == overflow {
            return Ok(());
        }
        Err(ShardFault::TooMany { what: "overflow words", found: overflow, left: next_run }.into())
    }

    #[expect(clippy::type_complexity, reason = "the three parts of a set, taken apart at once")]
    fn finish(mut self) -> Result<(Tables, Vec<Shard>, Vec<Option<Arc<FeedInfo>>>), OpenError> {
        let header = self.header;
        let exceptions = self.shards.last().map_or(0, |shard| shard.count as u64);
        let counts = [
            ("the number of hashes", header.hashes.get(), self.hashes_read as u64),
            ("the filter's bytes", header.filter_bytes.get(), self.filters_read as u64),
            ("the number of exceptions", header.exceptions.get(), exceptions),
            ("the feeds' bytes", header.feed_bytes.get(), header.file_bytes.get() - self.source.at),
        ];
        if let Some((what, found, _)) = counts.into_iter().find(|(_, said, is)| said != is) {
            return Err(OpenError::Count { what, found });
        }
        let mut feeds = vec![0; usize::try_from(header.feed_bytes.get()).unwrap_or(0)];
        self.source.read(&mut feeds)?;
        let found = self.source.digest(header);
        if found != header.digest {
            return Err(OpenError::Digest { expected: header.digest, found });
        }
        let feeds: Vec<Option<Arc<FeedInfo>>> = serde_json::from_slice(&feeds).map_err(OpenError::Feeds)?;
        match self.last_feed {
            Some(feed) if usize::from(feed) >= feeds.len() => {
                Err(OpenError::Feed { feed, feeds: feeds.len() })
            }
            _ => Ok((seal(self.hashes, self.filters)?, self.shards, feeds)),
        }
    }
}

/// Zeroed memory of its own; one byte where nothing is to be held, for an empty map cannot be.
fn anonymous(bytes: u64) -> io::Result<MmapMut> {
    let bytes = usize::try_from(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
    MmapMut::map_anon(bytes.max(1))
}

/// From here on the tables cannot be written, not even by mistake.
fn seal(hashes: MmapMut, filters: MmapMut) -> io::Result<Tables> {
    Ok(Tables { hashes: Some(hashes.make_read_only()?), filters: Some(filters.make_read_only()?) })
}

/// The file behind its header, digested as it is read.
struct Source<'a> {
    file: &'a File,
    at: u64,
    digest: Sha256,
}

impl Source<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(to, self.at)?;
        self.digest.update(&*to);
        self.at += to.len() as u64;
        Ok(())
    }

    /// Reads words without keeping them.
    fn words(
        &mut self,
        mut count: u64,
        mut each: impl FnMut(u64, u64) -> Result<(), ShardFault>,
    ) -> Result<(), Stop> {
        let mut block = [U64::ZERO; 1024];
        let mut position = 0;
        while count > 0 {
            let some = usize::try_from(count).unwrap_or(usize::MAX).min(block.len());
            let words = block.get_mut(..some).unwrap_or_default();
            self.read(words.as_mut_bytes())?;
            for word in words {
                each(position, word.get())?;
                position += 1;
            }
            count -= some as u64;
        }
        Ok(())
    }

    fn digest(&mut self, header: &Header) -> [u8; 32] {
        let mut digest = std::mem::take(&mut self.digest);
        digest.update(header.as_bytes().get(..HEADER_DIGESTED).unwrap_or_default());
        digest.finalize().into()
    }
}
