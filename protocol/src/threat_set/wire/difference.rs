//! Two sets -> what changes from the one to the other, read off both at once in the order of their hashes.

use std::cmp::Ordering;

use super::super::ThreatSet;
use super::super::layout::Mark;
use super::super::walk::Walk;
use super::entries::EntryPacker;
use super::feeds::{self, Renumbering};
use super::head::Head;
use super::ranks::RankPacker;
use super::refusal::EncodeError;
use super::{TABLES, full};

/// What leads from `base` to `new`, both of one key, as bytes for the network.
///
/// Feeds are told apart by their names: numbers may change. A feed that is gone takes its entries along without a word.
pub fn delta(base: &ThreatSet, new: &ThreatSet) -> Result<Vec<u8>, EncodeError> {
    full::check(new)?;
    if base.key() != new.key() {
        return Err(EncodeError::OtherKey);
    }
    let renumbering = Renumbering::between(base, new);
    let mut head = Head::new(new, Some(base.id()));
    let mut bytes = Head::room();
    feeds::put(new, &mut bytes)?;
    renumbering.put(&mut bytes)?;
    let mut difference = Difference {
        added: EntryPacker::new()?,
        removed: RankPacker::new()?,
        changed: EntryPacker::new()?,
        renumbering,
        room: Vec::new(),
        counts: [0; 3],
    };
    for (number, table) in TABLES.into_iter().enumerate() {
        let counts = difference.table(
            Walk::new(base, table).map_err(EncodeError::Read)?,
            Walk::new(new, table).map_err(EncodeError::Read)?,
        )?;
        let all = [&mut head.added, &mut head.removed, &mut head.changed];
        for (of, count) in all.into_iter().zip(counts) {
            of.iter_mut().skip(number).take(1).for_each(|of| of.set(count));
        }
    }
    difference.added.finish(&mut bytes)?;
    difference.removed.finish(&mut bytes)?;
    difference.changed.finish(&mut bytes)?;
    Ok(head.seal(bytes))
}

struct Difference {
    added: EntryPacker,
    removed: RankPacker,
    changed: EntryPacker,
    renumbering: Renumbering,
    room: Vec<Mark>,
    /// Added, removed and changed in the table at hand.
    counts: [u64; 3],
}

impl Difference {
    /// Goes through one table of both sets.
    fn table(&mut self, mut base: Walk<'_>, mut new: Walk<'_>) -> Result<[u64; 3], EncodeError> {
        self.counts = [0; 3];
        self.added.begin_table();
        self.removed.begin_table();
        self.changed.begin_table();
        let mut rank = 0;
        loop {
            let order = match (base.current(), new.current()) {
                (None, None) => return Ok(self.counts),
                (Some((old, marks)), Some((hash, now))) => {
                    if old == hash {
                        self.both(rank, marks, now)?;
                    }
                    old.cmp(&hash)
                }
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
            };
            if order == Ordering::Less
                && let Some((_, marks)) = base.current()
            {
                self.only_base(rank, marks)?;
            }
            if order == Ordering::Greater
                && let Some((hash, marks)) = new.current()
            {
                let [added, ..] = &mut self.counts;
                *added += 1;
                self.added.push(hash, marks)?;
            }
            if order.is_le() {
                rank += 1;
                base.advance().map_err(EncodeError::Read)?;
            }
            if order.is_ge() {
                new.advance().map_err(EncodeError::Read)?;
            }
        }
    }

    fn both(&mut self, rank: u64, marks: &[Mark], now: &[Mark]) -> Result<(), EncodeError> {
        if self.renumbering.apply(marks, &mut self.room) == now {
            return Ok(());
        }
        let [.., changed] = &mut self.counts;
        *changed += 1;
        self.changed.push(rank, now)
    }

    fn only_base(&mut self, rank: u64, marks: &[Mark]) -> Result<(), EncodeError> {
        // What is left without a mark goes by itself.
        if self.renumbering.apply(marks, &mut self.room).is_empty() {
            return Ok(());
        }
        let [_, removed, _] = &mut self.counts;
        *removed += 1;
        self.removed.push(rank)
    }
}
