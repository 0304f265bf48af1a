//! Raw message -> the names in it that may be listed.
//!
//! In: the bytes of a DNS message (query, answer, UPDATE alike) and the threat set. Out: for each name that hits the
//! set, where it stands. Every name is walked in place and hashed label by label from the right; a suffix that was
//! reached before (compression) is neither hashed nor probed again, so the work is linear in the message's bytes. It
//! never allocates, never trusts a count or a pointer, and goes on behind a damaged name where the next one can be
//! found: what hickory-proto would refuse is screened as far as it goes.
//!
//! Names are looked for in the question, as owners, and inside the data of the types in `data`. A name that stands
//! there again by nothing but a pointer is one candidate, at its first place.

// Which types hold names in their data, and where.
mod data;

// One name: labels and pointers -> hashes, probes, hit or not.
mod names;

// The last label of most names, hashed once for all messages.
mod top_level;

use namewarden_protocol::threat_set::ThreatSet;

pub use names::NameFault;

use data::Fields;
use names::{Names, Walked};

/// Candidates kept of one message. No honest message comes near; what goes beyond is counted.
pub const CANDIDATES_MAX: usize = 256;

/// Bytes of the longest message (the length before a message on TCP has 16 bits).
const MESSAGE_MAX: usize = 65_535;

const HEADER_BYTES: usize = 12;

/// Which section of the message (RFC 1035 section 4.1; in an UPDATE the four of RFC 2136 section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// What is asked (UPDATE: the zone).
    Question,
    /// Answers (UPDATE: prerequisites).
    Answer,
    /// Name servers and SOA (UPDATE: what is to change).
    Authority,
    /// Whatever else.
    Additional,
}

/// Which part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The record's own name, or the name asked for.
    Owner,
    /// A name inside the record's data (CNAME target, mail exchanger ...).
    Data,
}

/// Where in a message a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Section.
    pub section: Section,
    /// Owner or data.
    pub part: Part,
    /// Type of the record or the question; 0 where the message ends before it.
    pub rr_type: u16,
}

/// A name that hit the set: `matching` finds out whether and by what it is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Where the name begins in the message.
    pub offset: u32,
    /// Where it stands.
    pub place: Place,
}

/// The first thing that was wrong with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not even a header.
    #[error("message of {length} bytes has no header")]
    Header {
        /// Bytes there are.
        length: usize,
    },
    /// Longer than any message can be; only the first 65,535 bytes were screened.
    #[error("message of {length} bytes is longer than 65535")]
    TooLong {
        /// Bytes there are.
        length: usize,
    },
    /// A name cannot be read.
    #[error("name at byte {offset}: {fault}")]
    Name {
        /// Where the name begins.
        offset: usize,
        /// Why.
        fault: NameFault,
    },
    /// The message ends before the header's counts are used up.
    #[error("message ends at byte {length} within record {index} of the {section:?} section")]
    Truncated {
        /// Section of the first record that is not whole.
        section: Section,
        /// Its number in the section, from 0.
        index: u16,
        /// Bytes there are.
        length: usize,
    },
    /// A name in a record's data goes beyond it.
    #[error("data of type {rr_type} at byte {offset} ends within a name")]
    Data {
        /// Type of the record.
        rr_type: u16,
        /// Where its data begins.
        offset: usize,
    },
}

/// What came out for one message.
#[derive(Clone, Copy, Debug)]
pub struct Screened<'s> {
    /// Names that hit, in the order of the message.
    pub candidates: &'s [Candidate],
    /// Names that hit beyond [`CANDIDATES_MAX`]: not among the candidates.
    pub dropped: u64,
    /// The first fault; what stands behind it may not have been screened.
    pub malformed: Option<Malformed>,
}

/// What the screen saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScreenCounts {
    /// Messages screened.
    pub messages: u64,
    /// Of them, malformed.
    pub malformed: u64,
    /// Of them, with a candidate.
    pub hits: u64,
    /// Names walked.
    pub names: u64,
    /// Labels hashed, each followed by one probe of the set (top-level ones mostly taken from memory).
    pub labels: u64,
    /// Candidates found.
    pub candidates: u64,
    /// Candidates left out because a message held more than [`CANDIDATES_MAX`].
    pub candidates_dropped: u64,
}

/// Screens messages one after the other; its memory serves them all.
#[derive(Debug)]
pub struct Screen {
    names: Names,
    candidates: Vec<Candidate>,
    counts: ScreenCounts,
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl Screen {
    /// A screen with all memory it will ever take (under 1 MiB, of which little is touched).
    pub fn new() -> Self {
        let candidates = Vec::with_capacity(CANDIDATES_MAX);
        Self { names: Names::new(), candidates, counts: ScreenCounts::default() }
    }

    /// What was seen so far.
    pub fn counts(&self) -> ScreenCounts {
        ScreenCounts { labels: self.names.labels(), ..self.counts }
    }

    /// Finds the names of one message that hit the set.
    pub fn candidates(&mut self, message: &[u8], set: &ThreatSet) -> Screened<'_> {
        self.candidates.clear();
        let dropped_before = self.counts.candidates_dropped;
        self.names.begin(set);
        let mut pass = Pass {
            names: &mut self.names,
            candidates: &mut self.candidates,
            counts: &mut self.counts,
            set,
            message: message.get(..MESSAGE_MAX).unwrap_or(message),
            malformed: None,
        };
        pass.message();
        if message.len() > MESSAGE_MAX {
            pass.note(Malformed::TooLong { length: message.len() });
        }
        let malformed = pass.malformed;
        self.counts.messages += 1;
        self.counts.malformed += u64::from(malformed.is_some());
        self.counts.hits += u64::from(!self.candidates.is_empty());
        let dropped = self.counts.candidates_dropped - dropped_before;
        Screened { candidates: &self.candidates, dropped, malformed }
    }
}

/// One message under way.
struct Pass<'a> {
    names: &'a mut Names,
    candidates: &'a mut Vec<Candidate>,
    counts: &'a mut ScreenCounts,
    set: &'a ThreatSet,
    message: &'a [u8],
    malformed: Option<Malformed>,
}

impl Pass<'_> {
    fn message(&mut self) {
        let Some([_, _, _, _, q0, q1, a0, a1, n0, n1, x0, x1]) = self.message.first_chunk::<HEADER_BYTES>()
        else {
            return self.note(Malformed::Header { length: self.message.len() });
        };
        let mut at = HEADER_BYTES;
        for index in 0..u16::from_be_bytes([*q0, *q1]) {
            match self.question(at) {
                Some(next) => at = next,
                None => return self.truncated(Section::Question, index),
            }
        }
        let sections = [
            (Section::Answer, [*a0, *a1]),
            (Section::Authority, [*n0, *n1]),
            (Section::Additional, [*x0, *x1]),
        ];
        for (section, count) in sections {
            for index in 0..u16::from_be_bytes(count) {
                match self.record(section, at) {
                    Some(next) => at = next,
                    None => return self.truncated(section, index),
                }
            }
        }
    }

    #[cold]
    fn truncated(&mut self, section: Section, index: u16) {
        self.note(Malformed::Truncated { section, index, length: self.message.len() });
    }

    /// `None` where the message ends, or nobody can say where the next record begins.
    fn question(&mut self, at: usize) -> Option<usize> {
        let walked = self.walk(at, self.message.len());
        let fixed = walked.end.and_then(|end| self.message.get(end..)?.first_chunk::<4>());
        let kind = fixed.map(|[high, low, ..]| u16::from_be_bytes([*high, *low]));
        self.keep(walked, at, Section::Question, Part::Owner, kind);
        kind.and(walked.end).map(|end| end + 4)
    }

    fn record(&mut self, section: Section, at: usize) -> Option<usize> {
        let walked = match self.message.get(at) {
            // The root, as EDNS has it in every message.
            Some(0) => Walked { end: Some(at + 1), hit: false, fault: None },
            _ => self.walk(at, self.message.len()),
        };
        let fixed = walked.end.and_then(|end| self.message.get(end..)?.first_chunk::<10>());
        let kind = fixed.map(|[high, low, ..]| u16::from_be_bytes([*high, *low]));
        self.keep(walked, at, section, Part::Owner, kind);
        let (kind, [.., high, low]) = (kind?, fixed?);
        let start = walked.end? + 10;
        let end = start + usize::from(u16::from_be_bytes([*high, *low]));
        // Empty data is no fault: an UPDATE deletes so (RFC 2136 section 2.5).
        if let Some(fields) = data::fields(kind).filter(|_| end > start) {
            self.data(section, kind, fields, start, end);
        }
        (end <= self.message.len()).then_some(end)
    }

    #[inline(never)]
    fn data(&mut self, section: Section, rr_type: u16, fields: Fields, start: usize, end: usize) {
        let mut at = fields.first_name(self.message, start);
        for _ in 0..fields.names {
            let Some(begin) = at.filter(|begin| *begin < end) else {
                return self.note(Malformed::Data { rr_type, offset: start });
            };
            let walked = self.walk(begin, end);
            // A name that runs on into the next record is not one that anybody sent.
            let cut = walked.end.is_none() && walked.fault == Some(NameFault::Truncated);
            if cut && end <= self.message.len() {
                return self.note(Malformed::Data { rr_type, offset: start });
            }
            self.keep(walked, begin, section, Part::Data, Some(rr_type));
            at = walked.end;
        }
    }

    fn walk(&mut self, at: usize, limit: usize) -> Walked {
        self.counts.names += 1;
        self.names.walk(self.message, at, limit, self.set)
    }

    fn keep(&mut self, walked: Walked, at: usize, section: Section, part: Part, rr_type: Option<u16>) {
        if let Some(fault) = walked.fault {
            self.note(Malformed::Name { offset: at, fault });
        }
        if walked.hit {
            self.candidate(at, Place { section, part, rr_type: rr_type.unwrap_or(0) });
        }
    }

    #[cold]
    fn candidate(&mut self, at: usize, place: Place) {
        self.counts.candidates += 1;
        match u32::try_from(at) {
            Ok(offset) if self.candidates.len() < CANDIDATES_MAX => {
                self.candidates.push(Candidate { offset, place });
            }
            _ => self.counts.candidates_dropped += 1,
        }
    }

    #[cold]
    fn note(&mut self, malformed: Malformed) {
        self.malformed.get_or_insert(malformed);
    }
}

#[cfg(test)]
mod tests;
