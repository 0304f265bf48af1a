//! Hashes of the top-level labels seen last, across messages: nearly every name ends in one of a few.

use namewarden_protocol::threat_set::ThreatSet;

const SLOTS: usize = 64;

/// Labels longer than this are not kept: the key has room for the length beside them.
const LABEL_MAX: usize = 7;

/// What is known of a top-level label.
#[derive(Clone, Copy, Debug, Default)]
pub struct Top {
    /// The label's bytes as they stand in the message, then their number; 0 for an empty slot.
    key: u64,
    /// Hash of the name that is this label alone.
    pub hash: u64,
    /// Whether it is listed with what is below it.
    pub hit: bool,
}

/// The labels seen last, under one set.
#[derive(Debug)]
pub struct TopLevel {
    slots: [Top; SLOTS],
    /// The set whose hashes these are.
    set: u64,
}

impl TopLevel {
    pub fn new() -> Self {
        Self { slots: [Top::default(); SLOTS], set: 0 }
    }

    /// Forgets all, if this is another set than before.
    #[inline]
    pub fn serve(&mut self, set: &ThreatSet) {
        if self.set != set.instance() {
            *self = Self { set: set.instance(), ..Self::new() };
        }
    }

    /// Looks for the label of this length that begins at an offset, hashes and probes it where it is not known.
    #[inline]
    pub fn find(&mut self, message: &[u8], at: usize, length: usize, set: &ThreatSet) -> Top {
        let word = message.get(at..).and_then(|rest| rest.first_chunk::<8>()).filter(|_| length <= LABEL_MAX);
        let Some(word) = word else { return probe(message, at, length, set) };
        let key = u64::from_le_bytes(*word) & ((1 << (length * 8)) - 1) | (length as u64) << 56;
        // Fibonacci hashing: the top six bits are the slot.
        let slot = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58) as usize;
        match self.slots.get_mut(slot) {
            Some(top) if top.key == key => *top,
            Some(top) => {
                *top = Top { key, ..probe(message, at, length, set) };
                *top
            }
            None => probe(message, at, length, set),
        }
    }
}

#[cold]
fn probe(message: &[u8], at: usize, length: usize, set: &ThreatSet) -> Top {
    let hash = set.hasher().extend_within(set.hasher().root(), message, at, length);
    Top { key: 0, hash, hit: set.probe(hash).is_some() }
}
