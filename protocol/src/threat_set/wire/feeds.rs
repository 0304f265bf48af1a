//! The table of feeds as it travels, and which number a feed of a base has in the new table.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::layout::{ALLOW_LIST, FEEDS_MAX, Mark};
use super::super::{FeedId, FeedInfo, ThreatSet};
use super::FEED_BYTES_MAX;
use super::columns::{Packer, Unpacker, pack, unpack};
use super::refusal::{ApplyError, EncodeError};

/// A set's feeds by number; `None` where a refused one stood.
pub type Feeds = Vec<Option<Arc<FeedInfo>>>;

/// Stands for a feed that the new set does not have.
const GONE: u16 = u16::MAX;

pub fn put(set: &ThreatSet, to: &mut Vec<u8>) -> Result<(), EncodeError> {
    let json = serde_json::to_vec(&set.feeds).map_err(|error| EncodeError::Pack(error.into()))?;
    if json.len() as u64 > FEED_BYTES_MAX {
        let (what, found) = ("bytes of feeds' names and descriptions", json.len() as u64);
        return Err(EncodeError::TooMany { what, found, most: FEED_BYTES_MAX });
    }
    pack(&json, to).map_err(EncodeError::Pack)
}

pub fn take(bytes: &mut &[u8]) -> Result<Feeds, ApplyError> {
    let json = unpack(bytes, FEED_BYTES_MAX, "its table of feeds")?;
    let feeds: Feeds = serde_json::from_slice(&json).map_err(ApplyError::Feeds)?;
    if feeds.len() > usize::from(FEEDS_MAX) {
        let (what, found) = ("the number of feeds", feeds.len() as u64);
        return Err(ApplyError::Count { what, found, most: FEEDS_MAX.into() });
    }
    Ok(feeds)
}

/// The new number of each feed of a base.
#[derive(Debug, PartialEq, Eq)]
pub struct Renumbering {
    numbers: Vec<u16>,
    /// Every feed keeps its number.
    same: bool,
}

impl Renumbering {
    /// Feeds are the same where they have the same name.
    pub fn between(base: &ThreatSet, new: &ThreatSet) -> Self {
        let mut known: HashMap<&str, Vec<u16>> = HashMap::new();
        // From the last to the first, so that of several with one name the first is popped first.
        for (number, info) in (0..).zip(&new.feeds).collect::<Vec<_>>().into_iter().rev() {
            if let Some(info) = info {
                known.entry(&info.name).or_default().push(number);
            }
        }
        let number = |info: &Option<Arc<FeedInfo>>| {
            let numbers = info.as_ref().and_then(|info| known.get_mut(&*info.name));
            numbers.and_then(Vec::pop).unwrap_or(GONE)
        };
        Self::new(base.feeds.iter().map(number).collect())
    }

    fn new(numbers: Vec<u16>) -> Self {
        let same = numbers.iter().zip(0..).all(|(new, old)| *new == old);
        Self { numbers, same }
    }

    pub fn put(&self, to: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut packer = Packer::<2>::new().map_err(EncodeError::Pack)?;
        for number in &self.numbers {
            packer.push(number.to_le_bytes()).map_err(EncodeError::Pack)?;
        }
        packer.finish(to).map_err(EncodeError::Pack)
    }

    /// Takes it off the front of `bytes`: one number for each feed of the base, below the number of new feeds.
    pub fn take(bytes: &mut &[u8], base: &ThreatSet, feeds: usize) -> Result<Self, ApplyError> {
        let what = "its feeds' new numbers";
        let mut unpacker = Unpacker::<2>::take(bytes, what)?;
        let mut numbers = Vec::with_capacity(base.feeds.len());
        for _ in &base.feeds {
            let number = u16::from_le_bytes(unpacker.next()?);
            if number != GONE && usize::from(number) >= feeds {
                return Err(ApplyError::Damaged(what));
            }
            numbers.push(number);
        }
        unpacker.end()?;
        let mut taken: Vec<u16> = numbers.iter().copied().filter(|number| *number != GONE).collect();
        taken.sort_unstable();
        // Two feeds that became one would list a name twice.
        if taken.array_windows().any(|[one, next]| one == next) {
            return Err(ApplyError::Damaged(what));
        }
        Ok(Self::new(numbers))
    }

    /// The base's marks as the new set has them, in order; those of feeds that are gone are left out.
    #[inline]
    pub fn apply<'m>(&self, marks: &'m [Mark], room: &'m mut Vec<Mark>) -> &'m [Mark] {
        if self.same {
            return marks;
        }
        room.clear();
        room.extend(marks.iter().filter_map(|mark| self.mark(*mark)));
        room.sort_unstable();
        room
    }

    fn mark(&self, mark: Mark) -> Option<Mark> {
        let FeedId(feed) = mark.feed();
        if feed == ALLOW_LIST {
            return Some(mark);
        }
        let number = *self.numbers.get(usize::from(feed))?;
        (number != GONE).then(|| Mark::new(number, mark.scope(), mark.line()))
    }
}
