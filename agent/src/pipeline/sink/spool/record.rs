//! One document as the spool keeps it, and the reader of a segment's bytes.
//!
//! A record is a header of 20 bytes (`nwR1`, length of the payload, sequence number, CRC-32 of all but itself; integers
//! little-endian) and a payload: the length of the `_id` in two bytes, the `_id`, the document's JSON. Each record says
//! its own place, so a damaged one costs no other, and how many are missing is known. Whatever a damaged file holds,
//! only what was written comes out. Neither does input or output.

use std::ops::Range;

use flate2::Crc;

/// What a record begins with; no document contains a header, because JSON has no bytes below 0x20.
const MAGIC: [u8; 4] = *b"nwR1";

/// Bytes of a header.
pub const HEADER: usize = 20;

/// A payload is no longer: bodies are a few MB, and the length of a damaged record is not believed.
pub const PAYLOAD_MAX: usize = 16 << 20;

/// Sequence numbers of one segment differ by less.
const SPAN_MAX: u64 = 1 << 32;

/// A record within the bytes that it was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number, counted over the life of the spool.
    pub sequence: u64,
    /// Where its `_id` stands.
    pub id: Range<usize>,
    /// Where its document stands.
    pub document: Range<usize>,
}

/// Appends a record to `out`; false, and nothing, where it is too long to be kept.
pub fn write(sequence: u64, id: &str, document: &[u8], out: &mut Vec<u8>) -> bool {
    let length = 2 + id.len() + document.len();
    let (Ok(id_length), Ok(payload)) = (u16::try_from(id.len()), u32::try_from(length)) else { return false };
    if length > PAYLOAD_MAX {
        return false;
    }
    let [length, sequence] = [u64::from(payload).to_le_bytes(), sequence.to_le_bytes()];
    let length: &[u8] = length.get(..4).unwrap_or_default();
    let id_length = id_length.to_le_bytes();
    let parts: [&[u8]; 5] = [length, &sequence, &id_length, id.as_bytes(), document];
    let mut check = Crc::new();
    for part in parts {
        check.update(part);
    }
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(length);
    out.extend_from_slice(&sequence);
    out.extend_from_slice(&check.sum().to_le_bytes());
    for part in parts.iter().skip(2) {
        out.extend_from_slice(part);
    }
    true
}

/// What stands at one place.
enum Found {
    /// A whole record, and its length.
    Record(Record, usize),
    /// The beginning of one whose end is not there.
    Unfinished,
    /// No record.
    Nothing,
}

/// The sum is last: it is not worked out for what cannot be a record here.
fn read(bytes: &[u8], at: usize, expected: u64) -> Found {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some((header, payload)) = rest.split_first_chunk::<HEADER>() else {
        let begun = rest.iter().zip(MAGIC).all(|(byte, magic)| *byte == magic);
        return if begun { Found::Unfinished } else { Found::Nothing };
    };
    let (magic, header) = header.split_at(MAGIC.len());
    let (length, header) = header.split_at(4);
    let (sequence, check) = header.split_at(8);
    let length_number = number(length);
    let follows = number(sequence).checked_sub(expected).is_some_and(|missing| missing < SPAN_MAX);
    if magic != MAGIC || !follows || length_number < 2 || length_number > PAYLOAD_MAX as u64 {
        return Found::Nothing;
    }
    let Some(payload) = usize::try_from(length_number).ok().and_then(|length| payload.get(..length)) else {
        return Found::Unfinished;
    };
    let mut sum = Crc::new();
    for part in [length, sequence, payload] {
        sum.update(part);
    }
    if u64::from(sum.sum()) != number(check) {
        return Found::Nothing;
    }
    let start = at + HEADER + 2;
    let id_length = usize::try_from(number(payload.get(..2).unwrap_or_default())).unwrap_or(usize::MAX);
    let end = at + HEADER + payload.len();
    if id_length > payload.len() - 2 {
        return Found::Nothing;
    }
    let id = start..start + id_length;
    let record = Record { sequence: number(sequence), document: id.end..end, id };
    Found::Record(record, HEADER + payload.len())
}

/// A little-endian number.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// What a reader came upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A record; `missing` records before it are gone.
    Record {
        /// It.
        record: Record,
        /// Records that should stand before it and do not.
        missing: u64,
    },
    /// Nothing more can be read.
    End {
        /// Bytes that hold no whole record.
        left: usize,
        /// They are the beginning of a record, as a crash or a write under way leaves it, or zeros.
        unfinished: bool,
    },
}

/// Reads the records of a segment, or of a part of one, in order.
#[derive(Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
    expected: u64,
}

impl<'a> Records<'a> {
    /// A reader; the first record should have the number `expected`.
    pub fn new(bytes: &'a [u8], expected: u64) -> Self {
        Self { bytes, at: 0, expected }
    }

    /// How far it has read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next record, or the end.
    pub fn step(&mut self) -> Step {
        let found = read(self.bytes, self.at, self.expected);
        let unfinished = matches!(found, Found::Unfinished);
        let record = match found {
            Found::Record(record, length) => Some((record, self.at + length)),
            Found::Unfinished | Found::Nothing => self.next_whole(),
        };
        match record {
            Some((record, end)) => self.take(record, end),
            None => self.end(unfinished),
        }
    }

    /// The next record behind what is damaged here.
    fn next_whole(&self) -> Option<(Record, usize)> {
        let rest = self.bytes.get(self.at..)?;
        let starts = rest.windows(MAGIC.len()).enumerate().skip(1);
        starts.filter(|(_, window)| *window == MAGIC).find_map(|(ahead, _)| {
            let at = self.at + ahead;
            let Found::Record(record, length) = read(self.bytes, at, self.expected) else { return None };
            Some((record, at + length))
        })
    }

    fn take(&mut self, record: Record, end: usize) -> Step {
        let missing = record.sequence - self.expected;
        self.at = end;
        self.expected = record.sequence + 1;
        Step::Record { record, missing }
    }

    fn end(&self, unfinished: bool) -> Step {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let unfinished = unfinished || rest.iter().all(|byte| *byte == 0);
        Step::End { left: rest.len(), unfinished }
    }
}

#[cfg(test)]
mod tests;
