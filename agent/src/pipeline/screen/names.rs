//! One name of a message, walked in place: labels and compression pointers -> hashes, probes, hit or not.
//!
//! From any byte of a message a name is determined: a label is followed by what stands behind it, a pointer (RFC 1035
//! section 4.1.4) by what stands where it points, which must be before the pointer itself. So the outcome is remembered
//! by offset, and whoever comes by again takes it from there, damaged names included. Only the first 16 KiB can be
//! pointed to and need remembering.

use namewarden_protocol::threat_set::{NameHasher, ThreatSet};

use super::top_level::TopLevel;

/// Offsets that 14 bits of a pointer can say.
const POINTABLE: usize = 1 << 14;

/// Bytes of the longest name (RFC 1035 section 3.1).
const NAME_MAX: usize = 255;

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
    path: Path,
    top_level: TopLevel,
    labels: u64,
}

/// Offsets of labels and pointers, from a name's beginning to what is known. Each offset stands there once at most, so
/// the room is never outgrown.
#[derive(Debug)]
struct Path {
    offsets: Box<[u16]>,
    count: usize,
    /// Offsets taken since the screen began: what the walks cost.
    #[cfg(test)]
    steps: u64,
}

impl Path {
    #[inline]
    fn push(&mut self, at: usize) {
        #[cfg(test)]
        {
            self.steps += 1;
        }
        if let Some(place) = self.offsets.get_mut(self.count) {
            *place = narrow(at);
            self.count += 1;
        }
    }

    #[inline]
    fn get(&self, index: usize) -> usize {
        self.offsets.get(index).copied().map_or(0, usize::from)
    }
}

impl Names {
    pub fn new() -> Self {
        let path = Path {
            offsets: vec![0; 1 << 16].into_boxed_slice(),
            count: 0,
            #[cfg(test)]
            steps: 0,
        };
        Self {
            memo: vec![NOTHING; POINTABLE].into_boxed_slice(),
            stamp: 0,
            path,
            top_level: TopLevel::new(),
            labels: 0,
        }
    }

    /// Labels hashed so far.
    pub fn labels(&self) -> u64 {
        self.labels
    }

    /// Labels and pointers stepped over so far, be they hashed or not.
    #[cfg(test)]
    pub fn steps(&self) -> u64 {
        self.path.steps
    }

    /// Forgets the last message.
    pub fn begin(&mut self, set: &ThreatSet) {
        self.top_level.serve(set);
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            self.memo.fill(NOTHING);
            self.stamp = 1;
        }
    }

    /// Walks the name that begins at `start` and ends before `limit`, or with a pointer before it. What runs on is
    /// truncated and not remembered: its bytes belong to the next record, which is walked itself.
    #[inline]
    pub fn walk(&mut self, message: &[u8], start: usize, limit: usize, set: &ThreatSet) -> Walked {
        let within = message.get(..limit).unwrap_or(message);
        self.path.count = 0;
        let hasher = set.hasher();
        let mut at = start;
        // The name's own labels are new bytes: nothing is remembered of them.
        let byte = loop {
            match within.get(at) {
                Some(length @ 1..=63) => {
                    self.path.push(at);
                    at += 1 + usize::from(*length);
                }
                other => break other.copied(),
            }
        };
        let (base, end) = match byte {
            Some(0) => (Ok(root(hasher)), Some(at + 1)),
            Some(0xc0..) if at + 1 < within.len() => (self.follow(message, at, hasher), Some(at + 2)),
            None | Some(0xc0..) => {
                return Walked { end: None, hit: false, fault: Some(NameFault::Truncated) };
            }
            Some(byte) => (Err(NameFault::LabelType { byte }), None),
        };
        let mut fault = base.err();
        let name = self.climb(message, base.unwrap_or(NO_NAME), set, &mut fault);
        if fault.is_some() {
            return Walked { end, hit: false, fault };
        }
        // A name that is nothing but a pointer is the name it points to.
        let subject = if at == start { target(message, at).unwrap_or(at) } else { start };
        Walked { end, hit: self.whole(subject, name, set), fault }
    }

    /// From a pointer on to something known, or to the end.
    #[inline]
    fn follow(&mut self, message: &[u8], pointer: usize, hasher: NameHasher) -> Result<Suffix, NameFault> {
        let at = target(message, pointer)?;
        match self.known(at) {
            Some(known) => known,
            None => self.follow_unknown(message, at, hasher),
        }
    }

    #[cold]
    fn follow_unknown(
        &mut self,
        message: &[u8],
        mut at: usize,
        hasher: NameHasher,
    ) -> Result<Suffix, NameFault> {
        for index in 0..self.path.count {
            self.remember(self.path.get(index), NO_NAME, Progress::Pending);
        }
        loop {
            // Nothing is remembered out there: what leads so far is no name, wherever it ends.
            if at > POINTABLE + NAME_MAX {
                return Err(NameFault::TooLong);
            }
            let byte = *message.get(at).ok_or(NameFault::Truncated)?;
            match byte {
                0 => return Ok(root(hasher)),
                64..=191 => return Err(NameFault::LabelType { byte }),
                _ => {
                    self.path.push(at);
                    self.remember(at, NO_NAME, Progress::Pending);
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
        base: Suffix,
        set: &ThreatSet,
        fault: &mut Option<NameFault>,
    ) -> Suffix {
        let hasher = set.hasher();
        let mut current = base;
        let mut count = self.path.count;
        if current.length == 1 && count > 0 {
            count -= 1;
            let at = self.path.get(count);
            current = self.top(message, at, set).unwrap_or(base);
            self.remember(at, current, Progress::Known);
        }
        for index in (0..count).rev() {
            let at = self.path.get(index);
            let label = usize::from(message.get(at).copied().unwrap_or(u8::MAX));
            // Neither a pointer, which is what it points to, nor the rest of what is no name.
            if label < 64 && current.length > 0 {
                self.labels += 1;
                let hash = hasher.extend_within(current.hash, message, at + 1, label);
                let hit = current.hit | set.probe(hash).is_some();
                let length = u8::try_from(usize::from(current.length) + 1 + label);
                current = length.map_or(NO_NAME, |length| Suffix { hash, length, hit });
                if current.length == 0 {
                    *fault = Some(NameFault::TooLong);
                }
            }
            self.remember(at, current, Progress::Known);
        }
        current
    }

    /// The top-level label at an offset; `None` for a pointer.
    #[inline]
    fn top(&mut self, message: &[u8], at: usize, set: &ThreatSet) -> Option<Suffix> {
        let length = *message.get(at).filter(|length| **length < 64)?;
        self.labels += 1;
        let top = self.top_level.find(message, at + 1, usize::from(length), set);
        Some(Suffix { hash: top.hash, length: length + 2, hit: top.hit })
    }

    /// Whether a whole name hits, and was not asked for before.
    #[inline]
    fn whole(&mut self, subject: usize, name: Suffix, set: &ThreatSet) -> bool {
        if name.length <= 1 {
            return false;
        }
        if let Some(memo) = self.memo.get_mut(subject).filter(|memo| memo.stamp == self.stamp) {
            if memo.progress == Progress::Whole {
                return false;
            }
            memo.progress = Progress::Whole;
        }
        name.hit || set.probe(set.hasher().exact(name.hash)).is_some()
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
    fn remember(&mut self, at: usize, suffix: Suffix, progress: Progress) {
        if let Some(memo) = self.memo.get_mut(at) {
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

/// Messages are at most 65,535 bytes long.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the screen cuts what is longer")]
fn narrow(at: usize) -> u16 {
    at as u16
}
