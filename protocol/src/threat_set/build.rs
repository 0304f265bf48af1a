//! Collects the entries of all feeds and compiles them into a set.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::{ALLOW_LIST, FEEDS_MAX, Mark, Pending};
use super::place;
use super::refusal::OpenError;
use super::spill::{Spill, scratch_file};
use super::walk::{Table, Walk};
use super::write::compile;
use super::{FeedId, FeedInfo, NameHasher, SetId, SetKey, ThreatSet};
use crate::entry::{Entry, Scope, Verdict};

/// One partition for each top byte of a hash, then the exceptions.
pub(super) const PARTITIONS: usize = 256;

/// Compiles a set. Entries go in one by one, in any order; nothing of them is kept but hashes.
#[derive(Debug)]
pub struct Builder {
    pub(super) key: SetKey,
    pub(super) epoch: u64,
    pub(super) number: u64,
    hasher: NameHasher,
    /// `None` where a feed was retracted.
    pub(super) feeds: Vec<Option<FeedInfo>>,
    pub(super) entries: Spill,
    /// Whether marks say where in the source an entry stood.
    lines: bool,
    /// The first failure of an `add`, kept for `write`: a parser that hands out entries has no use for it.
    failure: Option<io::Error>,
}

/// Why there is no set.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Feed numbers have 15 bits.
    #[error("more than {max} feeds in one set")]
    TooManyFeeds {
        /// How many are possible.
        max: u16,
    },
    /// The set is larger than the layout can say.
    #[error("{what} of {count} exceed the set file's limit")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much.
        count: usize,
    },
    /// Entries could not be kept until the set is written.
    #[error("cannot keep entries in a temporary file: {0}")]
    Spill(#[source] io::Error),
    /// A set to be imported was made under another key: its hashes mean other names here.
    #[error("the set to import has another hash key: fetch it anew, or start with an empty state folder")]
    OtherKey,
    /// A set to be imported cannot be read from its file.
    #[error("cannot read the threat set to import: {0}")]
    Import(#[source] io::Error),
    /// The file could not be written.
    #[error("cannot write threat set {path}: {source}", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was just written cannot be read back.
    #[error("cannot read back the threat set: {0}")]
    ReadBack(#[from] OpenError),
}

impl Builder {
    /// An empty set in the making, to be known by epoch and number.
    pub fn new(key: SetKey, epoch: u64, number: u64) -> Self {
        Self {
            key,
            epoch,
            number,
            hasher: NameHasher::new(key),
            feeds: Vec::new(),
            entries: Spill::new(PARTITIONS + 1),
            lines: true,
            failure: None,
        }
    }

    /// Announces a feed; its entries may come at any time after.
    pub fn feed(&mut self, info: FeedInfo) -> Result<FeedId, BuildError> {
        let number = u16::try_from(self.feeds.len()).unwrap_or(FEEDS_MAX);
        if number >= FEEDS_MAX {
            return Err(BuildError::TooManyFeeds { max: FEEDS_MAX });
        }
        self.feeds.push(Some(info));
        Ok(FeedId(number))
    }

    /// Adds what a line of a feed lists or excepts. An entry given twice by one feed counts with its first line.
    pub fn add(&mut self, feed: FeedId, entry: &Entry<'_>) {
        // A retracted feed's late entries, or another builder's, have nothing to belong to.
        if !matches!(self.feeds.get(usize::from(feed.0)), Some(Some(_))) {
            return;
        }
        self.insert(feed.0, entry, entry.verdict == Verdict::Excepted);
    }

    /// Adds a line of the operator's allow list: what it covers is listed by no feed, whatever its verdict says.
    pub fn allow(&mut self, entry: &Entry<'_>) {
        self.insert(ALLOW_LIST, entry, true);
    }

    /// Drops a feed with all its entries, as if it had never been announced: it was refused at its end.
    pub fn retract(&mut self, feed: FeedId) {
        if let Some(info) = self.feeds.get_mut(usize::from(feed.0)) {
            *info = None;
        }
    }

    /// Leaves out where in its feed's source an entry stood: every mark's line is 0.
    ///
    /// Published sets are made so: alerts do not name lines, and lines would double what travels.
    #[must_use]
    pub fn without_lines(mut self) -> Self {
        self.lines = false;
        self
    }

    /// Adds another set of the same key: its feeds, entries, exceptions and allow list, feeds numbered on from here.
    pub fn import(&mut self, set: &ThreatSet) -> Result<(), BuildError> {
        if set.key() != self.key {
            return Err(BuildError::OtherKey);
        }
        let mut numbers = Vec::with_capacity(set.feeds.len());
        for info in &set.feeds {
            // A retracted feed has no entries.
            numbers.push(match info {
                Some(info) => Some(self.feed(FeedInfo::clone(info))?.0),
                None => None,
            });
        }
        let renumber = |feed: FeedId| match feed.0 {
            ALLOW_LIST => Some(ALLOW_LIST),
            number => *numbers.get(usize::from(number))?,
        };
        for table in [Table::Listed, Table::Exceptions] {
            let mut walk = Walk::new(set, table).map_err(BuildError::Import)?;
            while let Some((hash, marks)) = walk.current() {
                for mark in marks {
                    let Some(feed) = renumber(mark.feed()) else { continue };
                    self.push(feed, hash, mark.scope(), mark.line(), table == Table::Exceptions);
                }
                walk.advance().map_err(BuildError::Import)?;
            }
        }
        Ok(())
    }

    /// Writes the set to `path`, which then holds either all of it or what it held before.
    ///
    /// The file has mode 0600 (the key is in it) and must never be changed in place.
    pub fn write(self, path: &Path) -> Result<SetId, BuildError> {
        place::replace(path, self.number, |file| self.compile_to(file, path))
    }

    /// Makes the set without a path: its cold part lives in a file without a name.
    pub fn build(self) -> Result<ThreatSet, BuildError> {
        let file = scratch_file().map_err(BuildError::Spill)?;
        self.compile_to(&file, Path::new("(no name)"))?;
        Ok(ThreatSet::from_file(file)?)
    }

    fn compile_to(mut self, file: &File, path: &Path) -> Result<SetId, BuildError> {
        match self.failure.take() {
            Some(failure) => Err(BuildError::Spill(failure)),
            None => compile(self, file, path),
        }
    }

    fn insert(&mut self, feed: u16, entry: &Entry<'_>, exception: bool) {
        let full = self
            .hasher
            .suffix(entry.name)
            .map(|full| if entry.scope == Scope::Exact { self.hasher.exact(full) } else { full });
        let Some(hash) = full else { return };
        self.push(feed, hash, entry.scope, entry.line, exception);
    }

    fn push(&mut self, feed: u16, hash: u64, scope: Scope, line: u32, exception: bool) {
        let partition = if exception { PARTITIONS } else { usize::from(hash.to_be_bytes()[0]) };
        let mark = Mark::new(feed, scope, if self.lines { line } else { 0 });
        if let Err(failure) = self.entries.push(partition, Pending { hash, mark }) {
            self.failure.get_or_insert(failure);
        }
    }
}
