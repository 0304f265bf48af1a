//! Every entry of a set in the order of its file: a hash and who lists it, one shard in memory at a time.

use std::io;
use std::os::unix::fs::FileExt as _;

use zerocopy::IntoBytes as _;
use zerocopy::little_endian::U64;

use super::layout::{Mark, Value};
use super::{Shard, ThreatSet};

/// Which of a set's two tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// What is listed.
    Listed,
    /// What exceptions and the allow list take out.
    Exceptions,
}

/// A position in one table of a set.
#[derive(Debug)]
pub struct Walk<'s> {
    set: &'s ThreatSet,
    /// Those not yet loaded.
    shards: std::slice::Iter<'s, Shard>,
    /// First hash of the loaded shard, counted over all shards.
    first: usize,
    /// Position in the loaded shard.
    at: usize,
    marks: Vec<Mark>,
    /// Where each hash's marks end among the marks.
    ends: Vec<usize>,
}

impl ThreatSet {
    /// Whether a name may be listed here that was not listed in `before`: an entry came, or speaks of more names. Where
    /// `before` has exceptions they may hide names that another feed lists now: then it always may.
    ///
    /// # Errors
    /// A set's file cannot be read any more.
    pub fn lists_more_than(&self, before: &Self) -> io::Result<bool> {
        if self.key != before.key || before.exceptions.count > 0 {
            return Ok(!self.is_empty());
        }
        has_more(self, before)
    }
}

/// Whether one lists something that the other does not.
fn has_more(one: &ThreatSet, other: &ThreatSet) -> io::Result<bool> {
    let (mut one, mut other) = (Walk::new(one, Table::Listed)?, Walk::new(other, Table::Listed)?);
    while let Some((hash, marks)) = one.current() {
        while other.current().is_some_and(|(behind, _)| behind < hash) {
            other.advance()?;
        }
        let Some((_, known)) = other.current().filter(|(at, _)| *at == hash) else { return Ok(true) };
        if marks.iter().any(|mark| !known.iter().any(|known| covers(*known, *mark))) {
            return Ok(true);
        }
        one.advance()?;
    }
    Ok(false)
}

fn covers(known: Mark, mark: Mark) -> bool {
    let (known, mark) = (known.scope(), mark.scope());
    (known.covers_itself() || !mark.covers_itself()) && (known.covers_below() || !mark.covers_below())
}

impl<'s> Walk<'s> {
    /// Stands at the table's first entry.
    pub fn new(set: &'s ThreatSet, table: Table) -> io::Result<Self> {
        let shards = match table {
            Table::Listed => set.listed.as_slice(),
            Table::Exceptions => std::slice::from_ref(&set.exceptions),
        };
        let mut walk =
            Self { set, shards: shards.iter(), first: 0, at: 0, marks: Vec::new(), ends: Vec::new() };
        walk.skip_empty()?;
        Ok(walk)
    }

    /// The entry where it stands: a hash and its marks in ascending order; `None` behind the last one.
    #[inline]
    pub fn current(&self) -> Option<(u64, &[Mark])> {
        let end = *self.ends.get(self.at)?;
        let start = self.at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        let hash = self.set.tables.hashes().get(self.first + self.at)?.get();
        Some((hash, self.marks.get(start..end)?))
    }

    /// Moves on by one entry. Fails where the set's file cannot be read any more.
    #[inline]
    pub fn advance(&mut self) -> io::Result<()> {
        self.at += 1;
        if self.at >= self.ends.len() { self.skip_empty() } else { Ok(()) }
    }

    /// Loads the next shard that holds something.
    #[cold]
    fn skip_empty(&mut self) -> io::Result<()> {
        self.marks.clear();
        self.ends.clear();
        self.at = 0;
        while self.ends.is_empty() {
            let Some(shard) = self.shards.next() else { break };
            self.load(shard)?;
        }
        Ok(())
    }

    fn load(&mut self, shard: &Shard) -> io::Result<()> {
        self.first = shard.first;
        let values = self.words(shard.values_at, shard.count)?;
        let mut in_runs = 0;
        for value in &values {
            if let Some(Value::Run { count, .. }) = Value::from_bits(value.get()) {
                in_runs += usize::from(count);
            }
        }
        // Runs follow each other without a gap: that was checked when the file was opened.
        let overflow = self.words(shard.values_at + shard.count as u64 * 8, in_runs)?;
        let mut overflow = overflow.iter();
        for value in values {
            match Value::from_bits(value.get()).ok_or(io::ErrorKind::InvalidData)? {
                Value::One(mark) => self.marks.push(mark),
                Value::Run { count, .. } => {
                    for word in overflow.by_ref().take(count.into()) {
                        self.marks.push(Mark::from_bits(word.get()).ok_or(io::ErrorKind::InvalidData)?);
                    }
                }
            }
            self.ends.push(self.marks.len());
        }
        Ok(())
    }

    fn words(&self, at: u64, count: usize) -> io::Result<Vec<U64>> {
        let mut words = vec![U64::ZERO; count];
        if count > 0 {
            let file = self.set.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
            file.read_exact_at(words.as_mut_bytes(), at)?;
        }
        Ok(words)
    }
}
