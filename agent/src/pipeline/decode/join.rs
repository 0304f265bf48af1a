//! Chunks of one UDP packet -> its whole payload.
//!
//! The kernel half sends the chunks of a packet in ascending order from one CPU, but records of other packets may come
//! between them. The table is short and each entry is bounded by the packet's own length (64 KiB at most): it is searched
//! from end to end, and when it is full the oldest packet is handed on as far as it goes.

use std::time::Duration;

use namewarden_agent_common::record::{PAYLOAD_MAX, RecordHeader};

use super::super::packet::{Direction, Packet, Timestamp};

/// Packets that may wait for chunks at once: with 64 KiB each, 2 MiB at most.
const PACKETS_MAX: usize = 32;
/// Chunks of a packet leave the kernel half within one run of a hook; a second is generous. A clock that was set back
/// by more than that counts as well.
const AGE_MAX: Duration = Duration::from_secs(1);

/// What all chunks of one packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    time_boot_ns: u64,
    socket: u64,
    cpu: u32,
    direction: Direction,
}

/// A packet of which some chunks are there: its values and the payload so far.
#[derive(Debug)]
pub(super) struct Partial {
    key: Key,
    template: Packet<'static>,
    gso_size: u16,
    whole: usize,
    payload: Vec<u8>,
}

impl Partial {
    /// Calls with the packet, its payload being what has been joined, and its `gso_size`.
    pub(super) fn with_packet(&self, call: impl FnOnce(Packet<'_>, u16)) {
        call(Packet { payload: &self.payload, ..self.template }, self.gso_size);
    }
}

/// What a chunk led to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The packet is whole.
    pub(super) joined: Option<Partial>,
    /// An incomplete packet that had to go: the table was full, or its next chunk is missing.
    pub(super) evicted: Option<Partial>,
    /// The chunk was put behind an earlier one of its packet.
    pub(super) merged: bool,
    /// The chunk's packet is not in the table.
    pub(super) orphan: bool,
}

/// The table of packets that wait for chunks, oldest first.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    waiting: Vec<Partial>,
}

impl Joiner {
    /// Takes one chunk; `template` is the packet's values without payload.
    pub(super) fn chunk(&mut self, header: &RecordHeader, template: &Packet<'_>, chunk: &[u8]) -> Outcome {
        let key = Key {
            time_boot_ns: header.time_boot_ns,
            socket: header.socket_cookie,
            cpu: header.cpu,
            direction: template.direction,
        };
        if header.chunk_offset == 0 {
            return self.begin(key, header, template, chunk);
        }
        let Some(at) = self.waiting.iter().position(|partial| partial.key == key) else {
            return Outcome { orphan: true, ..Outcome::default() };
        };
        self.extend(at, header.chunk_offset as usize, chunk)
    }

    /// The oldest packet if its chunks are overdue; call until there is none.
    pub(super) fn overdue(&mut self, now: Timestamp) -> Option<Partial> {
        let oldest = self.waiting.first()?;
        let late = oldest.template.time.has_passed(AGE_MAX, AGE_MAX, now);
        late.then(|| self.waiting.remove(0))
    }

    /// Packets that wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn begin(&mut self, key: Key, header: &RecordHeader, template: &Packet<'_>, chunk: &[u8]) -> Outcome {
        let evicted = (self.waiting.len() >= PACKETS_MAX).then(|| self.waiting.remove(0));
        let whole = header.payload_length.min(PAYLOAD_MAX) as usize;
        let mut payload = Vec::with_capacity(whole);
        payload.extend_from_slice(chunk);
        self.waiting.push(Partial {
            key,
            template: Packet { payload: &[], ..*template },
            gso_size: header.gso_size,
            whole,
            payload,
        });
        Outcome { evicted, ..Outcome::default() }
    }

    fn extend(&mut self, at: usize, offset: usize, chunk: &[u8]) -> Outcome {
        let Some(partial) = self.waiting.get_mut(at) else {
            return Outcome { orphan: true, ..Outcome::default() };
        };
        if partial.payload.len() != offset {
            // A chunk between was lost: what follows a hole cannot be part of the message.
            return Outcome { evicted: Some(self.waiting.remove(at)), orphan: true, ..Outcome::default() };
        }
        partial.payload.extend_from_slice(chunk);
        let complete = partial.payload.len() >= partial.whole;
        Outcome { joined: complete.then(|| self.waiting.remove(at)), merged: true, ..Outcome::default() }
    }
}
