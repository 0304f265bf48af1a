//! TCP segments -> DNS messages, in order; UDP datagrams pass through.
//!
//! Comes in: packets as the hook or a capture file shows them: retransmitted, out of order, split and coalesced at will.
//! Goes out: each message once, when its last byte is there; one that lies whole in a segment is handed on from there,
//! without a copy. Streams, bytes and waiting time are bounded, and every byte is accounted for.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::packet::{Packet, RawMessage, Timestamp};
use connection::Connection;
use stream::{Context, Stamp};

// Both directions of one socket, and whether they are DNS at all.
mod connection;

// Segments of one direction -> its bytes in order.
mod stream;

// Bytes in order -> messages.
mod framing;

// Bytes of a stream joined in its middle -> where a message may start.
mod search;

// Whether bytes can be a message.
mod fit;

/// Sweeps for overdue holes and idle connections are at least this far apart.
const SWEEP: Duration = Duration::from_millis(50);
/// Candidates that are compared when a connection has to make room.
const CANDIDATES: usize = 8;
/// Sockets shown not to be DNS that are remembered until they are asked for.
const NOT_DNS_MAX: usize = 1024;

/// What reassembly may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections known at once.
    pub connections: usize,
    /// Memory for segments of one direction that wait behind a hole, in bytes.
    pub ahead_bytes: usize,
    /// Memory for all that waits, in bytes.
    pub total_bytes: usize,
    /// How long a hole is waited for, in nanoseconds.
    pub hole_age_ns: u64,
    /// How long a silent connection is remembered, in nanoseconds.
    pub idle_age_ns: u64,
}

impl Limits {
    /// For live traffic: an alert never waits for a hole longer than a retransmission would take.
    pub const LIVE: Self = Self {
        connections: 4096,
        ahead_bytes: 256 << 10,
        total_bytes: 16 << 20,
        hole_age_ns: 1_000_000_000,
        idle_age_ns: 120_000_000_000,
    };

    /// For capture files, which nobody waits for.
    pub const REPLAY: Self = Self {
        connections: 65_536,
        ahead_bytes: 4 << 20,
        total_bytes: 128 << 20,
        hole_age_ns: 60_000_000_000,
        idle_age_ns: 3_600_000_000_000,
    };
}

/// What became of the segments. The sum closes: `bytes = message_bytes + duplicate_bytes + skipped_bytes + lost_bytes +
/// muted_bytes + held_bytes`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReassembleCounts {
    /// UDP datagrams handed on as they are.
    pub datagrams: u64,
    /// TCP segments handed in.
    pub segments: u64,
    /// Their bytes of payload.
    pub bytes: u64,
    /// Messages handed on from TCP.
    pub messages: u64,
    /// Their bytes, length prefixes included.
    pub message_bytes: u64,
    /// Bytes seen before: retransmissions, duplicates, overlaps.
    pub duplicate_bytes: u64,
    /// Segments that came before their turn and waited.
    pub reordered: u64,
    /// Holes given up.
    pub gaps: u64,
    /// Bytes never seen because of them, where their number is known.
    pub gap_bytes: u64,
    /// Times that the start of a message was found in a stream joined in its middle.
    pub resynchronised: u64,
    /// Bytes in which no message was found, or of messages shorter than a header.
    pub skipped_bytes: u64,
    /// Bytes dropped unfinished: their stream ended, had a hole, fell silent or had to make room.
    pub lost_bytes: u64,
    /// Length prefixes too small for a header.
    pub short: u64,
    /// Messages handed on although their header makes no sense.
    pub implausible: u64,
    /// Connections shown not to be DNS.
    pub not_dns: u64,
    /// Bytes of such connections, from then on.
    pub muted_bytes: u64,
    /// Connections dropped to make room.
    pub evicted: u64,
    /// Connections forgotten because they were silent.
    pub idle: u64,
    /// Connections known now.
    pub connections: u64,
    /// Bytes that wait now: for a hole to be filled, or for the rest of their message.
    pub held_bytes: u64,
}

/// The stage: the connections known, and what they hold.
#[derive(Debug)]
pub struct Reassembler {
    limits: Limits,
    connections: HashMap<u64, Connection, ahash::RandomState>,
    /// Sockets in the order in which they are looked at when room is needed; may name some twice, or some long gone.
    queue: VecDeque<u64>,
    cost: usize,
    held: usize,
    swept: Timestamp,
    not_dns: Vec<u64>,
    counts: ReassembleCounts,
}

impl Reassembler {
    /// A reassembler that knows no connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            connections: HashMap::default(),
            queue: VecDeque::new(),
            cost: 0,
            held: 0,
            swept: Timestamp::default(),
            not_dns: Vec::new(),
            counts: ReassembleCounts::default(),
        }
    }

    /// Takes one packet; hands on each message that it completes. A UDP packet is a message by itself.
    pub fn segment(&mut self, packet: &Packet<'_>, each: &mut impl FnMut(&RawMessage<'_>)) {
        let Some(segment) = packet.segment else {
            self.counts.datagrams += 1;
            each(&message_of(packet, packet.payload));
            return;
        };
        self.counts.segments += 1;
        self.counts.bytes += packet.payload.len() as u64;
        let socket = packet.origin.socket;
        if !self.connections.contains_key(&socket) {
            self.make_room();
            self.queue.push_back(socket);
        }
        let connection = self.connections.entry(socket).or_default();
        let (cost, held) = (connection.cost(), connection.held());
        let counts = &mut self.counts;
        let mut hand_on = |stamp: Stamp, bytes: &[u8]| each(&message_of(&stamped(packet, stamp), bytes));
        let mut with = Context { counts, each: &mut hand_on };
        let muted_now = connection.segment(packet, segment, &self.limits, &mut with);
        self.cost = (self.cost + connection.cost()).saturating_sub(cost);
        self.held = (self.held + connection.held()).saturating_sub(held);
        if muted_now && self.not_dns.len() < NOT_DNS_MAX {
            self.not_dns.push(socket);
        }
        while self.cost > self.limits.total_bytes && self.evict(Connection::cost) {}
    }

    /// Gives up holes that were waited for too long and forgets silent connections; cheap when called often.
    pub fn expire(&mut self, now: Timestamp, each: &mut impl FnMut(&RawMessage<'_>)) {
        if !self.swept.has_passed(SWEEP, SWEEP, now) {
            return;
        }
        self.swept = now;
        self.sweep(now, self.limits, each);
    }

    /// Gives up every hole and forgets every connection: no more packets will come.
    pub fn finish(&mut self, each: &mut impl FnMut(&RawMessage<'_>)) {
        let nothing_stays = Limits { hole_age_ns: 0, idle_age_ns: 0, ..self.limits };
        self.sweep(Timestamp(u64::MAX), nothing_stays, each);
    }

    /// Sockets shown not to be DNS since the last call, so that the kernel half can stop copying them.
    pub fn not_dns(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.not_dns)
    }

    /// What became of the segments so far.
    pub fn counts(&self) -> ReassembleCounts {
        ReassembleCounts {
            connections: self.connections.len() as u64,
            held_bytes: self.held as u64,
            ..self.counts
        }
    }

    fn sweep(&mut self, now: Timestamp, limits: Limits, each: &mut impl FnMut(&RawMessage<'_>)) {
        let (counts, mut cost, mut held) = (&mut self.counts, 0, 0);
        self.connections.retain(|_, connection| {
            connection.give_up_holes(now, limits.hole_age_ns, counts, each);
            let stays = !is_over(connection.touched(), limits.idle_age_ns, now);
            if stays {
                cost += connection.cost();
                held += connection.held();
            } else {
                counts.idle += 1;
                connection.abandon(counts);
            }
            stays
        });
        (self.cost, self.held) = (cost, held);
        self.tidy_queue();
    }

    fn make_room(&mut self) {
        if self.connections.len() >= self.limits.connections {
            // The longest silent of the candidates goes.
            self.evict(|connection| {
                usize::MAX - usize::try_from(connection.touched().0).unwrap_or(usize::MAX)
            });
        }
        if self.queue.len() > 64 + 2 * self.connections.len() {
            self.tidy_queue();
        }
    }

    /// Drops the connection that ranks highest among the next few in the queue. Whoever floods the table has most of
    /// the places in the queue, so that others seldom pay. False when there is none.
    fn evict(&mut self, rank: impl Fn(&Connection) -> usize) -> bool {
        let mut worst: Option<(usize, u64)> = None;
        let mut seen = 0;
        for _ in 0..self.queue.len() {
            let Some(socket) = self.queue.pop_front() else { break };
            let Some(connection) = self.connections.get(&socket) else { continue };
            self.queue.push_back(socket);
            let ranked = (rank(connection), socket);
            worst = worst.max(Some(ranked));
            seen += 1;
            if seen >= CANDIDATES {
                break;
            }
        }
        let Some(mut connection) = worst.and_then(|(_, socket)| self.connections.remove(&socket)) else {
            return false;
        };
        self.cost = self.cost.saturating_sub(connection.cost());
        self.held = self.held.saturating_sub(connection.held());
        self.counts.evicted += 1;
        connection.abandon(&mut self.counts);
        true
    }

    fn tidy_queue(&mut self) {
        self.queue.clear();
        self.queue.extend(self.connections.keys());
    }
}

/// Whether a wait of so long that began then is over. It is as well where the clock was set back by more than that: a
/// step back makes no wait longer than three times its time.
fn is_over(began: Timestamp, wait_ns: u64, now: Timestamp) -> bool {
    let wait = Duration::from_nanos(wait_ns);
    began.has_passed(wait, wait, now)
}

/// A packet's values without payload, with the stamp of the segment that completed a message.
fn stamped(packet: &Packet<'_>, stamp: Stamp) -> Packet<'static> {
    Packet { time: stamp.time, frame: stamp.frame, payload: &[], ..*packet }
}

/// A message out of a packet: time, addresses and frame are those of the packet that completed it.
fn message_of<'m>(packet: &Packet<'_>, bytes: &'m [u8]) -> RawMessage<'m> {
    RawMessage {
        time: packet.time,
        transport: packet.transport,
        direction: packet.direction,
        source: packet.source,
        destination: packet.destination,
        origin: packet.origin,
        frame: packet.frame,
        bytes,
    }
}

#[cfg(test)]
mod tests;
