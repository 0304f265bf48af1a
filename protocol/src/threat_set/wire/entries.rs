//! Ascending hashes with their marks <-> columns.
//!
//! A hash travels as its distance from the one before, marks as scope and feed. Lines do not travel.

use super::super::layout::{ALLOW_LIST, Mark};
use super::super::walk::Table;
use super::MARKS_MAX;
use super::columns::{Packer, Unpacker};
use super::refusal::{ApplyError, EncodeError};
use crate::entry::Scope;

/// Packs ascending numbers (hashes, or ranks of a base's hashes) with the marks of each.
pub struct EntryPacker {
    numbers: Packer<8>,
    marks: MarkPacker,
    previous: u64,
}

/// Packs lists of marks.
struct MarkPacker {
    counts: Packer<2>,
    marks: Packer<3>,
    total: u64,
}

impl EntryPacker {
    pub fn new() -> Result<Self, EncodeError> {
        let marks = MarkPacker {
            counts: Packer::new().map_err(EncodeError::Pack)?,
            marks: Packer::new().map_err(EncodeError::Pack)?,
            total: 0,
        };
        Ok(Self { numbers: Packer::new().map_err(EncodeError::Pack)?, marks, previous: 0 })
    }

    /// Numbers begin anew: the other table's follow.
    pub fn begin_table(&mut self) {
        self.previous = 0;
    }

    #[inline]
    pub fn push(&mut self, number: u64, marks: &[Mark]) -> Result<(), EncodeError> {
        let distance = number.wrapping_sub(self.previous);
        self.previous = number;
        self.numbers.push(distance.to_le_bytes()).map_err(EncodeError::Pack)?;
        self.marks.push(marks)
    }

    pub fn finish(self, to: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.numbers.finish(to).map_err(EncodeError::Pack)?;
        self.marks.counts.finish(to).map_err(EncodeError::Pack)?;
        self.marks.marks.finish(to).map_err(EncodeError::Pack)
    }
}

impl MarkPacker {
    #[inline]
    fn push(&mut self, marks: &[Mark]) -> Result<(), EncodeError> {
        self.total += marks.len() as u64;
        if self.total > MARKS_MAX {
            return Err(EncodeError::TooMany { what: "listings", found: self.total, most: MARKS_MAX });
        }
        // A list has 1 to 65,535 marks: one less fits as well and is mostly 0.
        let fewer = u16::try_from(marks.len().saturating_sub(1)).unwrap_or(u16::MAX);
        self.counts.push(fewer.to_le_bytes()).map_err(EncodeError::Pack)?;
        for mark in marks {
            if mark.line() != 0 {
                return Err(EncodeError::Lines);
            }
            let [low, high] = mark.feed().0.to_le_bytes();
            let scope = match mark.scope() {
                Scope::Exact => 0,
                Scope::Subdomains => 1,
                Scope::Both => 2,
            };
            self.marks.push([scope, low, high]).map_err(EncodeError::Pack)?;
        }
        Ok(())
    }
}

/// Unpacks numbers with their marks, one entry ahead.
pub struct EntryUnpacker<'a> {
    numbers: Unpacker<'a, 8>,
    counts: Unpacker<'a, 2>,
    marks: Unpacker<'a, 3>,
    /// Entries that are still to come from each table, listed ones first.
    left: [u64; 2],
    table: Table,
    feeds: usize,
    marks_taken: u64,
    number: Option<u64>,
    list: Vec<Mark>,
}

impl<'a> EntryUnpacker<'a> {
    /// Takes the columns off the front of `bytes`; marks may name `feeds` feeds.
    pub fn take(bytes: &mut &'a [u8], left: [u64; 2], feeds: usize) -> Result<Self, ApplyError> {
        Ok(Self {
            numbers: Unpacker::take(bytes, "its hashes")?,
            counts: Unpacker::take(bytes, "its numbers of listings")?,
            marks: Unpacker::take(bytes, "its listings")?,
            left,
            table: Table::Listed,
            feeds,
            marks_taken: 0,
            number: None,
            list: Vec::new(),
        })
    }

    /// Stands before the first entry of a table; the listed one comes first, and must have been read to its end.
    pub fn begin_table(&mut self, table: Table) -> Result<(), ApplyError> {
        self.table = table;
        self.number = None;
        self.advance()
    }

    /// The entry where it stands; `None` behind the table's last.
    #[inline]
    pub fn current(&self) -> Option<(u64, &[Mark])> {
        Some((self.number?, &self.list))
    }

    #[inline]
    pub fn advance(&mut self) -> Result<(), ApplyError> {
        let [listed, exceptions] = &mut self.left;
        let left = if self.table == Table::Listed { listed } else { exceptions };
        let Some(fewer) = left.checked_sub(1) else {
            self.number = None;
            return Ok(());
        };
        *left = fewer;
        let distance = u64::from_le_bytes(self.numbers.next()?);
        let number = match self.number {
            None => distance,
            Some(previous) => previous
                .checked_add(distance)
                .filter(|_| distance > 0)
                .ok_or(ApplyError::Damaged("its hashes are out of order"))?,
        };
        self.number = Some(number);
        self.take_marks()
    }

    fn take_marks(&mut self) -> Result<(), ApplyError> {
        let count = u64::from(u16::from_le_bytes(self.counts.next()?)) + 1;
        self.marks_taken += count;
        if self.marks_taken > MARKS_MAX {
            return Err(ApplyError::Count {
                what: "the number of listings",
                found: self.marks_taken,
                most: MARKS_MAX,
            });
        }
        self.list.clear();
        for _ in 0..count {
            let [scope, low, high] = self.marks.next()?;
            let feed = u16::from_le_bytes([low, high]);
            let known =
                usize::from(feed) < self.feeds || (feed == ALLOW_LIST && self.table == Table::Exceptions);
            let scope = match scope {
                0 => Scope::Exact,
                1 => Scope::Subdomains,
                2 => Scope::Both,
                _ => return Err(ApplyError::Damaged("a scope that is none")),
            };
            let mark = Mark::new(feed, scope, 0);
            if !known || self.list.last().is_some_and(|last| *last >= mark) {
                return Err(ApplyError::Damaged(
                    "a listing of a feed that it does not have, or out of order",
                ));
            }
            self.list.push(mark);
        }
        Ok(())
    }

    /// Makes sure that nothing is left.
    pub fn end(self) -> Result<(), ApplyError> {
        if self.left != [0, 0] {
            return Err(ApplyError::Damaged("more entries than their place allows"));
        }
        self.numbers.end()?;
        self.counts.end()?;
        self.marks.end()
    }
}
