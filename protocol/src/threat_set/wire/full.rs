//! The whole set, out and in.

use std::path::Path;

use zerocopy::little_endian::U64;

use super::super::walk::{Table, Walk};
use super::super::{SetId, ThreatSet, place};
use super::entries::{EntryPacker, EntryUnpacker};
use super::head::Head;
use super::refusal::{ApplyError, EncodeError};
use super::target::Target;
use super::{Kind, TABLES, feeds, most};

/// A set as bytes for the network: under 6 bytes a domain from some hundred thousand on.
pub fn full(set: &ThreatSet) -> Result<Vec<u8>, EncodeError> {
    check(set)?;
    let mut head = Head::new(set, None);
    let mut bytes = Head::room();
    feeds::put(set, &mut bytes)?;
    let mut packer = EntryPacker::new()?;
    for (table, count) in TABLES.into_iter().zip(&mut head.added) {
        packer.begin_table();
        let mut walk = Walk::new(set, table).map_err(EncodeError::Read)?;
        while let Some((hash, marks)) = walk.current() {
            packer.push(hash, marks)?;
            *count += 1;
            walk.advance().map_err(EncodeError::Read)?;
        }
    }
    packer.finish(&mut bytes)?;
    Ok(head.seal(bytes))
}

/// Whether a set can travel at all.
pub fn check(set: &ThreatSet) -> Result<(), EncodeError> {
    if set.file.is_none() {
        return Err(EncodeError::NoFile);
    }
    for (table, what) in TABLES.into_iter().zip(["listed names", "exceptions"]) {
        let found = set.count(table) as u64;
        if found > most(table) {
            return Err(EncodeError::TooMany { what, found, most: most(table) });
        }
    }
    Ok(())
}

/// Writes the set file that [`full`] was made from to `path`, which then holds either all of it or what it held before.
pub fn apply_full(bytes: &[u8], path: &Path) -> Result<SetId, ApplyError> {
    let (head, mut body) = Head::read(bytes)?;
    if head.kind()? != Kind::Full {
        return Err(ApplyError::Kind { expected: "a full set" });
    }
    let feeds = feeds::take(&mut body)?;
    let counts = head.added.map(U64::get);
    let mut entries = EntryUnpacker::take(&mut body, counts, feeds.len())?;
    if !body.is_empty() {
        return Err(ApplyError::Damaged("it goes on behind its end"));
    }
    let [listed, _] = counts;
    place::replace(path, head.id().number, |file| {
        let mut target = Target::new(&head, listed, file, path)?;
        for table in TABLES {
            target.begin_table(table)?;
            entries.begin_table(table)?;
            while let Some((hash, marks)) = entries.current() {
                target.push(hash, marks)?;
                entries.advance()?;
            }
        }
        entries.end()?;
        target.finish(&head, &feeds)
    })
}

impl ThreatSet {
    /// Hashes of a table.
    pub(super) fn count(&self, table: Table) -> usize {
        match table {
            Table::Listed => self.len(),
            Table::Exceptions => self.exceptions.count,
        }
    }
}
