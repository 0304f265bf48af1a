//! Who lists a name: scopes, exceptions, the longest entry. Only names that a probe hit come here.

use std::os::unix::fs::FileExt as _;
use std::sync::atomic::Ordering;

use super::layout::{ALLOW_LIST, Mark, SHARD_BITS_MAX, Value};
use super::{EntryIndex, FeedId, ThreatSet};
use crate::entry::Scope;

/// Labels of the longest name (RFC 1035 section 3.1: 255 bytes on the wire).
const LABELS_MAX: usize = 127;

/// Stands for the exceptions where a shard's number would stand.
const EXCEPTIONS: usize = 1 << SHARD_BITS_MAX;

/// A name is listed: by this entry, in these feeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<'n> {
    /// The entry: the name asked for, or the end of it.
    pub entry: &'n str,
    /// Whether the entry is the name itself, not a parent.
    pub exact: bool,
    /// Every feed that lists this very entry, by number, each once.
    pub listings: Vec<Listing>,
}

/// One feed's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Listing {
    /// Which feed.
    pub feed: FeedId,
    /// Which names the line speaks of.
    pub scope: Scope,
    /// Line of the source, from 1.
    pub line: u32,
}

/// A name's own hash or a parent's, and where in the name it begins.
#[derive(Clone, Copy, Default)]
struct Suffix {
    hash: u64,
    start: usize,
}

impl ThreatSet {
    /// The longest entry that lists a name, and all feeds that have it.
    ///
    /// - An entry of the operator's allow list that covers the name takes it out of all feeds.
    /// - An exception takes the name out of its own feed, however long the feed's entries are.
    /// - Of what remains the longest entry wins; feeds that list a shorter one are not named.
    ///
    /// The name is in presentation form without a final dot, labels parted by dots; a byte of a label that is no part of
    /// a host name is escaped as `\DDD` (RFC 1035 section 5.1), so that a dot inside a label parts nothing and an escaped
    /// label equals no listed one. Case does not matter. Anything that is no such name is not listed.
    pub fn find<'n>(&self, name: &'n str) -> Option<Listed<'n>> {
        let mut room = [Suffix::default(); LABELS_MAX];
        let suffixes = self.suffixes(name, &mut room)?;
        let exact = self.hasher.exact(suffixes.last()?.hash);
        let mut excepted = None;
        for (depth, suffix) in suffixes.iter().enumerate().rev() {
            let itself = depth + 1 == suffixes.len();
            let mut listings = self.listings(itself.then_some(exact), suffix.hash, |hash| self.probe(hash));
            if listings.is_empty() {
                continue;
            }
            let excepted = excepted.get_or_insert_with(|| self.exceptions(suffixes, exact));
            if excepted.contains(&FeedId(ALLOW_LIST)) {
                return None;
            }
            listings.retain(|listing| !excepted.contains(&listing.feed));
            if !listings.is_empty() {
                return Some(Listed { entry: name.get(suffix.start..)?, exact: itself, listings });
            }
        }
        None
    }

    /// Hashes of all suffixes, shortest first.
    fn suffixes<'r>(&self, name: &str, room: &'r mut [Suffix; LABELS_MAX]) -> Option<&'r [Suffix]> {
        let mut hash = self.hasher.root();
        let mut start = name.len() + 1;
        let mut count = 0;
        for label in name.rsplit('.') {
            if label.is_empty() {
                return None;
            }
            hash = self.hasher.extend(hash, label.as_bytes());
            start -= label.len() + 1;
            *room.get_mut(count)? = Suffix { hash, start };
            count += 1;
        }
        room.get(..count)
    }

    /// Feeds that take the name out.
    fn exceptions(&self, suffixes: &[Suffix], exact: u64) -> Vec<FeedId> {
        let look = |hash| self.search(EXCEPTIONS, &self.exceptions, hash);
        let mut feeds = Vec::new();
        for (depth, suffix) in suffixes.iter().enumerate() {
            let itself = depth + 1 == suffixes.len();
            let found = self.listings(itself.then_some(exact), suffix.hash, look);
            feeds.extend(found.iter().map(|listing| listing.feed));
        }
        feeds
    }

    /// Listings under one suffix that cover the name; `exact` is given where the suffix is the name itself.
    fn listings(
        &self,
        exact: Option<u64>,
        suffix: u64,
        look: impl Fn(u64) -> Option<EntryIndex>,
    ) -> Vec<Listing> {
        let mut listings = Vec::new();
        for hash in exact.into_iter().chain([suffix]) {
            let Some(index) = look(hash) else { continue };
            let marks = self.marks(index).into_iter();
            let covering = marks.filter(|mark| match exact {
                Some(_) => mark.scope().covers_itself(),
                None => mark.scope().covers_below(),
            });
            listings.extend(covering.map(|mark| Listing {
                feed: mark.feed(),
                scope: mark.scope(),
                line: mark.line(),
            }));
        }
        // A feed that says it twice is named once, with what says more.
        listings.sort_unstable_by_key(|listing| (listing.feed, listing.scope != Scope::Both, listing.line));
        listings.dedup_by_key(|listing| listing.feed);
        listings
    }

    /// Reads an entry's value. What cannot be read is counted: a name was missed.
    fn marks(&self, index: EntryIndex) -> Vec<Mark> {
        self.read_marks(index).unwrap_or_else(|| {
            self.unreadable.fetch_add(1, Ordering::Relaxed);
            Vec::new()
        })
    }

    fn read_marks(&self, index: EntryIndex) -> Option<Vec<Mark>> {
        let shard = match usize::from(index.shard) {
            EXCEPTIONS => &self.exceptions,
            number => self.listed.get(number)?,
        };
        let value = self.read_words(shard.values_at + u64::from(index.position) * 8, 1)?;
        match Value::from_bits(*value.first()?)? {
            Value::One(mark) => Some(vec![mark]),
            Value::Run { first, count } => {
                let at = shard.values_at + (shard.count as u64 + u64::from(first)) * 8;
                self.read_words(at, usize::from(count))?.into_iter().map(Mark::from_bits).collect()
            }
        }
    }

    fn read_words(&self, at: u64, count: usize) -> Option<Vec<u64>> {
        let mut bytes = vec![0; count * 8];
        self.file.as_ref()?.read_exact_at(&mut bytes, at).ok()?;
        let (words, _) = bytes.as_chunks::<8>();
        Some(words.iter().map(|word| u64::from_le_bytes(*word)).collect())
    }
}
