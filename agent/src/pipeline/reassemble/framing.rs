//! Bytes of one direction, in order -> messages, by their length prefixes.
//!
//! A message that lies whole in the bytes at hand is handed on from there; only one that spans segments is copied. A
//! stream joined in its middle is searched for a message; what was found by a search is given up at the first message
//! that makes no sense.

use super::ReassembleCounts;
use super::fit::{self, Effort, Fit, HEADER, PREFIX};
use super::search::{self, Boundary};

/// Impossible messages in a row, none possible before, that show a stream not to be DNS, when they hold bytes enough: a
/// server may read on behind a few short ones.
const STRIKES_MAX: u32 = 8;
/// Their bytes: four times the longest message.
const RUBBISH_MAX: u64 = 256 << 10;
/// Bytes searched in vain that show the same: sixteen times the longest message.
const SEARCHED_MAX: u64 = 1 << 20;
/// A larger buffer is given back once its message is complete: streams are many and mostly idle.
const KEPT_CAPACITY: usize = 512;

/// How well it is known where messages start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sync {
    /// Not at all: bytes are searched, and the few that may start a header and its first name kept.
    #[default]
    Searching,
    /// What is kept may be a message; its end will tell.
    Trying,
    /// A search found it.
    Found,
    /// The stream was seen to open.
    Opened,
}

/// State of one direction's framing.
#[derive(Debug, Default)]
pub(super) struct Framer {
    /// Length prefix and message as far as they are there.
    partial: Vec<u8>,
    sync: Sync,
    /// Whether a message was seen whose header fits.
    proved: bool,
    strikes: u32,
    /// Bytes of the impossible messages.
    rubbish: u64,
    searched: u64,
}

/// What passes the framer with each segment.
struct Outlet<'o> {
    counts: &'o mut ReassembleCounts,
    each: &'o mut dyn FnMut(&[u8]),
    effort: Effort,
}

impl Framer {
    /// The next byte starts a message: the stream was seen to open.
    pub(super) fn open(&mut self, counts: &mut ReassembleCounts) {
        self.abandon(counts);
        self.sync = Sync::Opened;
    }

    /// Bytes are missing: what was begun is lost, and the stream has to be searched.
    pub(super) fn lose_sync(&mut self, counts: &mut ReassembleCounts) {
        self.abandon(counts);
        self.sync = Sync::Searching;
    }

    /// Drops a message that will not be completed.
    pub(super) fn abandon(&mut self, counts: &mut ReassembleCounts) {
        counts.lost_bytes += self.partial.len() as u64;
        self.partial = Vec::new();
        if self.sync == Sync::Trying {
            self.sync = Sync::Searching;
        }
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
        let rubbish = self.strikes >= STRIKES_MAX && self.rubbish >= RUBBISH_MAX;
        !self.proved && (rubbish || self.searched >= SEARCHED_MAX)
    }

    /// Takes the bytes of one segment that follow those taken before.
    pub(super) fn feed(&mut self, bytes: &[u8], counts: &mut ReassembleCounts, each: &mut dyn FnMut(&[u8])) {
        // What a search keeps, at most a header and a name, is searched again.
        let kept = if self.sync == Sync::Searching { self.partial.len() } else { 0 };
        let mut outlet = Outlet { counts, each, effort: Effort::of(kept + bytes.len()) };
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = match self.sync {
                Sync::Searching => self.search(rest, &mut outlet),
                Sync::Trying => self.attempt(rest, &mut outlet),
                Sync::Found | Sync::Opened => self.frame(rest, &mut outlet),
            };
        }
    }

    /// Takes the message at the start of the bytes, or what there is of it; the rest is returned.
    fn frame<'b>(&mut self, bytes: &'b [u8], outlet: &mut Outlet<'_>) -> &'b [u8] {
        if self.partial.is_empty()
            && let Some((message, rest)) = split_message(bytes)
        {
            self.complete(message, outlet);
            return rest;
        }
        let rest = self.gather(bytes);
        if self.is_whole() {
            self.complete_partial(outlet);
        }
        rest
    }

    /// Moves as many bytes to `partial` as its message wants; the rest is returned.
    fn gather<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let wanted = fit::prefix(&self.partial).map_or(PREFIX, |length| PREFIX + length);
        let missing = wanted.saturating_sub(self.partial.len());
        let (taken, rest) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        self.partial.extend_from_slice(taken);
        rest
    }

    /// Whether `partial` is one message.
    fn is_whole(&self) -> bool {
        fit::prefix(&self.partial).is_some_and(|length| self.partial.len() >= PREFIX + length)
    }

    fn complete_partial(&mut self, outlet: &mut Outlet<'_>) {
        let mut framed = std::mem::take(&mut self.partial);
        self.complete(framed.get(PREFIX..).unwrap_or_default(), outlet);
        if framed.capacity() <= KEPT_CAPACITY {
            framed.clear();
            self.partial = framed;
        }
    }

    fn complete(&mut self, message: &[u8], outlet: &mut Outlet<'_>) {
        let Outlet { counts, each, .. } = outlet;
        let framed = PREFIX + message.len();
        let is_short = message.len() < HEADER;
        counts.short += u64::from(is_short);
        if fit::header_fits(message) {
            self.proved = true;
            (self.strikes, self.rubbish) = (0, 0);
        } else if self.sync == Sync::Found {
            // What the search found was not it after all.
            self.sync = Sync::Searching;
            return self.skip(framed, counts);
        } else {
            self.strikes += 1;
            self.rubbish += framed as u64;
            counts.implausible += u64::from(!is_short);
        }
        if is_short {
            counts.skipped_bytes += framed as u64;
            return;
        }
        counts.messages += 1;
        counts.message_bytes += framed as u64;
        each(message);
    }

    /// Looks for the start of a message in the few bytes kept and in these; the bytes from there on are returned, or kept.
    fn search<'b>(&mut self, bytes: &'b [u8], outlet: &mut Outlet<'_>) -> &'b [u8] {
        let seam = self.partial.len();
        let joined;
        let view = if seam == 0 {
            bytes
        } else {
            joined = [&self.partial, bytes].concat();
            &joined
        };
        let boundary = search::boundary(view, seam, &mut outlet.effort);
        let (Boundary::Found(at) | Boundary::Open(at) | Boundary::Rest(at)) = boundary;
        self.skip(at, outlet.counts);
        self.partial.drain(..at.min(seam));
        let rest = bytes.get(at.saturating_sub(seam)..).unwrap_or_default();
        match boundary {
            Boundary::Found(_) => {
                outlet.counts.resynchronised += 1;
                self.sync = Sync::Found;
                return rest;
            }
            Boundary::Open(_) => self.sync = Sync::Trying,
            Boundary::Rest(_) => {}
        }
        self.partial.extend_from_slice(rest);
        &[]
    }

    /// Goes on with what may be a message; at its end what follows it decides. If it was none, all of it is skipped: to
    /// search it again would make the work more than linear.
    fn attempt<'b>(&mut self, bytes: &'b [u8], outlet: &mut Outlet<'_>) -> &'b [u8] {
        let rest = self.gather(bytes);
        if !self.is_whole() {
            return rest;
        }
        if search::follows(rest, &mut outlet.effort) == Fit::Yes {
            outlet.counts.resynchronised += 1;
            self.sync = Sync::Found;
            self.complete_partial(outlet);
        } else {
            self.skip(self.partial.len(), outlet.counts);
            self.partial = Vec::new();
            self.sync = Sync::Searching;
        }
        rest
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
