//! Entries that may be anything -> a set file that is sound, or an error: order and size are checked on the way.

use std::fs::File;
use std::path::Path;

use super::super::SetId;
use super::super::layout::Mark;
use super::super::walk::Table;
use super::super::write::Writer;
use super::feeds::Feeds;
use super::head::Head;
use super::refusal::ApplyError;

/// Hashes that a shard may have beyond twice its share. Honest hashes are even: none comes near.
const HASHES_BEYOND: u64 = 1 << 16;
/// Marks that a shard may have beyond twice as many as it has hashes, as large as a few names in every feed make.
const MARKS_BEYOND: usize = 1 << 20;

/// A set file in the making.
pub struct Target<'a> {
    writer: Writer<'a>,
    shard_bits: u32,
    table: Table,
    /// Hashes that one shard may have.
    shard_most: usize,
}

impl<'a> Target<'a> {
    /// Begins the file that `head` announces, of so many listed hashes at most.
    pub fn new(head: &Head, listed: u64, file: &'a File, path: &'a Path) -> Result<Self, ApplyError> {
        let shard_bits = head.shard_bits.get();
        let shard_most = 2 * (listed >> shard_bits) + HASHES_BEYOND;
        Ok(Self {
            writer: Writer::new(file, path, shard_bits)?,
            shard_bits,
            table: Table::Listed,
            shard_most: usize::try_from(shard_most).unwrap_or(usize::MAX),
        })
    }

    /// What follows belongs to this table; the listed one comes first.
    pub fn begin_table(&mut self, table: Table) -> Result<(), ApplyError> {
        self.table = table;
        if table == Table::Exceptions {
            self.end_shards(1 << self.shard_bits)?;
        }
        Ok(())
    }

    /// Adds a hash and its marks, which were checked to be in order.
    #[inline]
    pub fn push(&mut self, hash: u64, marks: &[Mark]) -> Result<(), ApplyError> {
        if self.table == Table::Listed {
            self.end_shards(usize::try_from(hash >> 1 >> (63 - self.shard_bits)).unwrap_or(usize::MAX))?;
            let (hashes, overflow) = self.writer.filled();
            if hashes >= self.shard_most || overflow / 2 > hashes + MARKS_BEYOND {
                return Err(ApplyError::Damaged("its hashes are uneven"));
            }
        }
        if self.writer.last().is_some_and(|last| last >= hash) {
            return Err(ApplyError::Damaged("its hashes are out of order"));
        }
        Ok(self.writer.push(hash, marks.iter().copied())?)
    }

    /// Ends shards until the one of this number takes the next hash.
    fn end_shards(&mut self, number: usize) -> Result<(), ApplyError> {
        if self.writer.shard() > number {
            return Err(ApplyError::Damaged("its hashes are out of order"));
        }
        while self.writer.shard() < number {
            self.writer.end_shard()?;
        }
        Ok(())
    }

    /// Ends the file and compares it with what was announced.
    pub fn finish(mut self, head: &Head, feeds: &Feeds) -> Result<SetId, ApplyError> {
        self.writer.end_shard()?;
        let announced = head.id();
        let made = self.writer.finish(head.key(), announced.epoch, announced.number, feeds)?;
        if made.digest == announced.digest {
            return Ok(made);
        }
        Err(ApplyError::Digest { expected: announced.digest, found: made.digest })
    }
}
