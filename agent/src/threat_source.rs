//! Where the threat set comes from: the operator's feeds and allow lists, files and URLs, the last copy on disk.
//!
//! In: feeds as typed. Out: a new [`ThreatSet`] at every load, and what became of each feed. A feed that cannot be
//! read at the start is an error to be repaired; from then on a bad feed never stops the agent: its last good copy
//! stays in use and its status says why. Listed names are never resolved, nor is anything of a feed followed.
//!
//! Loading reads files and hashes millions of names, fetching waits for servers: call both from threads of their own
//! (`spawn_blocking`), never from an asynchronous task.

// The controller's set, fetched and kept.
pub mod controller;

// A feed as the operator names it.
pub mod spec;

// Key, epoch and number of the sets built here.
mod identity;

// One fetch of a URL.
mod pull;

// One feed through one load.
mod reading;

// What a load made of one feed.
mod status;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use namewarden_protocol::entry::Entry;
use namewarden_protocol::obtain::client;
use namewarden_protocol::obtain::copy::Copies;
use namewarden_protocol::obtain::fetch::Fetcher;
use namewarden_protocol::threat_set::{BuildError, Builder, SetKey, ThreatSet};

use identity::Identity;
use reading::{Feed, Load};
use spec::{FeedSpec, Location, SpecError};

pub use namewarden_protocol::obtain::client::ClientError;
pub use pull::{Pull, Pulled};
pub use reading::Purpose;
pub use status::FeedStatus;

/// How large a feed may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In bytes, after decompression.
    pub bytes_max: u64,
    /// In entries.
    pub entries_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        let options = namewarden_protocol::feed::Options::default();
        Self { bytes_max: options.bytes_max, entries_max: options.entries_max }
    }
}

/// What holds for all feeds.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Keeps the key and the last good copies over a restart.
    pub state_dir: Option<PathBuf>,
    /// Lists of names that are never listed, whatever the feeds say; any format.
    pub allow: Vec<PathBuf>,
    /// How URLs are fetched: certificate authorities, proxy, addresses within reach.
    pub fetching: client::Settings,
    /// How large a feed may be.
    pub limits: Limits,
}

/// Why a load is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Occasion {
    /// The agent starts: what cannot be read is the operator's to repair.
    Start,
    /// The operator asks for everything anew.
    Reload,
    /// It is time for a URL.
    Refresh,
}

/// What the operator must repair, or the machine. Each is one whole sentence: there is no chain of causes to add.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The command line.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A file that is not there at the start.
    #[error("cannot read feed `{name}` from {path}: {error}; correct its path or its permissions", path = path.display())]
    Unreadable {
        /// The feed.
        name: String,
        /// Its file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// An allow list that says nothing: without it there would be alerts that the operator does not want.
    #[error("the allow list {location} is refused: {reason}")]
    AllowList {
        /// The file.
        location: String,
        /// Why.
        reason: String,
    },
    /// The state folder.
    #[error("cannot use the state folder {path}: {error}; name one with --state-dir that this agent alone can write to", path = path.display())]
    State {
        /// The folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No random numbers for a key.
    #[error("cannot make a key for the threat set: {0}")]
    Key(io::Error),
    /// Fetching cannot be set up.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The set could not be made.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl SourceError {
    /// Where there is no folder, only the key can have failed.
    fn state(folder: Option<&Path>, error: io::Error) -> Self {
        match folder {
            Some(path) => Self::State { path: path.to_owned(), error },
            None => Self::Key(error),
        }
    }
}

/// What a load made.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The set of all feeds.
    pub set: Arc<ThreatSet>,
    /// Each feed as typed, then each allow list.
    pub feeds: Vec<FeedStatus>,
    /// The controller's set that is part of it.
    pub joined: Option<Arc<ThreatSet>>,
}

/// The operator's feeds, read again and again.
#[derive(Debug)]
pub struct ThreatSource {
    feeds: Vec<Feed>,
    copies: Copies,
    fetcher: Option<Fetcher>,
    identity: Identity,
    limits: Limits,
    state_dir: Option<PathBuf>,
    /// The controller's set, which the feeds are added to.
    joined: Option<Arc<ThreatSet>>,
}

impl ThreatSource {
    /// Sets up what feeds are read with; nothing is read yet.
    pub fn new(specs: Vec<FeedSpec>, options: Options) -> Result<Self, SourceError> {
        let state_dir = options.state_dir.as_deref();
        let failed = |source| SourceError::state(state_dir, source);
        let copies = Copies::new(state_dir).map_err(failed)?;
        let identity = Identity::open(state_dir).map_err(failed)?;
        let has_url = specs.iter().any(|spec| matches!(spec.location, Location::Url(_)));
        // Wrong authorities are told of even where nothing is fetched yet.
        let fetcher = (has_url || options.fetching.authorities.is_some())
            .then(|| Fetcher::new(&options.fetching))
            .transpose()?;
        let mut feeds: Vec<_> =
            specs.into_iter().map(|spec| Feed::new(spec, Purpose::List, &copies)).collect();
        for (number, path) in options.allow.iter().enumerate() {
            let spec = FeedSpec::new(&format!("allow-{}", number + 1), Location::File(path.clone()));
            feeds.push(Feed::new(spec, Purpose::Allow, &copies));
        }
        let Options { state_dir, limits, .. } = options;
        Ok(Self { feeds, copies, fetcher, identity, limits, state_dir, joined: None })
    }

    /// The first load of an agent, which waits for no server: files are read, URLs stand for their last good copies
    /// and are due at once. A file that is missing or cannot be read is an error, a feed that is no feed is not.
    pub fn start(&mut self) -> Result<Loaded, SourceError> {
        self.pull_now();
        self.build(Occasion::Start, &mut |_, _, _| {})
    }

    /// From the next load on the controller's set is part of what is used.
    pub fn join(&mut self, set: Arc<ThreatSet>) {
        self.joined = Some(set);
    }

    /// Files anew (SIGHUP), and URLs due at once; a feed that fails keeps its last good entries.
    pub fn restart(&mut self) -> Result<Loaded, SourceError> {
        self.pull_now();
        self.build(Occasion::Reload, &mut |_, _, _| {})
    }

    /// The fetches that are due; each is to be run somewhere and handed to [`Self::take`].
    pub fn pulls(&mut self) -> Vec<Pull> {
        let Some(fetcher) = &self.fetcher else { return Vec::new() };
        let (copies, bytes_max) = (&self.copies, self.limits.bytes_max);
        let feeds = self.feeds.iter_mut().enumerate();
        feeds.filter_map(|(index, feed)| feed.pull(index, fetcher, copies, bytes_max)).collect()
    }

    /// When there are [`Self::pulls`]: daily for a URL, sooner after a failure; never for files.
    pub fn next_pull(&self) -> Option<Instant> {
        self.feeds.iter().filter_map(Feed::next_pull).min()
    }

    /// Takes in what was fetched; everything else stays as it is.
    pub fn take(&mut self, pulled: Vec<Pulled>) -> Result<Loaded, SourceError> {
        self.arrive(pulled);
        self.build(Occasion::Refresh, &mut |_, _, _| {})
    }

    /// Everything, URLs fetched and waited for; errors as for [`Self::start`].
    pub fn load(&mut self) -> Result<Loaded, SourceError> {
        self.load_watching(&mut |_, _, _| {})
    }

    /// As [`Self::load`]; `watch` sees every entry with the position of its feed in [`Loaded::feeds`].
    pub fn load_watching(
        &mut self,
        watch: &mut dyn FnMut(usize, Purpose, &Entry<'_>),
    ) -> Result<Loaded, SourceError> {
        self.pull_and_wait();
        self.build(Occasion::Start, watch)
    }

    /// Everything anew, waited for; a feed that fails keeps its last good entries.
    pub fn reload(&mut self) -> Result<Loaded, SourceError> {
        self.pull_and_wait();
        self.build(Occasion::Reload, &mut |_, _, _| {})
    }

    fn pull_now(&mut self) {
        let now = Instant::now();
        self.feeds.iter_mut().for_each(|feed| feed.pull_now(now));
    }

    fn pull_and_wait(&mut self) {
        self.pull_now();
        let pulled = pull::run_all(self.pulls());
        self.arrive(pulled);
    }

    fn arrive(&mut self, pulled: Vec<Pulled>) {
        for Pulled { index, outcome } in pulled {
            if let Some(feed) = self.feeds.get_mut(index) {
                feed.arrive(outcome, &self.copies);
            }
        }
    }

    /// What the operator should know of the state folder, in one sentence.
    pub fn remark(&self) -> Option<&str> {
        self.identity.remark.as_deref()
    }

    /// The key that the sets are hashed with.
    pub fn key(&self) -> SetKey {
        self.identity.key
    }

    /// The text of a line of a feed, by its position in [`Loaded::feeds`]; `None` where it is no longer there.
    pub fn line(&self, feed: usize, line: u32) -> Option<String> {
        self.feeds.get(feed)?.line(line)
    }

    fn build(
        &mut self,
        occasion: Occasion,
        watch: &mut dyn FnMut(usize, Purpose, &Entry<'_>),
    ) -> Result<Loaded, SourceError> {
        if let Some(set) = self.joined.as_ref().filter(|_| self.feeds.is_empty()) {
            return Ok(Loaded { set: Arc::clone(set), feeds: Vec::new(), joined: self.joined.clone() });
        }
        let mut builder = self.builder()?;
        let mut load =
            Load { occasion, limits: self.limits, copies: &self.copies, builder: &mut builder, watch };
        let feeds = self
            .feeds
            .iter_mut()
            .enumerate()
            .map(|(index, feed)| feed.load(index, &mut load))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Loaded { set: Arc::new(builder.build()?), feeds, joined: self.joined.clone() })
    }

    /// A set in the making, with the controller's entries in it: then it is the controller's key that all are hashed with.
    fn builder(&mut self) -> Result<Builder, SourceError> {
        let number = self
            .identity
            .next_number()
            .map_err(|source| SourceError::state(self.state_dir.as_deref(), source))?;
        let Some(set) = &self.joined else {
            return Ok(Builder::new(self.identity.key, self.identity.epoch, number));
        };
        let mut builder = Builder::new(set.key(), self.identity.epoch, number);
        builder.import(set)?;
        Ok(builder)
    }
}

#[cfg(test)]
mod tests;
