//! Equal exchanges -> equal digests, without reading them: what was read once in an interval need not be read again.
//!
//! A digest covers all that makes exchanges equal, and leaves out what does not: id, times to live, the order of records in
//! their section, the case of names (0x20), EDNS options. Names are taken apart, wherever compression pointers lead. Two
//! exchanges that are not equal share a digest by chance alone: 128 bits, under a key that nobody outside knows. What a
//! digest cannot be sure of has none, and is read.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::IpAddr;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::pipeline::exchange::{RECORDS_MAX, UnreadExchange};
use crate::pipeline::packet::Transport;

/// The longest name (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 255;
/// Pointers in one name; no encoder follows a pointer by a pointer.
const POINTERS_MAX: usize = 8;
const OPT: u16 = 41;

/// Makes digests under one key.
#[derive(Debug)]
pub(super) struct Digests {
    keys: [u64; 2],
}

impl Default for Digests {
    /// Under a key of its own, made of what the system gives at random.
    fn default() -> Self {
        Self { keys: [(); 2].map(|()| RandomState::new().build_hasher().finish()) }
    }
}

impl Digests {
    /// The digest of an exchange, with whose it is; `None` where it has to be read.
    pub(super) fn of(&self, exchange: &UnreadExchange) -> Option<u128> {
        let mut hasher = self.hasher();
        let key = exchange.attributed.workload.key();
        hasher.write_usize(key.len());
        hasher.write(key.as_bytes());
        hasher.write_u8(u8::from(exchange.server_side) | u8::from(exchange.transport == Transport::Tcp) << 1);
        for address in [exchange.client.ip(), exchange.server.ip()] {
            hasher.write(&octets(address));
        }
        for message in [&exchange.query, &exchange.answer] {
            hasher.write_u128(if message.is_empty() { 0 } else { self.message(message)? });
        }
        Some(hasher.finish128().as_u128())
    }

    pub(super) fn hasher(&self) -> SipHasher13 {
        let [one, two] = self.keys;
        SipHasher13::new_with_keys(one, two)
    }

    fn message(&self, bytes: &[u8]) -> Option<u128> {
        let (_id, flags_and_counts) = bytes.first_chunk::<12>()?.split_at(2);
        let mut hasher = self.hasher();
        hasher.write(flags_and_counts);
        let (_flags, counts) = flags_and_counts.split_at(2);
        let mut counts =
            counts.as_chunks::<2>().0.iter().map(|count| usize::from(u16::from_be_bytes(*count)));
        let mut walk = Walk { digests: self, bytes, at: 12, options: 0 };
        for _ in 0..within(counts.next()?)? {
            walk.name(&mut hasher, true)?;
            hasher.write(walk.take(4)?);
        }
        for count in counts {
            let mut sum = 0_u128;
            for _ in 0..within(count)? {
                sum = sum.wrapping_add(walk.record()?);
            }
            hasher.write_u128(sum);
        }
        hasher.write(bytes.get(walk.at..)?);
        (walk.options <= 1).then(|| hasher.finish128().as_u128())
    }
}

/// What is read of a message ends there: which records those are depends on their order.
fn within(count: usize) -> Option<usize> {
    (count <= RECORDS_MAX).then_some(count)
}

fn number(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |number, byte| number << 8 | u16::from(*byte))
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// Where the names of a type's data are.
struct Layout {
    /// Bytes before the first name.
    before: usize,
    names: usize,
    /// Whether the case of its names makes no difference, as `exchange` writes them.
    folded: bool,
}

/// The layout of the types that answers are made of; others are read.
fn layout(kind: u16) -> Option<Layout> {
    let (before, names, folded) = match kind {
        // A, TXT, AAAA, DS, DNSKEY, CAA
        1 | 16 | 28 | 43 | 48 | 257 => (0, 0, true),
        // NS, CNAME, PTR, DNAME
        2 | 5 | 12 | 39 => (0, 1, true),
        // SOA
        6 => (0, 2, false),
        // MX, SVCB, HTTPS
        15 | 64 | 65 => (2, 1, true),
        // SRV
        33 => (6, 1, true),
        // RRSIG
        46 => (18, 1, false),
        _ => return None,
    };
    Some(Layout { before, names, folded })
}

struct Walk<'m> {
    digests: &'m Digests,
    bytes: &'m [u8],
    at: usize,
    /// OPT records so far: the first one counts.
    options: usize,
}

impl<'m> Walk<'m> {
    fn take(&mut self, length: usize) -> Option<&'m [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn record(&mut self) -> Option<u128> {
        let mut hasher = self.digests.hasher();
        self.name(&mut hasher, true)?;
        let (kind_and_class, rest) = self.take(10)?.split_at(4);
        let (time_to_live, length) = rest.split_at(4);
        let (kind, class) = kind_and_class.split_at(2);
        hasher.write(kind);
        let end = self.at.checked_add(usize::from(number(length)))?;
        if end > self.bytes.len() {
            return None;
        }
        if number(kind) == OPT {
            // Upper bits of the response code, and flags.
            hasher.write(time_to_live);
            self.options += 1;
            self.step_over_options(end)?;
        } else {
            hasher.write(class);
            self.data(&layout(number(kind))?, end, &mut hasher)?;
        }
        Some(hasher.finish128().as_u128())
    }

    fn data(&mut self, layout: &Layout, end: usize, hasher: &mut SipHasher13) -> Option<()> {
        hasher.write(self.take(layout.before.min(end - self.at))?);
        // An UPDATE may name a type without any data.
        for _ in 0..if self.at < end { layout.names } else { 0 } {
            self.name(hasher, layout.folded)?;
        }
        let rest = self.bytes.get(self.at..end)?;
        hasher.write_usize(rest.len());
        hasher.write(rest);
        self.at = end;
        Some(())
    }

    fn step_over_options(&mut self, end: usize) -> Option<()> {
        while self.at < end {
            let length = usize::from(number(self.take(4)?.split_at(2).1));
            self.take(length)?;
        }
        (self.at == end).then_some(())
    }

    /// Takes in a name label by label, and moves behind it.
    fn name(&mut self, hasher: &mut SipHasher13, folded: bool) -> Option<()> {
        let mut name = [0; NAME_MAX];
        let (mut length, mut at, mut bound, mut behind, mut pointers) = (0, self.at, self.at, None, 0);
        // What a pointer leads to ends before the part that it stands in, as whoever reads it demands.
        let mut end = self.bytes.len();
        loop {
            if at >= end {
                return None;
            }
            match *self.bytes.get(at)? {
                0 => break,
                label @ 1..=0x3F => {
                    let label = self.bytes.get(at..=at + usize::from(label))?;
                    // Its length and the root's must find room too.
                    name.get_mut(length..length + label.len())?.copy_from_slice(label);
                    (length, at) = (length + label.len(), at + label.len());
                }
                0x40..=0xBF => return None,
                high @ 0xC0.. => {
                    let target = usize::from(high & 0x3F) << 8 | usize::from(*self.bytes.get(at + 1)?);
                    behind.get_or_insert(at + 2);
                    pointers += 1;
                    // Ever further back, as whoever reads it demands.
                    if target >= bound || pointers > POINTERS_MAX {
                        return None;
                    }
                    (at, bound, end) = (target, target, bound);
                }
            }
        }
        let name = name.get_mut(..=length)?;
        if folded {
            // Lengths are below any letter.
            name.make_ascii_lowercase();
        }
        hasher.write(name);
        self.at = behind.unwrap_or(at + 1);
        Some(())
    }
}

#[cfg(test)]
mod tests;
