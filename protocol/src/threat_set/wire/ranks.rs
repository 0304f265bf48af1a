//! Ascending ranks of a base's hashes <-> columns, each rank as its distance from the one before.

use super::super::walk::Table;
use super::columns::{Packer, Unpacker};
use super::refusal::{ApplyError, EncodeError};

/// Packs ranks.
pub struct RankPacker {
    ranks: Packer<4>,
    previous: u64,
}

impl RankPacker {
    pub fn new() -> Result<Self, EncodeError> {
        Ok(Self { ranks: Packer::new().map_err(EncodeError::Pack)?, previous: 0 })
    }

    /// Ranks begin anew: the other table's follow.
    pub fn begin_table(&mut self) {
        self.previous = 0;
    }

    pub fn push(&mut self, rank: u64) -> Result<(), EncodeError> {
        // A table has fewer hashes than 32 bits count: the set file's shards say so.
        let distance = u32::try_from(rank - self.previous).unwrap_or(u32::MAX);
        self.previous = rank;
        self.ranks.push(distance.to_le_bytes()).map_err(EncodeError::Pack)
    }

    pub fn finish(self, to: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.ranks.finish(to).map_err(EncodeError::Pack)
    }
}

/// Unpacks ranks, one ahead.
pub struct RankUnpacker<'a> {
    ranks: Unpacker<'a, 4>,
    /// Ranks that are still to come in each table, listed ones first.
    left: [u64; 2],
    table: Table,
    current: Option<u64>,
}

impl<'a> RankUnpacker<'a> {
    /// Takes the columns off the front of `bytes`.
    pub fn take(bytes: &mut &'a [u8], left: [u64; 2]) -> Result<Self, ApplyError> {
        let ranks = Unpacker::take(bytes, "its removed ranks")?;
        Ok(Self { ranks, left, table: Table::Listed, current: None })
    }

    /// Stands before the first rank of a table.
    pub fn begin_table(&mut self, table: Table) -> Result<(), ApplyError> {
        self.table = table;
        self.current = None;
        self.advance()
    }

    /// The rank where it stands; `None` behind the table's last.
    #[inline]
    pub fn current(&self) -> Option<u64> {
        self.current
    }

    pub fn advance(&mut self) -> Result<(), ApplyError> {
        let [listed, exceptions] = &mut self.left;
        let left = if self.table == Table::Listed { listed } else { exceptions };
        let Some(fewer) = left.checked_sub(1) else {
            self.current = None;
            return Ok(());
        };
        *left = fewer;
        let distance = u64::from(u32::from_le_bytes(self.ranks.next()?));
        if self.current.is_some() && distance == 0 {
            return Err(ApplyError::Damaged("its removed ranks are out of order"));
        }
        // Sums of so few numbers of 32 bits cannot overflow.
        self.current = Some(self.current.unwrap_or(0) + distance);
        Ok(())
    }

    /// Makes sure that nothing is left.
    pub fn end(self) -> Result<(), ApplyError> {
        if self.left != [0, 0] {
            return Err(ApplyError::Damaged("more removed ranks than their place allows"));
        }
        self.ranks.end()
    }
}
