//! A page in the order of time: blocks are opened as they are needed, and what they hold is told in one order.

use std::cmp::Ordering;

use namewarden_protocol::document::Time;

use super::{
    block::Number,
    blocks::{self, Head, Opened},
    matching,
    readers::Asked,
};
use crate::store::{Cursor, Filter};

/// Arrivals of the documents that a filter means, in order of time, id and data stream's namespace (backwards if `is_down`),
/// those behind the cursor, `limit` at most.
pub fn by_time(
    asked: &Asked<'_>,
    filter: &Filter,
    is_down: bool,
    after: Option<&Cursor>,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let after = match after {
        Some(Cursor::Document { time, id, namespace }) => Some((*time, (id.clone(), namespace.clone()))),
        _ => None,
    };
    let mut filter = filter.clone();
    if let Some((time, _)) = &after {
        narrow(&mut filter, *time, is_down);
    }
    let mut closed = blocks::heads(asked.connection)?;
    // The next one to be opened is the last.
    if is_down {
        closed.sort_unstable_by_key(|head| head.newest);
    } else {
        closed.sort_unstable_by_key(|head| std::cmp::Reverse(head.oldest));
    }
    let mut walk = Walk { asked, filter, is_down, after, limit, closed, fronts: Vec::new() };
    let mut seqs = Vec::new();
    while seqs.len() < limit
        && let Some(seq) = walk.next()?
    {
        seqs.push(seq);
    }
    Ok(seqs)
}

/// The walk begins where the page before ended; what that told of that very moment is left out as each block is opened.
fn narrow(filter: &mut Filter, time: Time, is_down: bool) {
    if is_down {
        let until = Time(time.0.saturating_add(1));
        filter.until = Some(filter.until.map_or(until, |other| other.min(until)));
    } else {
        filter.since = Some(filter.since.map_or(time, |other| other.max(time)));
    }
}

type Name = (String, String);

struct Walk<'a> {
    asked: &'a Asked<'a>,
    filter: Filter,
    is_down: bool,
    after: Option<(Time, Name)>,
    limit: usize,
    closed: Vec<Head>,
    fronts: Vec<Front>,
}

/// What is left of a block that is open; not empty.
struct Front {
    /// Time and arrival, the next one last.
    rows: Vec<(i64, i64)>,
    /// The next one's, once somebody asked.
    name: Option<Name>,
}

impl Front {
    fn time(&self) -> i64 {
        self.rows.last().map_or(0, |(time, _)| *time)
    }
}

impl Walk<'_> {
    fn next(&mut self) -> rusqlite::Result<Option<i64>> {
        while let Some(head) = self.closed.last().copied() {
            let edge = if self.is_down { head.newest } else { head.oldest };
            if self.foremost().is_some_and(|time| self.order(&time, &edge) == Ordering::Less) {
                break;
            }
            self.closed.pop();
            self.asked.check()?;
            self.open(head)?;
        }
        let Some(place) = self.first()? else { return Ok(None) };
        let Some(front) = self.fronts.get_mut(place) else { return Ok(None) };
        let next = front.rows.pop().map(|(_, seq)| seq);
        front.name = None;
        if front.rows.is_empty() {
            self.fronts.swap_remove(place);
        }
        Ok(next)
    }

    /// Which comes first.
    fn order<T: Ord>(&self, one: &T, other: &T) -> Ordering {
        if self.is_down { other.cmp(one) } else { one.cmp(other) }
    }

    fn foremost(&self) -> Option<i64> {
        let times = self.fronts.iter().map(Front::time);
        if self.is_down { times.max() } else { times.min() }
    }

    /// The front whose row comes first.
    fn first(&mut self) -> rusqlite::Result<Option<usize>> {
        let Some(time) = self.foremost() else { return Ok(None) };
        let same = self.fronts.iter_mut().enumerate().filter(|(_, front)| front.time() == time);
        let mut same: Vec<_> = same.collect();
        if let [(place, _)] = same.as_slice() {
            return Ok(Some(*place));
        }
        for (_, front) in &mut same {
            if front.name.is_none() {
                let seq = front.rows.last().map_or(0, |(_, seq)| *seq);
                front.name = Some(blocks::name(self.asked.connection, seq)?);
            }
        }
        let is_down = self.is_down;
        let first = same.into_iter().reduce(|one, other| {
            let is_one = if is_down { one.1.name >= other.1.name } else { one.1.name <= other.1.name };
            if is_one { one } else { other }
        });
        Ok(first.map(|(place, _)| place))
    }

    fn open(&mut self, head: Head) -> rusqlite::Result<()> {
        let block = Opened::new(self.asked.connection, head);
        let Some(rows) = matching::rows(&block, &self.filter)? else { return Ok(()) };
        let (times, seqs) = (block.numbers(Number::Time)?, block.numbers(Number::Seq)?);
        let mut rows: Vec<(i64, i64)> = rows.values(&times).zip(rows.values(&seqs)).collect();
        if self.is_down {
            rows.reverse();
        }
        let told = self.told(&rows)?;
        rows.drain(..told);
        rows.truncate(self.limit);
        rows.reverse();
        if !rows.is_empty() {
            self.fronts.push(Front { rows, name: None });
        }
        Ok(())
    }

    /// How many of the first rows the page before told: of its last document's moment, up to that document.
    fn told(&self, rows: &[(i64, i64)]) -> rusqlite::Result<usize> {
        let Some((time, last)) = &self.after else { return Ok(0) };
        let time = i64::try_from(time.0).unwrap_or(i64::MAX);
        let (mut low, mut high) = (0, rows.partition_point(|row| row.0 == time));
        while low < high {
            let middle = usize::midpoint(low, high);
            let seq = rows.get(middle).map_or(0, |(_, seq)| *seq);
            if self.order(&blocks::name(self.asked.connection, seq)?, last) == Ordering::Greater {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(low)
    }
}

/// Arrivals of the documents that a filter means, as they arrived, those behind `after`, `limit` at most.
pub fn by_arrival(
    asked: &Asked<'_>,
    filter: &Filter,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let mut found = Vec::new();
    for head in blocks::heads(asked.connection)?.into_iter().filter(|head| head.last > after) {
        asked.check()?;
        let block = Opened::new(asked.connection, head);
        let Some(rows) = matching::rows(&block, filter)? else { continue };
        let seqs = block.numbers(Number::Seq)?;
        let mut meant: Vec<i64> = rows.values(&seqs).filter(|seq| *seq > after).collect();
        meant.sort_unstable();
        found.extend(meant);
        if found.len() >= limit {
            break;
        }
    }
    found.truncate(limit);
    Ok(found)
}
