//! Sorted entries -> the bytes of a set file, shard by shard, digested on the way.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use zerocopy::little_endian::U64;
use zerocopy::{FromZeros as _, IntoBytes as _};

use super::build::{BuildError, Builder, PARTITIONS};
use super::layout::{
    HEADER_DIGESTED, Header, MAGIC, Mark, Pending, SHARD_BITS_MAX, ShardHead, VERSION, Value,
};
use super::{FeedId, SetId, SetKey, filter};

/// Shards are made so that they hold about this many hashes at most: building a filter takes 20 bytes for each.
const SHARD_TARGET: usize = 1 << 15;

/// Writes the whole set to an empty file.
pub fn compile(mut builder: Builder, file: &File, path: &Path) -> Result<SetId, BuildError> {
    let retracted = retracted(&builder);
    let shard_bits = shard_bits(&builder);
    let mut writer = Writer::new(file, path, shard_bits)?;
    let mut pending = Vec::new();
    let partitions_each = PARTITIONS >> shard_bits;
    for number in 0..1usize << shard_bits {
        let first = number * partitions_each;
        collect(&mut builder, first..first + partitions_each, &retracted, &mut pending)?;
        writer.push_all(&pending)?;
        writer.end_shard()?;
    }
    collect(&mut builder, PARTITIONS..PARTITIONS + 1, &retracted, &mut pending)?;
    writer.push_all(&pending)?;
    writer.end_shard()?;
    writer.finish(builder.key, builder.epoch, builder.number, &builder.feeds)
}

/// Entries of some partitions, sorted, each meaning once.
fn collect(
    builder: &mut Builder,
    partitions: std::ops::Range<usize>,
    retracted: &HashSet<FeedId>,
    pending: &mut Vec<Pending>,
) -> Result<(), BuildError> {
    pending.clear();
    pending.reserve_exact(partitions.clone().map(|one| builder.entries.count(one)).sum());
    for partition in partitions {
        builder.entries.take(partition, pending).map_err(BuildError::Spill)?;
    }
    pending.retain(|pending| !retracted.contains(&pending.mark.feed()));
    pending.sort_unstable();
    // Sorted by line last: the first of equal meaning has the first line.
    pending.dedup_by_key(|pending| (pending.hash, pending.mark.meaning()));
    Ok(())
}

fn retracted(builder: &Builder) -> HashSet<FeedId> {
    let numbered = (0..).map(FeedId).zip(&builder.feeds);
    numbered.filter_map(|(id, info)| info.is_none().then_some(id)).collect()
}

fn shard_bits(builder: &Builder) -> u32 {
    let total: usize = (0..PARTITIONS).map(|partition| builder.entries.count(partition)).sum();
    (0..SHARD_BITS_MAX).find(|bits| total >> bits <= SHARD_TARGET).unwrap_or(SHARD_BITS_MAX)
}

/// A set file in the making: shards in their order, the exceptions as the last one, then the feeds.
pub struct Writer<'a> {
    output: Output<'a>,
    header: Header,
    /// Number of the shard in the making.
    number: usize,
    /// Its hashes, values and overflow words; their memory serves the next.
    hashes: Vec<u64>,
    values: Vec<u64>,
    overflow: Vec<u64>,
}

impl<'a> Writer<'a> {
    /// Begins an empty file; `path` is for errors.
    pub fn new(file: &'a File, path: &'a Path, shard_bits: u32) -> Result<Self, BuildError> {
        let mut output = Output::new(file, path);
        output.raw(Header::new_zeroed().as_bytes())?;
        let mut header = Header::new_zeroed();
        header.magic = MAGIC;
        header.version = VERSION.into();
        header.shard_bits = shard_bits.into();
        let (hashes, values, overflow) = Default::default();
        Ok(Self { output, header, number: 0, hashes, values, overflow })
    }

    /// Number of the shard that takes the next hash.
    pub fn shard(&self) -> usize {
        self.number
    }

    /// Hashes and overflow words of the shard in the making.
    pub fn filled(&self) -> (usize, usize) {
        (self.hashes.len(), self.overflow.len())
    }

    /// The last hash of the shard in the making.
    pub fn last(&self) -> Option<u64> {
        self.hashes.last().copied()
    }

    /// Adds a hash with its marks; both must come in ascending order and belong to the shard in the making.
    pub fn push(&mut self, hash: u64, marks: impl ExactSizeIterator<Item = Mark>) -> Result<(), BuildError> {
        let mut marks = marks;
        let value = match u16::try_from(marks.len()) {
            Ok(0) => return Ok(()),
            Ok(1) => marks.next().map(Value::One),
            Ok(count) => Some(Value::Run { first: fit("overflow words", self.overflow.len())?, count }),
            Err(_) => return Err(BuildError::TooLarge { what: "listings of one name", count: marks.len() }),
        };
        let Some(value) = value else { return Ok(()) };
        self.overflow.extend(marks.map(Mark::bits));
        self.hashes.push(hash);
        self.values.push(value.bits());
        Ok(())
    }

    /// Sorted entries -> distinct hashes and their marks.
    fn push_all(&mut self, pending: &[Pending]) -> Result<(), BuildError> {
        for run in pending.chunk_by(|one, next| one.hash == next.hash) {
            let Some(first) = run.first() else { continue };
            self.push(first.hash, run.iter().map(|pending| pending.mark))?;
        }
        Ok(())
    }

    /// Writes the shard in the making and begins the next; behind the listed shards the exceptions are one more.
    pub fn end_shard(&mut self) -> Result<(), BuildError> {
        let mut head = ShardHead {
            count: fit("hashes of one shard", self.hashes.len())?.into(),
            overflow: fit("overflow words", self.overflow.len())?.into(),
            ..ShardHead::default()
        };
        let listed = self.number >> self.header.shard_bits.get() == 0;
        let fingerprints = if listed { filter::build(&self.hashes, &mut head) } else { Box::default() };
        self.header.hashes += self.hashes.len() as u64;
        if !listed {
            self.header.exceptions += self.hashes.len() as u64;
        }
        self.header.filter_bytes += fingerprints.len() as u64;
        self.output.put(head.as_bytes())?;
        self.output.words(&self.hashes)?;
        self.output.put(&fingerprints)?;
        self.output.words(&self.values)?;
        self.output.words(&self.overflow)?;
        self.hashes.clear();
        self.values.clear();
        self.overflow.clear();
        self.number += 1;
        Ok(())
    }

    /// Writes the feeds and the header.
    pub fn finish<F: Serialize>(
        mut self,
        key: SetKey,
        epoch: u64,
        number: u64,
        feeds: &[Option<F>],
    ) -> Result<SetId, BuildError> {
        let feeds = serde_json::to_vec(feeds).map_err(|error| self.output.failed(error.into()))?;
        self.output.put(&feeds)?;
        self.header.epoch = epoch.into();
        self.header.number = number.into();
        self.header.key = key.0;
        self.header.feed_bytes = (feeds.len() as u64).into();
        self.output.finish(self.header)
    }
}

fn fit(what: &'static str, count: usize) -> Result<u32, BuildError> {
    u32::try_from(count).map_err(|_| BuildError::TooLarge { what, count })
}

/// The file, its digest and its length so far.
struct Output<'a> {
    file: &'a File,
    path: &'a Path,
    buffer: BufWriter<&'a File>,
    digest: Sha256,
    bytes: u64,
}

impl<'a> Output<'a> {
    fn new(file: &'a File, path: &'a Path) -> Self {
        let buffer = BufWriter::with_capacity(1 << 16, file);
        Self { file, path, buffer, digest: Sha256::new(), bytes: 0 }
    }

    /// Writes without digesting.
    fn raw(&mut self, bytes: &[u8]) -> Result<(), BuildError> {
        self.bytes += bytes.len() as u64;
        self.buffer.write_all(bytes).map_err(|error| failed(self.path, error))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), BuildError> {
        self.digest.update(bytes);
        self.raw(bytes)
    }

    fn words(&mut self, words: &[u64]) -> Result<(), BuildError> {
        let mut block = [U64::ZERO; 1024];
        for words in words.chunks(block.len()) {
            block.iter_mut().zip(words).for_each(|(to, word)| to.set(*word));
            self.put(block.get(..words.len()).unwrap_or_default().as_bytes())?;
        }
        Ok(())
    }

    fn finish(mut self, mut header: Header) -> Result<SetId, BuildError> {
        header.file_bytes = self.bytes.into();
        self.digest.update(header.as_bytes().get(..HEADER_DIGESTED).unwrap_or_default());
        header.digest = self.digest.finalize().into();
        let written = self.buffer.flush().and_then(|()| self.file.write_all_at(header.as_bytes(), 0));
        written.map_err(|error| failed(self.path, error))?;
        Ok(SetId { epoch: header.epoch.get(), number: header.number.get(), digest: header.digest })
    }

    fn failed(&self, source: std::io::Error) -> BuildError {
        failed(self.path, source)
    }
}

fn failed(path: &Path, source: std::io::Error) -> BuildError {
    BuildError::Write { path: path.to_owned(), source }
}
