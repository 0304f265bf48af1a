//! The records of one kind: appended at one end, handed out in order, settled in any.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::ledger::Ledger;
use super::record::{self, Records, Step};
use super::segment::{Mark, Segment};
use super::{EXTENSION, Kind, Limits};

/// A segment becomes no larger, unless one batch is.
const SEGMENT_MAX: u64 = 8 << 20;
/// Where all is settled, a segment of this size makes room for a new one.
const SEGMENT_SPENT: u64 = 256 << 10;
/// Parts of the limit, in bytes and in age, that one segment may take.
const PARTS: u32 = 16;
/// Bytes kept in memory where the disk takes nothing.
const MEMORY_MAX: u64 = 8 << 20;

/// What became of documents: `found + appended = acknowledged + refused + dropped_size + dropped_age + dropped_disk +
/// damaged + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Documents that an earlier run left.
    pub found: u64,
    /// Documents that came in.
    pub appended: u64,
    /// Documents that the server has, those of the next two counts included.
    pub acknowledged: u64,
    /// Of them, those that it had when they were sent.
    pub conflicts: u64,
    /// Of them, those that it was asked for and had.
    pub recognised: u64,
    /// Documents that the server refused for good.
    pub refused: u64,
    /// Documents dropped for want of room within the limit.
    pub dropped_size: u64,
    /// Documents dropped because they became too old.
    pub dropped_age: u64,
    /// Documents dropped because the disk took nothing and the memory set aside was full.
    pub dropped_disk: u64,
    /// Documents that could not be read back.
    pub damaged: u64,
    /// Documents that wait now, on their way included.
    pub waiting: u64,
    /// Bytes that they take on disk.
    pub bytes: u64,
    /// Of them, bytes kept in memory because the disk takes nothing.
    pub memory_bytes: u64,
}

/// Where documents went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// To disk.
    Disk,
    /// The disk takes nothing: into memory.
    Memory,
    /// Nowhere.
    Dropped,
}

/// What became of a document that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server took it.
    Acknowledged,
    /// The server had it.
    Conflict,
    /// The server was asked, and has it.
    Recognised,
    /// The server will never take it.
    Refused,
}

/// Why documents are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Size,
    Age,
    Disk,
}

/// Documents that were handed out together.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Their lane.
    pub kind: Kind,
    /// What their ranges point into.
    pub bytes: Vec<u8>,
    /// They, in order.
    pub items: Vec<Item>,
}

/// One document of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its number.
    pub sequence: u64,
    /// Its `_id` in the batch.
    pub id: Range<usize>,
    /// Its JSON in the batch.
    pub document: Range<usize>,
    /// Whether a server may have it already.
    pub uncertain: bool,
}

/// Where reading goes on.
#[derive(Debug)]
struct Cursor {
    /// First number of its segment.
    segment: u64,
    offset: u64,
    /// Number of the next record.
    expected: u64,
}

#[derive(Debug)]
pub(super) struct Lane {
    kind: Kind,
    folder: PathBuf,
    limits: Limits,
    segments: VecDeque<Segment>,
    /// The last segment takes no more.
    is_closed: bool,
    /// Number of the next record to be appended.
    next: u64,
    cursor: Cursor,
    ledger: Ledger,
    mark: Mark,
    marked: u64,
    counts: Counts,
    /// What has a lower number was there at the start: a server may have it.
    found_below: u64,
}

impl Lane {
    pub(super) fn open(folder: &Path, kind: Kind, limits: Limits, now: SystemTime) -> io::Result<Self> {
        let (mark, marked) = Mark::open(&folder.join(format!("{}.mark", kind.name())))?;
        let mut segments = found_segments(folder, kind)?;
        let first = segments.front().map_or(0, |segment| segment.first);
        let start = marked.unwrap_or(first);
        let next = segments.back().map_or(0, |segment| segment.end).max(start);
        let settled = segments.iter().take_while(|segment| segment.end <= start).count();
        segments.drain(..settled).for_each(Segment::remove);
        let found = segments.iter().map(|segment| segment.end - segment.first.max(start)).sum();
        let cursor = segments.front().map_or(next, |segment| segment.first);
        let mut lane = Self {
            kind,
            folder: folder.to_owned(),
            limits,
            is_closed: true,
            next,
            cursor: Cursor { segment: cursor, offset: 0, expected: cursor },
            // What lies before the first segment that is left is gone.
            ledger: Ledger::new(start.max(cursor)),
            segments,
            mark,
            marked: start,
            counts: Counts { found, ..Counts::default() },
            found_below: next,
        };
        lane.expire(now);
        Ok(lane)
    }

    pub(super) fn append(&mut self, documents: &[(&str, &[u8])], now: SystemTime) -> Appended {
        let (mut bytes, mut count) = (Vec::new(), 0);
        for (id, document) in documents {
            if record::write(self.next + count, id, document, &mut bytes) {
                count += 1;
            } else {
                self.drop_incoming(1, Why::Size);
            }
        }
        let went = match self.append_to_disk(&bytes, count, now) {
            Ok(()) => Appended::Disk,
            Err(error) => {
                tracing::debug!(%error, "the spool's disk takes nothing");
                self.append_to_memory(&bytes, count, now)
            }
        };
        if went == Appended::Dropped {
            self.drop_incoming(count, Why::Disk);
        } else {
            self.next += count;
            self.counts.appended += count;
        }
        went
    }

    fn append_to_disk(&mut self, bytes: &[u8], count: u64, now: SystemTime) -> io::Result<()> {
        let fits = |segment: &&mut Segment| {
            let part = self.limits.bytes / u64::from(PARTS);
            !self.is_closed
                && !segment.is_in_memory()
                && segment.bytes + bytes.len() as u64 <= SEGMENT_MAX.min(part)
                && segment.age(now) < self.limits.age / PARTS
        };
        if let Some(segment) = self.segments.back_mut().filter(fits) {
            return segment.append(bytes, count);
        }
        let path = self.folder.join(file_name(self.kind, self.next));
        let mut segment = Segment::create(path, self.next, now)?;
        if let Err(error) = segment.append(bytes, count) {
            segment.remove();
            return Err(error);
        }
        self.segments.push_back(segment);
        self.is_closed = false;
        Ok(())
    }

    fn append_to_memory(&mut self, bytes: &[u8], count: u64, now: SystemTime) -> Appended {
        if self.memory_bytes() + bytes.len() as u64 > MEMORY_MAX {
            return Appended::Dropped;
        }
        let is_open = |segment: &Segment| segment.is_in_memory() && !self.is_closed;
        if !self.segments.back().is_some_and(is_open) {
            self.segments.push_back(Segment::in_memory(self.next, now));
            self.is_closed = false;
        }
        // Memory takes everything.
        let taken = self.segments.back_mut().map(|segment| segment.append(bytes, count));
        if matches!(taken, Some(Ok(()))) { Appended::Memory } else { Appended::Dropped }
    }

    /// Counts documents that do not even come in.
    pub(super) fn drop_incoming(&mut self, documents: u64, why: Why) {
        self.counts.appended += documents;
        self.count_dropped(documents, why);
    }

    fn count_dropped(&mut self, documents: u64, why: Why) {
        match why {
            Why::Size => self.counts.dropped_size += documents,
            Why::Age => self.counts.dropped_age += documents,
            Why::Disk => self.counts.dropped_disk += documents,
        }
    }

    /// Gives up the oldest segment of which anything was not handed out yet; false where there is none.
    pub(super) fn drop_oldest(&mut self, why: Why) -> bool {
        let from = self.cursor.expected;
        let Some(position) = self.segments.iter().position(|segment| segment.end > from) else {
            return false;
        };
        let Some(segment) = self.segments.get(position) else { return false };
        let (first, end, bytes) = (segment.first, segment.end, segment.bytes);
        let from = from.max(first).max(self.ledger.mark());
        self.count_dropped(end - from, why);
        self.ledger.settle_all(self.cursor.expected, end);
        self.cursor = Cursor { segment: first, offset: bytes, expected: end };
        self.is_closed |= position + 1 == self.segments.len();
        self.settled();
        // Documents of it are on their way: its file goes when they have arrived, its bytes no longer count.
        true
    }

    pub(super) fn expire(&mut self, now: SystemTime) {
        let is_old = |lane: &Self| {
            let unread = lane.segments.iter().find(|segment| segment.end > lane.cursor.expected);
            unread.is_some_and(|segment| segment.age(now) > lane.limits.age)
        };
        while is_old(self) && self.drop_oldest(Why::Age) {}
    }

    pub(super) fn next_batch(&mut self, most: usize) -> Option<Batch> {
        let mut most = most.max(record::HEADER);
        loop {
            let position = self.current()?;
            let segment = self.segments.get(position)?;
            let (length, end) = (segment.bytes, segment.end);
            let bytes = segment.read(self.cursor.offset, most).unwrap_or_else(|error| {
                tracing::warn!(%error, "a part of the spool cannot be read and is left out");
                Vec::new()
            });
            let reached = self.cursor.offset + bytes.len() as u64;
            let (items, position) = self.read(&bytes);
            self.cursor.offset += position as u64;
            if reached < length && position == 0 && !bytes.is_empty() {
                // One record is longer than was asked for, or a part is damaged.
                most = most.saturating_mul(2);
                continue;
            }
            if reached >= length || bytes.is_empty() {
                self.finish_segment(length, end);
            }
            if !items.is_empty() {
                return Some(Batch { kind: self.kind, bytes, items });
            }
        }
    }

    /// Position of the segment that is read next.
    fn current(&mut self) -> Option<usize> {
        let expected = self.cursor.expected;
        let position = self.segments.iter().position(|segment| segment.end > expected)?;
        let first = self.segments.get(position)?.first;
        if first != self.cursor.segment {
            self.cursor = Cursor { segment: first, offset: 0, expected: first.max(expected) };
        }
        Some(position)
    }

    /// The records in `bytes` that are not settled, and how far they go.
    fn read(&mut self, bytes: &[u8]) -> (Vec<Item>, usize) {
        let (mut items, mut expected) = (Vec::new(), self.cursor.expected);
        let mut records = Records::new(bytes, expected);
        while let Step::Record { record, .. } = records.step() {
            self.damaged(expected, record.sequence);
            expected = record.sequence + 1;
            if record.sequence >= self.ledger.mark() {
                let uncertain = record.sequence < self.found_below;
                items.push(Item {
                    sequence: record.sequence,
                    id: record.id,
                    document: record.document,
                    uncertain,
                });
            }
        }
        self.cursor.expected = expected;
        (items, records.position())
    }

    /// What a segment should have held and did not is damaged.
    fn finish_segment(&mut self, length: u64, end: u64) {
        self.damaged(self.cursor.expected, end);
        self.cursor.expected = end;
        self.cursor.offset = length;
        self.settled();
    }

    fn damaged(&mut self, from: u64, to: u64) {
        let from = from.max(self.ledger.mark());
        if from < to {
            self.counts.damaged += to - from;
            self.ledger.settle_all(from, to);
        }
    }

    pub(super) fn settle(&mut self, fates: impl IntoIterator<Item = (u64, Fate)>) {
        for (sequence, fate) in fates {
            self.ledger.settle(sequence);
            match fate {
                Fate::Acknowledged => self.counts.acknowledged += 1,
                Fate::Conflict => {
                    self.counts.acknowledged += 1;
                    self.counts.conflicts += 1;
                }
                Fate::Recognised => {
                    self.counts.acknowledged += 1;
                    self.counts.recognised += 1;
                }
                Fate::Refused => self.counts.refused += 1,
            }
        }
        self.settled();
    }

    /// Keeps the mark, and removes what nobody needs any more.
    fn settled(&mut self) {
        let mark = self.ledger.mark();
        if mark != self.marked && self.mark.write(mark).is_ok() {
            self.marked = mark;
        }
        while let Some(segment) = self.segments.front() {
            let is_last = self.segments.len() == 1 && !self.is_closed;
            if segment.end > mark || self.cursor.expected < segment.end {
                return;
            }
            if is_last && segment.bytes < SEGMENT_SPENT {
                return;
            }
            self.is_closed |= self.segments.len() == 1;
            if let Some(segment) = self.segments.pop_front() {
                segment.remove();
            }
        }
    }

    pub(super) fn to_synchronise(&self) -> Option<Arc<File>> {
        self.segments.back().and_then(Segment::file)
    }

    /// Bytes of the segments of which something was not handed out: others go as soon as it has arrived.
    pub(super) fn bytes(&self) -> u64 {
        let unread = |segment: &&Segment| segment.end > self.cursor.expected;
        self.segments.iter().filter(unread).map(|segment| segment.bytes).sum()
    }

    fn memory_bytes(&self) -> u64 {
        self.segments.iter().filter(|segment| segment.is_in_memory()).map(|segment| segment.bytes).sum()
    }

    pub(super) fn unread(&self) -> (u64, u64) {
        let unread: u64 = self
            .segments
            .iter()
            .filter(|segment| segment.end > self.cursor.expected)
            .map(|segment| segment.end - segment.first.max(self.cursor.expected))
            .sum();
        let bytes = self.bytes().saturating_sub(if unread > 0 { self.read_of_current() } else { 0 });
        (unread, bytes)
    }

    fn read_of_current(&self) -> u64 {
        let current = self.segments.iter().find(|segment| segment.end > self.cursor.expected);
        if current.is_some_and(|segment| segment.first == self.cursor.segment) {
            self.cursor.offset
        } else {
            0
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = self.counts;
        let came = counts.found + counts.appended;
        let dropped = counts.dropped_size + counts.dropped_age + counts.dropped_disk;
        counts.waiting = came - counts.acknowledged - counts.refused - dropped - counts.damaged;
        counts.bytes = self.segments.iter().map(|segment| segment.bytes).sum();
        counts.memory_bytes = self.memory_bytes();
        counts
    }
}

fn file_name(kind: Kind, first: u64) -> String {
    format!("{}-{first:016x}.{EXTENSION}", kind.name())
}

/// What an earlier run left, in order. Each but the last ends where the next one begins.
fn found_segments(folder: &Path, kind: Kind) -> io::Result<VecDeque<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let number = name.strip_prefix(kind.name()).and_then(|rest| rest.strip_prefix('-'));
        let number = number.and_then(|rest| rest.strip_suffix(EXTENSION)?.strip_suffix('.'));
        let Some(first) = number.and_then(|digits| u64::from_str_radix(digits, 16).ok()) else { continue };
        segments.push(Segment::found(&entry.path(), first)?);
    }
    segments.sort_by_key(|segment| segment.first);
    let firsts: Vec<u64> = segments.iter().skip(1).map(|segment| segment.first).collect();
    for (segment, end) in segments.iter_mut().zip(firsts) {
        segment.end = end;
    }
    if let Some(last) = segments.last_mut() {
        last.end = end_of(last)?;
    }
    Ok(segments.into())
}

/// Number behind the last record of a segment that nothing follows. What a crash left unfinished was never promised to
/// anybody; what is damaged at the end counts as one record, because nothing says how many there were.
fn end_of(segment: &Segment) -> io::Result<u64> {
    let bytes = segment.read(0, usize::MAX)?;
    let (mut records, mut end) = (Records::new(&bytes, segment.first), segment.first);
    loop {
        match records.step() {
            Step::Record { record, .. } => end = record.sequence + 1,
            Step::End { left, unfinished } => return Ok(end + u64::from(left > 0 && !unfinished)),
        }
    }
}
