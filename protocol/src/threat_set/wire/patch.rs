//! A set and what changes -> the other set.

use std::path::Path;

use zerocopy::little_endian::U64;

use super::super::layout::Mark;
use super::super::walk::{Table, Walk};
use super::super::{SetId, ThreatSet, place};
use super::entries::EntryUnpacker;
use super::feeds::{self, Renumbering};
use super::head::Head;
use super::ranks::RankUnpacker;
use super::refusal::ApplyError;
use super::target::Target;
use super::{Kind, TABLES};

/// Writes the new set's file to `path`, which then holds either all of it or what it held before; that may be the base.
///
/// Fails where `base` is not the very set that the delta was made from: the full set must be asked for then.
pub fn apply_delta(bytes: &[u8], base: &ThreatSet, path: &Path) -> Result<SetId, ApplyError> {
    let (head, mut body) = Head::read(bytes)?;
    let Kind::Delta { base: expected } = head.kind()? else {
        return Err(ApplyError::Kind { expected: "a delta" });
    };
    if expected != base.id() {
        return Err(ApplyError::Base { expected, found: base.id() });
    }
    if head.key() != base.key() {
        return Err(ApplyError::Damaged("its key is not the one of the set that it is for"));
    }
    let feeds = feeds::take(&mut body)?;
    let mut changes = Changes {
        renumbering: Renumbering::take(&mut body, base, feeds.len())?,
        added: EntryUnpacker::take(&mut body, head.added.map(U64::get), feeds.len())?,
        removed: RankUnpacker::take(&mut body, head.removed.map(U64::get))?,
        changed: EntryUnpacker::take(&mut body, head.changed.map(U64::get), feeds.len())?,
        room: Vec::new(),
    };
    if !body.is_empty() {
        return Err(ApplyError::Damaged("it goes on behind its end"));
    }
    let [added, _] = head.added.map(U64::get);
    place::replace(path, head.id().number, |file| {
        let mut target = Target::new(&head, base.len() as u64 + added, file, path)?;
        for table in TABLES {
            target.begin_table(table)?;
            changes.begin_table(table)?;
            changes.apply(base, table, &mut target)?;
        }
        changes.end()?;
        target.finish(&head, &feeds)
    })
}

struct Changes<'a> {
    renumbering: Renumbering,
    added: EntryUnpacker<'a>,
    removed: RankUnpacker<'a>,
    changed: EntryUnpacker<'a>,
    room: Vec<Mark>,
}

impl Changes<'_> {
    fn begin_table(&mut self, table: Table) -> Result<(), ApplyError> {
        self.added.begin_table(table)?;
        self.removed.begin_table(table)?;
        self.changed.begin_table(table)
    }

    /// Goes through one table of the base and puts what becomes of it into the target.
    fn apply(&mut self, base: &ThreatSet, table: Table, target: &mut Target<'_>) -> Result<(), ApplyError> {
        let mut walk = Walk::new(base, table).map_err(ApplyError::ReadBase)?;
        let mut rank = 0;
        while let Some((hash, marks)) = walk.current() {
            self.add_below(Some(hash), target)?;
            if self.removed.current() == Some(rank) {
                self.removed.advance()?;
            } else if let Some((_, marks)) = self.changed.current().filter(|(changed, _)| *changed == rank) {
                target.push(hash, marks)?;
                self.changed.advance()?;
            } else {
                let marks = self.renumbering.apply(marks, &mut self.room);
                if !marks.is_empty() {
                    target.push(hash, marks)?;
                }
            }
            rank += 1;
            walk.advance().map_err(ApplyError::ReadBase)?;
        }
        self.add_below(None, target)?;
        if self.removed.current().is_some() || self.changed.current().is_some() {
            return Err(ApplyError::Damaged("it changes what the set that it is for does not hold"));
        }
        Ok(())
    }

    /// Puts in what comes before a hash of the base, or all that is left.
    fn add_below(&mut self, hash: Option<u64>, target: &mut Target<'_>) -> Result<(), ApplyError> {
        while let Some((added, marks)) = self.added.current() {
            if hash.is_some_and(|hash| added >= hash) {
                break;
            }
            target.push(added, marks)?;
            self.added.advance()?;
        }
        Ok(())
    }

    /// Makes sure that nothing is left.
    fn end(self) -> Result<(), ApplyError> {
        self.added.end()?;
        self.removed.end()?;
        self.changed.end()
    }
}
