//! Fragments of IP datagrams -> whole payloads.
//!
//! Bounded in datagrams, bytes and age. Fragments that overlap spoil their datagram (RFC 5722, for IPv4 as well: which of
//! two contents a host would take cannot be known); one that came twice, byte for byte, does not (RFC 8200 section 4.5).

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::network::{Datagram, Fragment};
use crate::pipeline::packet::Timestamp;

const DATAGRAMS_MAX: usize = 1024;
const BYTES_MAX: usize = 16 << 20;
/// The largest datagram, by its 16-bit length.
const DATAGRAM_MAX: usize = 65_535;
/// RFC 1122 section 3.3.2: 60 to 120 seconds; RFC 8200: 60.
const AGE_MAX_NS: u64 = 60_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    /// IPv4 only; IPv6 datagrams are told apart without it.
    protocol: Option<u8>,
}

#[derive(Debug, Default)]
struct Pieces {
    by_offset: BTreeMap<usize, Vec<u8>>,
    bytes: usize,
    /// Length of the whole, once the last fragment is there.
    whole: Option<usize>,
    /// Protocol as the first fragment says it.
    protocol: u8,
    since: Timestamp,
    /// Fragments overlapped: whatever else comes of this datagram is dropped.
    spoilt: bool,
}

/// What a fragment led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// Its datagram is not whole yet; so many fragments were dropped.
    Waiting { dropped: u64 },
    /// Its datagram is whole.
    Complete { protocol: u8, payload: Vec<u8> },
}

/// The datagrams of which fragments are missing.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    waiting: HashMap<Key, Pieces, ahash::RandomState>,
    bytes: usize,
}

impl Fragments {
    /// Takes one fragment.
    pub(super) fn fragment(
        &mut self,
        datagram: &Datagram<'_>,
        fragment: Fragment<'_>,
        now: Timestamp,
    ) -> Joined {
        let key = Key {
            source: datagram.source,
            destination: datagram.destination,
            identification: fragment.identification,
            protocol: datagram.source.is_ipv4().then_some(fragment.protocol),
        };
        let mut dropped = self.make_room(key, now);
        let pieces = self.waiting.entry(key).or_insert_with(|| Pieces { since: now, ..Pieces::default() });
        let before = pieces.bytes;
        dropped += pieces.add(fragment);
        self.bytes = (self.bytes + pieces.bytes).saturating_sub(before);
        if pieces.whole != Some(pieces.bytes) {
            return Joined::Waiting { dropped };
        }
        let Some(pieces) = self.waiting.remove(&key) else { return Joined::Waiting { dropped } };
        self.bytes = self.bytes.saturating_sub(pieces.bytes);
        let protocol = pieces.protocol;
        Joined::Complete { protocol, payload: pieces.by_offset.into_values().flatten().collect() }
    }

    /// Drops a datagram that is overdue, and the oldest ones while there is no room; says how many fragments they had.
    fn make_room(&mut self, key: Key, now: Timestamp) -> u64 {
        let mut dropped = 0;
        let overdue =
            self.waiting.get(&key).is_some_and(|known| now.0.saturating_sub(known.since.0) > AGE_MAX_NS);
        if overdue {
            dropped += self.forget(key);
        }
        while self.waiting.len() >= DATAGRAMS_MAX || self.bytes > BYTES_MAX - DATAGRAM_MAX {
            let oldest = self.waiting.iter().min_by_key(|(_, pieces)| pieces.since).map(|(key, _)| *key);
            let Some(oldest) = oldest else { break };
            dropped += self.forget(oldest);
        }
        dropped
    }

    fn forget(&mut self, key: Key) -> u64 {
        let Some(pieces) = self.waiting.remove(&key) else { return 0 };
        self.bytes = self.bytes.saturating_sub(pieces.bytes);
        pieces.by_offset.len() as u64
    }
}

impl Pieces {
    /// Takes one fragment in; says how many were dropped.
    fn add(&mut self, fragment: Fragment<'_>) -> u64 {
        let end = fragment.offset + fragment.payload.len();
        if self.spoilt || self.by_offset.get(&fragment.offset).is_some_and(|known| known == fragment.payload)
        {
            return 1;
        }
        let length_fits = match self.whole {
            Some(whole) if !fragment.more => whole == end,
            Some(whole) => end <= whole,
            None => {
                fragment.more
                    || self.by_offset.last_key_value().is_none_or(|(at, last)| at + last.len() <= end)
            }
        };
        // Only the last fragment may have a length that is no multiple of eight.
        let aligned =
            !fragment.more || (fragment.payload.len().is_multiple_of(8) && !fragment.payload.is_empty());
        if !length_fits || !aligned || end > DATAGRAM_MAX || self.overlaps(fragment.offset, end) {
            return self.spoil() + 1;
        }
        if !fragment.more {
            self.whole = Some(end);
        }
        if fragment.offset == 0 {
            self.protocol = fragment.protocol;
        }
        self.bytes += fragment.payload.len();
        self.by_offset.insert(fragment.offset, fragment.payload.to_vec());
        0
    }

    fn overlaps(&self, start: usize, end: usize) -> bool {
        self.by_offset.range(..end).next_back().is_some_and(|(at, last)| at + last.len() > start)
    }

    fn spoil(&mut self) -> u64 {
        let dropped = self.by_offset.len() as u64;
        *self = Self { since: self.since, spoilt: true, ..Self::default() };
        dropped
    }
}
