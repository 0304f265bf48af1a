//! One name of a message, walked in place: labels and compression pointers -> hashes, probes, hit or not.
//!
//! From any byte of a message a name is determined: a label is followed by what stands behind it, a pointer (RFC 1035
//! section 4.1.4) by what stands where it points, which must be before the pointer itself. So the outcome is remembered
//! by offset, and whoever comes by again takes it from there, damaged names included. Only the first 16 KiB can be
//! pointed to and need remembering.

use namewarden_protocol::threat_set::{NameHasher, ThreatSet};

/// Offsets that 14 bits of a pointer can say.
const POINTABLE: usize = 1 << 14;

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameFault {
    /// The message ends within it.
    #[error("the message ends within it")]
    Truncated,
    /// A label's length that no label has (RFC 1035 reserves 0x40 and 0x80).
    #[error("label type {byte:#04x}")]
    LabelType {
        /// The length byte.
        byte: u8,
    },
    /// A pointer to itself or to what comes after it.
    #[error("pointer at byte {at} to byte {target}")]
    Forward {
        /// Where the pointer stands.
        at: usize,
        /// Where it points.
        target: usize,
    },
    /// Pointers lead back to where they came from.
    #[error("pointers go round")]
    Loop,
    /// More than 255 bytes on the wire (RFC 1035 section 3.1).
    #[error("longer than 255 bytes")]
    TooLong,
    /// It goes on at an offset that was found damaged before.
    #[error("goes on in the damaged name at byte {at}")]
    Damaged {
        /// The offset.
        at: usize,
    },
}

/// What a walk gave.
#[derive(Clone, Copy, Debug)]
pub struct Walked {
    /// Where the message goes on behind the name; `None` where nobody can say.
    pub end: Option<usize>,
    /// The name hit the set and was not reported before.
    pub hit: bool,
    /// Why it is no name.
    pub fault: Option<NameFault>,
}

/// The name that begins at some offset.
#[derive(Clone, Copy, Debug)]
struct Suffix {
    hash: u64,
    /// Bytes on the wire, final zero included; 0 for what is no name.
    length: u8,
    /// Some suffix of it is listed.
    hit: bool,
}

/// What is remembered of an offset, of the message with this stamp.
#[derive(Clone, Copy, Debug)]
struct Memo {
    hash: u64,
    stamp: u32,
    length: u8,
    hit: bool,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// On the path of the walk under way: whoever arrives here goes round.
    Pending,
    /// The suffix is known.
    Known,
    /// Known, and asked for as a whole name: its exact hash was probed, its hit reported.
    Whole,
}

const NO_NAME: Suffix = Suffix { hash: 0, length: 0, hit: false };
const NOTHING: Memo = Memo { hash: 0, stamp: 0, length: 0, hit: false, progress: Progress::Pending };

const _: () = assert!(size_of::<Memo>() == 16, "the memo of a message should stay in the first cache");

/// Walks the names of one message after the other.
#[derive(Debug)]
pub struct Names {
    memo: Box<[Memo]>,
    stamp: u32,
    /// Offsets of labels and pointers, from the name's beginning to what was known.
    path: Vec<u16>,
    labels: u64,
}

impl Names {
    pub fn new() -> Self {
        // A path holds each offset once: it never outgrows a message's bytes.
        let path = Vec::with_capacity(1 << 16);
        Self { memo: vec![NOTHING; POINTABLE].into_boxed_slice(), stamp: 0, path, labels: 0 }
    }

    /// Labels hashed so far.
    pub fn labels(&self) -> u64 {
        self.labels
    }

    /// Forgets the last message.
    pub fn begin(&mut self) {
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            self.memo.fill(NOTHING);
            self.stamp = 1;
        }
    }

    /// Walks the name that begins at `start`.
    pub fn walk(&mut self, message: &[u8], start: usize, set: &ThreatSet) -> Walked {
        self.path.clear();
        let hasher = set.hasher();
        let mut at = start;
        // The name's own labels are new bytes: nothing is remembered of them.
        let (base, end, subject) = loop {
            match message.get(at) {
                Some(0) => break (Ok(root(hasher)), Some(at + 1), start),
                Some(length @ 1..=63) => {
                    self.path.push(narrow(at));
                    at += 1 + usize::from(*length);
                }
                Some(0xc0..) => {
                    let end = (at + 2 <= message.len()).then_some(at + 2);
                    // A name that is nothing but a pointer is the name it points to.
                    let subject = if at == start { target(message, at).unwrap_or(at) } else { start };
                    break (self.follow(message, at, hasher), end, subject);
                }
                Some(byte) => break (Err(NameFault::LabelType { byte: *byte }), None, start),
                None => break (Err(NameFault::Truncated), None, start),
            }
        };
        match self.climb(message, base, set) {
            Ok(suffix) => Walked { end, hit: self.whole(subject, suffix, set), fault: None },
            Err(fault) => Walked { end, hit: false, fault: Some(fault) },
        }
    }

    /// From a pointer on to something known, or to the end.
    fn follow(&mut self, message: &[u8], pointer: usize, hasher: NameHasher) -> Result<Suffix, NameFault> {
        let mut at = target(message, pointer)?;
        if let Some(known) = self.known(at) {
            return known;
        }
        for index in 0..self.path.len() {
            let own = self.path.get(index).copied().unwrap_or_default();
            self.remember(own, NO_NAME, Progress::Pending);
        }
        loop {
            let byte = *message.get(at).ok_or(NameFault::Truncated)?;
            match byte {
                0 => return Ok(root(hasher)),
                64..=191 => return Err(NameFault::LabelType { byte }),
                _ => {
                    self.path.push(narrow(at));
                    self.remember(narrow(at), NO_NAME, Progress::Pending);
                }
            }
            at = if byte < 64 { at + 1 + usize::from(byte) } else { target(message, at)? };
            if let Some(known) = self.known(at) {
                return known;
            }
        }
    }

    /// From the end of the path back to its beginning: hashes and probes each suffix, remembers it.
    #[inline]
    fn climb(
        &mut self,
        message: &[u8],
        base: Result<Suffix, NameFault>,
        set: &ThreatSet,
    ) -> Result<Suffix, NameFault> {
        let hasher = set.hasher();
        let mut current = base;
        for index in (0..self.path.len()).rev() {
            let at = self.path.get(index).copied().unwrap_or_default();
            if let (Ok(parent), Some(label)) = (current, label(message, usize::from(at))) {
                self.labels += 1;
                let hash = hasher.extend(parent.hash, label);
                let hit = parent.hit | set.probe(hash).is_some();
                let length = usize::from(parent.length) + 1 + label.len();
                let length = u8::try_from(length).map_err(|_| NameFault::TooLong);
                current = length.map(|length| Suffix { hash, length, hit });
            }
            self.remember(at, current.unwrap_or(NO_NAME), Progress::Known);
        }
        current
    }

    /// Whether a whole name hits, and was not asked for before.
    #[inline]
    fn whole(&mut self, subject: usize, suffix: Suffix, set: &ThreatSet) -> bool {
        if suffix.length <= 1 {
            return false;
        }
        if let Some(memo) = self.memo.get_mut(subject).filter(|memo| memo.stamp == self.stamp) {
            if memo.progress == Progress::Whole {
                return false;
            }
            memo.progress = Progress::Whole;
        }
        suffix.hit || set.probe(set.hasher().exact(suffix.hash)).is_some()
    }

    #[inline]
    fn known(&self, at: usize) -> Option<Result<Suffix, NameFault>> {
        let memo = self.memo.get(at).filter(|memo| memo.stamp == self.stamp)?;
        Some(match memo.progress {
            Progress::Pending => Err(NameFault::Loop),
            _ if memo.length == 0 => Err(NameFault::Damaged { at }),
            _ => Ok(Suffix { hash: memo.hash, length: memo.length, hit: memo.hit }),
        })
    }

    #[inline]
    fn remember(&mut self, at: u16, suffix: Suffix, progress: Progress) {
        if let Some(memo) = self.memo.get_mut(usize::from(at)) {
            let Suffix { hash, length, hit } = suffix;
            *memo = Memo { hash, stamp: self.stamp, length, hit, progress };
        }
    }
}

#[inline]
fn root(hasher: NameHasher) -> Suffix {
    Suffix { hash: hasher.root(), length: 1, hit: false }
}

/// Where a pointer points.
#[inline]
fn target(message: &[u8], at: usize) -> Result<usize, NameFault> {
    let bytes = message.get(at..).and_then(|rest| rest.first_chunk::<2>()).ok_or(NameFault::Truncated)?;
    let target = usize::from(u16::from_be_bytes(*bytes) & 0x3fff);
    if target < at { Ok(target) } else { Err(NameFault::Forward { at, target }) }
}

/// The label at an offset; `None` for a pointer.
#[inline]
fn label(message: &[u8], at: usize) -> Option<&[u8]> {
    let length = usize::from(*message.get(at)?);
    message.get(at + 1..at + 1 + length).filter(|_| length < 64)
}

/// Messages are at most 65,535 bytes long.
#[inline]
fn narrow(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}
