//! Segments of one direction -> its bytes in order.
//!
//! Sequence numbers are unwrapped to 64-bit positions around the next byte wanted, so that order is plain order. What was
//! seen before is dropped; what comes too early waits; a hole that stays is given up, and counted.

use std::collections::BTreeMap;

use super::super::packet::{Segment, Timestamp};
use super::ReassembleCounts;
use super::fit::{self, Effort, Fit, PREFIX};
use super::framing::{Framer, split_message};

/// Further from the next byte wanted than this is not disorder but another place of the stream, or another stream.
const WINDOW: u64 = 1 << 22;
/// What a waiting segment costs beside its bytes.
const SEGMENT_COST: usize = 96;

/// When a segment came, and in which frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) time: Timestamp,
    pub(super) frame: u64,
}

/// What passes a stream with each segment; `each` is told the stamp of the segment that completed the message.
pub(super) struct Context<'c> {
    pub(super) counts: &'c mut ReassembleCounts,
    pub(super) each: &'c mut dyn FnMut(Stamp, &[u8]),
}

/// A segment that came too early.
#[derive(Debug)]
struct Waiting {
    stamp: Stamp,
    bytes: Box<[u8]>,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Stream {
    framer: Framer,
    /// Position of the next byte wanted; nothing before the first segment. Its low 32 bits are the sequence number.
    next: Option<u64>,
    /// Position that the stream is known from: what ends before it was never seen.
    first: u64,
    /// Sequence number of the first byte as the SYN said it.
    opened: Option<u32>,
    ahead: BTreeMap<u64, Waiting>,
    ahead_bytes: usize,
    hole_since: Timestamp,
}

impl Stream {
    /// Takes one segment; hands on the messages that it completes.
    pub(super) fn segment(&mut self, segment: Segment, payload: &[u8], now: Stamp, with: &mut Context<'_>) {
        let start = segment.sequence.wrapping_add(u32::from(segment.syn));
        if segment.syn {
            self.open(start, with.counts);
        }
        if !payload.is_empty() {
            let position = self.place(start, with.counts);
            self.bytes(position, payload, now, with);
        }
        let ends = segment.rst || segment.fin;
        let length = i64::try_from(payload.len()).unwrap_or(i64::MAX);
        if ends && self.next.is_some_and(|next| distance(next, start) + length == 0) {
            self.abandon(with.counts);
        }
    }

    /// Gives up the first hole: what waits behind it goes on, the message that it was in is lost.
    pub(super) fn skip_hole(&mut self, now: Timestamp, with: &mut Context<'_>) {
        let Some((&position, _)) = self.ahead.first_key_value() else { return };
        with.counts.gaps += 1;
        with.counts.gap_bytes += self.next.map_or(0, |next| position.saturating_sub(next));
        self.framer.lose_sync(with.counts);
        self.next = Some(position);
        self.drain(now, None, with);
    }

    /// Since when a hole has been waited for, if there is one.
    pub(super) fn hole_since(&self) -> Option<Timestamp> {
        (!self.ahead.is_empty()).then_some(self.hole_since)
    }

    /// Drops all that waits: the connection ends or has to make room.
    pub(super) fn abandon(&mut self, counts: &mut ReassembleCounts) {
        counts.lost_bytes += self.ahead_bytes as u64;
        self.ahead.clear();
        self.ahead_bytes = 0;
        self.framer.abandon(counts);
    }

    /// Bytes of payload that wait.
    pub(super) fn held(&self) -> usize {
        self.ahead_bytes + self.framer.held()
    }

    /// Memory that is taken for them.
    pub(super) fn cost(&self) -> usize {
        self.ahead_bytes + self.ahead.len() * SEGMENT_COST + self.framer.cost()
    }

    /// Memory that is taken for segments behind a hole.
    pub(super) fn ahead_cost(&self) -> usize {
        self.ahead_bytes + self.ahead.len() * SEGMENT_COST
    }

    /// Whether a message was seen whose header fits.
    pub(super) fn proved(&self) -> bool {
        self.framer.proved()
    }

    /// Whether this direction, by itself, looks like anything but DNS.
    pub(super) fn condemned(&self) -> bool {
        self.framer.condemned()
    }

    /// A SYN: the stream starts here, unless it is the one that was seen, or one overtaken by its own data.
    fn open(&mut self, start: u32, counts: &mut ReassembleCounts) {
        if self.opened == Some(start) {
            return;
        }
        let overtaken = self.opened.is_none()
            && self.next.is_some_and(|next| distance(next, start).unsigned_abs() <= WINDOW);
        self.opened = Some(start);
        if overtaken {
            return;
        }
        self.abandon(counts);
        self.framer = Framer::default();
        self.framer.open(counts);
        self.begin(start);
    }

    fn begin(&mut self, start: u32) -> u64 {
        // One turn above zero, so that earlier positions exist.
        let position = (1 << 32) | u64::from(start);
        self.next = Some(position);
        self.first = position;
        position
    }

    /// Position of a sequence number; one far away begins the stream anew.
    fn place(&mut self, start: u32, counts: &mut ReassembleCounts) -> u64 {
        let Some(next) = self.next else { return self.begin(start) };
        let offset = distance(next, start);
        if offset.unsigned_abs() <= WINDOW {
            return next.wrapping_add_signed(offset);
        }
        counts.gaps += 1;
        self.abandon(counts);
        self.framer.lose_sync(counts);
        self.opened = None;
        self.begin(start)
    }

    fn bytes(&mut self, position: u64, payload: &[u8], now: Stamp, with: &mut Context<'_>) {
        let next = self.next.unwrap_or(position);
        let end = position.wrapping_add(payload.len() as u64);
        if position > next {
            self.wait(position, payload, now, with.counts);
        } else if end <= self.first {
            self.earlier(position, payload, now, with);
        } else {
            self.take(next - position, payload, now, with);
            self.drain(now.time, Some(now), with);
        }
    }

    /// Takes a segment that starts at or before the next byte wanted; `seen` bytes of it are known.
    fn take(&mut self, seen: u64, payload: &[u8], stamp: Stamp, with: &mut Context<'_>) {
        let seen = usize::try_from(seen).unwrap_or(usize::MAX).min(payload.len());
        with.counts.duplicate_bytes += seen as u64;
        let fresh = payload.get(seen..).unwrap_or_default();
        if fresh.is_empty() {
            return;
        }
        self.next = self.next.map(|next| next.wrapping_add(fresh.len() as u64));
        let each = &mut *with.each;
        self.framer.feed(fresh, with.counts, &mut |message| each(stamp, message));
    }

    /// Keeps a segment that came too early. Of two that start alike the longer stays.
    fn wait(&mut self, position: u64, payload: &[u8], now: Stamp, counts: &mut ReassembleCounts) {
        let known = self.ahead.get(&position).map_or(0, |waiting| waiting.bytes.len());
        counts.duplicate_bytes += known.min(payload.len()) as u64;
        if known >= payload.len() {
            return;
        }
        if self.ahead.is_empty() {
            self.hole_since = now.time;
        }
        counts.reordered += 1;
        self.ahead_bytes += payload.len() - known;
        self.ahead.insert(position, Waiting { stamp: now, bytes: payload.into() });
    }

    /// Hands on what waited and is now in order: completed by the segment that filled the hole, or, where the hole was
    /// given up, by the waiting segments themselves.
    fn drain(&mut self, now: Timestamp, filled: Option<Stamp>, with: &mut Context<'_>) {
        while let Some(next) = self.next
            && let Some(entry) = self.ahead.first_entry()
            && *entry.key() <= next
        {
            let (position, Waiting { stamp, bytes }) = entry.remove_entry();
            self.ahead_bytes -= bytes.len();
            self.hole_since = now;
            self.take(next - position, &bytes, filled.unwrap_or(stamp), with);
        }
    }

    /// A segment from before the first one seen, of a stream whose SYN was not: messages that lie whole in it are
    /// handed on, the rest of it belongs to nothing.
    fn earlier(&mut self, position: u64, payload: &[u8], now: Stamp, with: &mut Context<'_>) {
        self.first = position;
        let (mut rest, mut effort) = (payload, Effort::of(payload.len()));
        while fit::starts_message(rest, &mut effort) == Fit::Yes
            && let Some((message, after)) = split_message(rest)
        {
            with.counts.messages += 1;
            with.counts.message_bytes += (PREFIX + message.len()) as u64;
            (with.each)(now, message);
            rest = after;
        }
        with.counts.skipped_bytes += rest.len() as u64;
    }
}

/// How far a sequence number is from a position, the shorter way round.
fn distance(position: u64, sequence: u32) -> i64 {
    let [.., a, b, c, d] = position.to_be_bytes();
    i64::from(sequence.wrapping_sub(u32::from_be_bytes([a, b, c, d])).cast_signed())
}
