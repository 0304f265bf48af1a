//! Bytes of one direction, in order -> messages, by their length prefixes.
//!
//! A message that lies whole in the bytes at hand is handed on from there; only one that spans segments is copied. A
//! stream joined in its middle is searched, segment by segment, for one that starts a message.

use super::ReassembleCounts;
use super::fit::{self, Fit, HEADER, PREFIX};

/// Impossible messages in a row, none possible before, that show a stream not to be DNS.
const STRIKES_MAX: u32 = 8;
/// Bytes searched in vain that show the same: sixteen times the longest message.
const SEARCHED_MAX: u64 = 1 << 20;
/// A larger buffer is given back once its message is complete: streams are many and mostly idle.
const KEPT_CAPACITY: usize = 512;

/// State of one direction's framing.
#[derive(Debug, Default)]
pub(super) struct Framer {
    /// Length prefix and message as far as they are there.
    partial: Vec<u8>,
    /// Whether the next byte is known to start a message, or to go on with `partial`.
    synced: bool,
    /// Whether a message was seen whose header fits.
    proved: bool,
    strikes: u32,
    searched: u64,
}

impl Framer {
    /// The next byte starts a message: the stream was seen to open.
    pub(super) fn open(&mut self, counts: &mut ReassembleCounts) {
        self.abandon(counts);
        self.synced = true;
    }

    /// Bytes are missing: what was begun is lost, and the stream has to be searched.
    pub(super) fn lose_sync(&mut self, counts: &mut ReassembleCounts) {
        self.abandon(counts);
        self.synced = false;
    }

    /// Drops a message that will not be completed.
    pub(super) fn abandon(&mut self, counts: &mut ReassembleCounts) {
        counts.lost_bytes += self.partial.len() as u64;
        self.partial = Vec::new();
    }

    /// Bytes that wait for the rest of their message.
    pub(super) fn held(&self) -> usize {
        self.partial.len()
    }

    /// Memory that is taken for them.
    pub(super) fn cost(&self) -> usize {
        self.partial.capacity()
    }

    /// Whether a message was seen whose header fits.
    pub(super) fn proved(&self) -> bool {
        self.proved
    }

    /// Whether this direction, by itself, looks like anything but DNS.
    pub(super) fn condemned(&self) -> bool {
        !self.proved && (self.strikes >= STRIKES_MAX || self.searched >= SEARCHED_MAX)
    }

    /// Takes the bytes of one segment that follow those taken before.
    pub(super) fn feed(&mut self, bytes: &[u8], counts: &mut ReassembleCounts, each: &mut dyn FnMut(&[u8])) {
        if self.synced || self.search(bytes, counts) {
            self.frame(bytes, counts, each);
        }
    }

    fn frame(&mut self, mut bytes: &[u8], counts: &mut ReassembleCounts, each: &mut dyn FnMut(&[u8])) {
        while !bytes.is_empty() {
            if self.partial.is_empty()
                && let Some((message, rest)) = split_message(bytes)
            {
                self.complete(message, counts, each);
                bytes = rest;
                continue;
            }
            bytes = self.gather(bytes, counts, each);
        }
    }

    /// Moves as many bytes to `partial` as its message wants; the rest is returned.
    fn gather<'b>(
        &mut self,
        bytes: &'b [u8],
        counts: &mut ReassembleCounts,
        each: &mut dyn FnMut(&[u8]),
    ) -> &'b [u8] {
        let wanted = fit::prefix(&self.partial).map_or(PREFIX, |length| PREFIX + length);
        let missing = wanted.saturating_sub(self.partial.len());
        let (taken, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        self.partial.extend_from_slice(taken);
        if fit::prefix(&self.partial).is_some_and(|length| self.partial.len() >= PREFIX + length) {
            let mut framed = std::mem::take(&mut self.partial);
            self.complete(framed.get(PREFIX..).unwrap_or_default(), counts, each);
            if framed.capacity() <= KEPT_CAPACITY {
                framed.clear();
                self.partial = framed;
            }
        }
        rest
    }

    fn complete(&mut self, message: &[u8], counts: &mut ReassembleCounts, each: &mut dyn FnMut(&[u8])) {
        let framed = (PREFIX + message.len()) as u64;
        if message.len() < HEADER {
            counts.short += 1;
            counts.skipped_bytes += framed;
            self.strikes += 1;
            return;
        }
        if fit::header_fits(message) {
            self.proved = true;
            self.strikes = 0;
        } else {
            counts.implausible += 1;
            self.strikes += 1;
        }
        counts.messages += 1;
        counts.message_bytes += framed;
        each(message);
    }

    /// Looks whether this segment, or the few bytes kept from the one before together with it, starts a message. The
    /// bytes are then left to be framed; else they are kept (too few to tell) or skipped.
    fn search(&mut self, bytes: &[u8], counts: &mut ReassembleCounts) -> bool {
        let before = self.partial.len();
        if before > 0 {
            self.partial.extend_from_slice(bytes);
            match fit::starts_message(&self.partial) {
                Fit::Yes => {
                    self.partial.truncate(before);
                    return self.found(counts);
                }
                Fit::More => return false,
                Fit::No => self.partial.truncate(before),
            }
            self.skip(before, counts);
            self.partial.clear();
        }
        match fit::starts_message(bytes) {
            Fit::Yes => return self.found(counts),
            Fit::More => self.partial.extend_from_slice(bytes),
            Fit::No => self.skip(bytes.len(), counts),
        }
        false
    }

    fn found(&mut self, counts: &mut ReassembleCounts) -> bool {
        counts.resynchronised += 1;
        self.synced = true;
        true
    }

    fn skip(&mut self, bytes: usize, counts: &mut ReassembleCounts) {
        self.searched += bytes as u64;
        counts.skipped_bytes += bytes as u64;
    }
}

/// The message that lies whole at the start of the bytes, without its prefix, and what follows it.
pub(super) fn split_message(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = fit::prefix(bytes)?;
    bytes.get(PREFIX..)?.split_at_checked(length)
}
