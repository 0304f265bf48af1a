//! Partitions of entries -> the bytes of a set file, shard by shard, digested on the way.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};
use zerocopy::little_endian::U64;
use zerocopy::{FromZeros as _, IntoBytes as _};

use super::build::{BuildError, Builder, PARTITIONS};
use super::layout::{HEADER_DIGESTED, Header, MAGIC, Pending, SHARD_BITS_MAX, ShardHead, VERSION, Value};
use super::{FeedId, SetId, filter};

/// Shards are made so that they hold about this many hashes at most: building a filter takes 20 bytes for each.
const SHARD_TARGET: usize = 1 << 15;

/// Writes the whole set to an empty file.
pub fn compile(mut builder: Builder, file: &File, path: &Path) -> Result<SetId, BuildError> {
    let mut output = Output::new(file, path);
    output.raw(Header::new_zeroed().as_bytes())?;
    let mut header = Header::new_zeroed();
    let retracted = retracted(&builder);
    let shard_bits = shard_bits(&builder);
    let mut shard = Shard::default();
    let partitions_each = PARTITIONS >> shard_bits;
    for number in 0..1usize << shard_bits {
        let first = number * partitions_each;
        shard.collect(&mut builder, first..first + partitions_each, &retracted)?;
        shard.write(true, &mut header, &mut output)?;
    }
    shard.collect(&mut builder, PARTITIONS..PARTITIONS + 1, &retracted)?;
    header.exceptions = (shard.hashes.len() as u64).into();
    shard.write(false, &mut header, &mut output)?;
    let feeds = serde_json::to_vec(&builder.feeds).map_err(|error| output.failed(error.into()))?;
    output.put(&feeds)?;
    header.magic = MAGIC;
    header.version = VERSION.into();
    header.shard_bits = shard_bits.into();
    header.epoch = builder.epoch.into();
    header.number = builder.number.into();
    header.key = builder.key.0;
    header.feed_bytes = (feeds.len() as u64).into();
    output.finish(header)
}

fn retracted(builder: &Builder) -> HashSet<FeedId> {
    let numbered = (0..).map(FeedId).zip(&builder.feeds);
    numbered.filter_map(|(id, info)| info.is_none().then_some(id)).collect()
}

fn shard_bits(builder: &Builder) -> u32 {
    let total: usize = (0..PARTITIONS).map(|partition| builder.entries.count(partition)).sum();
    (0..SHARD_BITS_MAX).find(|bits| total >> bits <= SHARD_TARGET).unwrap_or(SHARD_BITS_MAX)
}

/// One shard in the making; its memory serves the next.
#[derive(Default)]
struct Shard {
    pending: Vec<Pending>,
    hashes: Vec<u64>,
    values: Vec<u64>,
    overflow: Vec<u64>,
}

impl Shard {
    fn collect(
        &mut self,
        builder: &mut Builder,
        partitions: std::ops::Range<usize>,
        retracted: &HashSet<FeedId>,
    ) -> Result<(), BuildError> {
        self.pending.clear();
        self.pending.reserve_exact(partitions.clone().map(|one| builder.entries.count(one)).sum());
        for partition in partitions {
            builder.entries.take(partition, &mut self.pending).map_err(BuildError::Spill)?;
        }
        self.pending.retain(|pending| !retracted.contains(&pending.mark.feed()));
        self.pending.sort_unstable();
        // Sorted by line last: the first of equal meaning has the first line.
        self.pending.dedup_by_key(|pending| (pending.hash, pending.mark.meaning()));
        self.fold()
    }

    /// Sorted entries -> distinct hashes and their values.
    fn fold(&mut self) -> Result<(), BuildError> {
        self.hashes.clear();
        self.values.clear();
        self.overflow.clear();
        for run in self.pending.chunk_by(|one, next| one.hash == next.hash) {
            let Some(first) = run.first() else { continue };
            let value = match u16::try_from(run.len()) {
                Ok(1) => Value::One(first.mark),
                Ok(count) => Value::Run { first: fit("overflow words", self.overflow.len())?, count },
                Err(_) => {
                    return Err(BuildError::TooLarge { what: "listings of one name", count: run.len() });
                }
            };
            if matches!(value, Value::Run { .. }) {
                self.overflow.extend(run.iter().map(|pending| pending.mark.bits()));
            }
            self.hashes.push(first.hash);
            self.values.push(value.bits());
        }
        Ok(())
    }

    fn write(&self, filtered: bool, header: &mut Header, output: &mut Output<'_>) -> Result<(), BuildError> {
        let mut head = ShardHead {
            count: fit("hashes of one shard", self.hashes.len())?.into(),
            overflow: fit("overflow words", self.overflow.len())?.into(),
            ..ShardHead::default()
        };
        let fingerprints = if filtered { filter::build(&self.hashes, &mut head) } else { Box::default() };
        header.hashes += self.hashes.len() as u64;
        header.filter_bytes += fingerprints.len() as u64;
        output.put(head.as_bytes())?;
        output.words(&self.hashes)?;
        output.put(&fingerprints)?;
        output.words(&self.values)?;
        output.words(&self.overflow)
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
