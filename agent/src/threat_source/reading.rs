//! One feed through one load: obtain its bytes, parse them into the set, or fall back on the last good copy.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use namewarden_protocol::entry::Entry;
use namewarden_protocol::feed::{self, FeedReport};
use namewarden_protocol::obtain::copy::{Copies, Draft, FillError, LastGood, Origin};
use namewarden_protocol::obtain::failure::FetchError;
use namewarden_protocol::obtain::fetch::Fetcher;
use namewarden_protocol::obtain::schedule::Schedule;
use namewarden_protocol::threat_set::{BuildError, Builder};

use super::pull::Pull;
use super::spec::{FeedSpec, Location};
use super::status::FeedStatus;
use super::{Limits, Occasion, SourceError};

/// What a feed's entries are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// They are listed.
    List,
    /// They are never listed: the operator's allow list.
    Allow,
}

/// A feed and what is remembered of it from load to load.
#[derive(Debug)]
pub struct Feed {
    /// As the operator named it.
    pub spec: FeedSpec,
    /// What its entries are for.
    pub purpose: Purpose,
    /// When it is fetched next.
    pub schedule: Schedule,
    copy: Option<LastGood>,
    problem: Option<String>,
    /// What a fetch brought, until the next load takes it in.
    arrived: Option<Result<Fresh, Missed>>,
    fetch: Fetch,
    /// The last fetch had less than half of the copy's entries; the next one like it is believed.
    shrank: bool,
    /// A pipe, or whatever else can be read once only.
    read_once: bool,
}

/// How far the agent is with fetching a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fetch {
    /// Not one fetch has begun.
    Untried,
    /// The first one is on.
    First,
    /// None is on; one has ended, well or not.
    Resting,
    /// One is on, and not the first.
    Again,
}

impl Fetch {
    fn is_on(self) -> bool {
        matches!(self, Self::First | Self::Again)
    }

    fn has_ended(self) -> bool {
        matches!(self, Self::Resting | Self::Again)
    }
}

/// What one load works with.
pub struct Load<'l> {
    /// Why it is made.
    pub occasion: Occasion,
    /// How large a feed may be.
    pub limits: Limits,
    /// The last good copies.
    pub copies: &'l Copies,
    /// The set in the making.
    pub builder: &'l mut Builder,
    /// Sees every entry with its feed's position, those of a feed refused later included.
    pub watch: &'l mut dyn FnMut(usize, Purpose, &Entry<'_>),
}

/// Bytes that are not yet known to be good.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) draft: Draft,
    pub(super) etag: Option<String>,
    pub(super) last_modified: Option<String>,
}

/// Why there is nothing new.
#[derive(Debug)]
pub(super) enum Missed {
    /// It is not its time, or the server says that nothing changed: the copy is what there is to be.
    Unchanged,
    /// The file cannot be read.
    File(PathBuf, io::Error),
    /// The URL could not be fetched.
    Url(FetchError),
    /// No copy of it can be made.
    Copy(io::Error),
}

/// Bytes that are no feed, or not yet believed.
struct Refused {
    reason: String,
    report: Option<Box<FeedReport>>,
    /// Good in itself, but less than half of what was there before.
    shrank: bool,
}

impl Feed {
    /// A feed not yet read, with the copy that an earlier run left of it.
    pub fn new(spec: FeedSpec, purpose: Purpose, copies: &Copies) -> Self {
        let copy = copies.find(&key(&spec, purpose), &spec.location.key());
        Self {
            spec,
            purpose,
            schedule: Schedule::default(),
            copy,
            problem: None,
            arrived: None,
            fetch: Fetch::Untried,
            shrank: false,
            read_once: false,
        }
    }

    /// Asks for a fetch at once, where the feed is a URL.
    pub fn pull_now(&mut self, now: Instant) {
        if matches!(self.spec.location, Location::Url(_)) {
            self.schedule.pull_now(now);
        }
    }

    /// When it is to be fetched; `None` while it is.
    pub fn next_pull(&self) -> Option<Instant> {
        if self.fetch.is_on() { None } else { self.schedule.next() }
    }

    /// The fetch that is due.
    pub fn pull(&mut self, index: usize, fetcher: &Fetcher, copies: &Copies, bytes_max: u64) -> Option<Pull> {
        let Location::Url(url) = &self.spec.location else { return None };
        if self.fetch.is_on() || !self.schedule.is_due(Instant::now()) {
            return None;
        }
        self.fetch = if self.fetch == Fetch::Untried { Fetch::First } else { Fetch::Again };
        let known = self.copy.as_ref().map(|copy| copy.origin.clone());
        let draft = copies.draft(&self.key());
        Some(Pull { index, url: url.clone(), known, draft, fetcher: fetcher.clone(), bytes_max })
    }

    /// A fetch has ended.
    pub fn arrive(&mut self, outcome: Result<Fresh, Missed>, copies: &Copies) {
        self.fetch = Fetch::Resting;
        let now = Instant::now();
        match &outcome {
            Err(Missed::Unchanged) => self.still_right(copies, now),
            Err(Missed::Url(error)) => self.schedule.failed(now, error.retry_after()),
            // A body counts as a failure until it is accepted: one refused again and again is asked for less and less.
            Ok(_) | Err(_) => self.schedule.failed(now, None),
        }
        self.arrived = Some(outcome);
    }

    /// The server says that the copy is what there is.
    fn still_right(&mut self, copies: &Copies, now: Instant) {
        self.schedule.succeeded(now);
        self.problem = None;
        self.shrank = false;
        let key = self.key();
        if let Some(copy) = &mut self.copy {
            copy.origin.time = now_seconds();
            // Best effort: only the copy's age after a restart depends on it.
            let _ = copies.describe(&key, &copy.origin);
        }
    }

    /// Puts the feed's entries into the builder. Only what the operator must repair before a start is an error.
    pub fn load(&mut self, index: usize, load: &mut Load<'_>) -> Result<FeedStatus, SourceError> {
        let mut refused_report = None;
        match self.obtain(load) {
            Ok(fresh) => match self.take(index, fresh, load)? {
                Ok(report) => return Ok(self.status(Some(report), false)),
                Err(refused) => {
                    self.problem = Some(refused.reason);
                    refused_report = refused.report.map(|report| *report);
                }
            },
            Err(Missed::Unchanged) => {}
            Err(Missed::File(_, error))
                if load.occasion == Occasion::Start && self.purpose == Purpose::Allow =>
            {
                let reason = format!("it cannot be read ({error}); correct its path or its permissions");
                return Err(SourceError::AllowList { location: self.spec.location.to_string(), reason });
            }
            Err(Missed::File(path, error)) if load.occasion == Occasion::Start => {
                return Err(SourceError::Unreadable { name: self.spec.name.to_string(), path, error });
            }
            Err(Missed::File(path, error)) => {
                self.problem = Some(format!("cannot read {}: {error}", path.display()));
            }
            Err(Missed::Url(error)) => self.problem = Some(error.to_string()),
            Err(Missed::Copy(error)) => self.problem = Some(no_copy(&error)),
        }
        match self.fall_back(index, load)? {
            Some(report) => Ok(self.status(Some(report), true)),
            None if self.purpose == Purpose::Allow && load.occasion == Occasion::Start => {
                let reason = self.problem.clone().unwrap_or_default();
                Err(SourceError::AllowList { location: self.spec.location.to_string(), reason })
            }
            None => Ok(FeedStatus { entries: 0, ..self.status(refused_report, false) }),
        }
    }

    /// The text of a line of what is in use.
    pub fn line(&self, number: u32) -> Option<String> {
        // What an entry of JSON has is an element's number.
        if self.spec.format == feed::Format::Json {
            return None;
        }
        let reader = self.copy.as_ref()?.reader().ok()?;
        feed::line(reader, number).ok()?
    }

    /// The bytes as they are now, if they are to be looked at: of a URL, what was fetched since the last load.
    fn obtain(&mut self, load: &Load<'_>) -> Result<Fresh, Missed> {
        let Location::File(path) = &self.spec.location else {
            return self.arrived.take().unwrap_or(Err(Missed::Unchanged));
        };
        if load.occasion == Occasion::Refresh || self.read_once {
            return Err(Missed::Unchanged);
        }
        let (fresh, regular) = read_file(path, &self.key(), load)?;
        self.read_once = !regular;
        Ok(fresh)
    }

    /// Parses new bytes into the builder and makes them the last good copy, unless they are refused.
    fn take(
        &mut self,
        index: usize,
        fresh: Fresh,
        load: &mut Load<'_>,
    ) -> Result<Result<FeedReport, Refused>, BuildError> {
        let report = match self.parse(index, || fresh.draft.reader(), self.least(), load)? {
            Ok(report) => report,
            Err(refused) => {
                self.doubt(&refused);
                return Ok(Err(refused));
            }
        };
        self.believe();
        let origin = Origin {
            location: self.spec.location.key(),
            time: now_seconds(),
            entries: report.entries,
            etag: fresh.etag,
            last_modified: fresh.last_modified,
        };
        let (copy, stored) = load.copies.keep(&self.key(), fresh.draft, origin);
        self.copy = Some(copy);
        self.problem = stored.err().map(|error| no_copy(&error));
        Ok(Ok(report))
    }

    /// As few entries as are believed at once: a fetched feed that loses more than half has to say so twice.
    fn least(&self) -> u64 {
        match (&self.spec.location, &self.copy) {
            (Location::Url(_), Some(copy)) if !self.shrank => copy.origin.entries.div_ceil(2),
            _ => 0,
        }
    }

    /// A feed that shrank is fetched again soon; any other refused one stays the failure that its fetch counted as.
    fn doubt(&mut self, refused: &Refused) {
        self.shrank = refused.shrank;
        if refused.shrank {
            self.schedule.confirm(Instant::now());
        }
    }

    /// What was read is good; a file is read again only when the operator says so.
    fn believe(&mut self) {
        self.shrank = false;
        if matches!(self.spec.location, Location::Url(_)) {
            self.schedule.succeeded(Instant::now());
        }
    }

    /// The last good copy's entries, where there is one that can be read.
    fn fall_back(&mut self, index: usize, load: &mut Load<'_>) -> Result<Option<FeedReport>, BuildError> {
        let Some(copy) = &self.copy else { return Ok(None) };
        match self.parse(index, || copy.reader(), 0, load)? {
            Ok(report) => Ok(Some(report)),
            Err(refused) => {
                self.problem.get_or_insert(refused.reason);
                Ok(None)
            }
        }
    }

    /// Parses bytes into the builder; of what is refused nothing stays in it.
    fn parse(
        &self,
        index: usize,
        open: impl Fn() -> io::Result<BufReader<File>>,
        least: u64,
        load: &mut Load<'_>,
    ) -> Result<Result<FeedReport, Refused>, BuildError> {
        let options = self.options(load.limits);
        let read = |each: &mut dyn FnMut(Entry<'_>)| {
            let source = open().map_err(|error| Refused::new(no_copy(&error)))?;
            let report = feed::read(source, &options, &mut |entry| each(entry)).map_err(Refused::from)?;
            if report.entries < least { Err(Refused::shrunk(report, least)) } else { Ok(report) }
        };
        match self.purpose {
            Purpose::List => {
                let id = load.builder.feed(self.spec.info())?;
                let outcome = read(&mut |entry| {
                    (load.watch)(index, self.purpose, &entry);
                    load.builder.add(id, &entry);
                });
                if outcome.is_err() {
                    load.builder.retract(id);
                }
                Ok(outcome)
            }
            // The allow list cannot be taken back out of a builder: it is read once to be judged, once to be used.
            Purpose::Allow => Ok(read(&mut |_| {}).and_then(|_| {
                read(&mut |entry| {
                    (load.watch)(index, self.purpose, &entry);
                    load.builder.allow(&entry);
                })
            })),
        }
    }

    fn options(&self, limits: Limits) -> feed::Options {
        feed::Options {
            format: self.spec.format,
            matching: self.spec.matching,
            guard: self.purpose == Purpose::List,
            bytes_max: limits.bytes_max,
            entries_max: limits.entries_max,
            ..feed::Options::default()
        }
    }

    fn status(&self, report: Option<FeedReport>, last_good: bool) -> FeedStatus {
        FeedStatus {
            name: self.spec.name.to_string(),
            location: self.spec.location.to_string(),
            allow_list: self.purpose == Purpose::Allow,
            format: report.as_ref().map_or(self.spec.format, |report| report.format),
            entries: report.as_ref().map_or(0, |report| report.entries),
            report,
            last_good,
            pending: matches!(self.spec.location, Location::Url(_))
                && !self.fetch.has_ended()
                && self.copy.is_none(),
            read_at: self.copy.as_ref().map(|copy| UNIX_EPOCH + Duration::from_secs(copy.origin.time)),
            problem: self.problem.clone(),
        }
    }

    fn key(&self) -> String {
        key(&self.spec, self.purpose)
    }
}

impl Refused {
    fn new(reason: String) -> Self {
        Self { reason, report: None, shrank: false }
    }

    fn shrunk(report: FeedReport, least: u64) -> Self {
        let reason = format!(
            "it shrank to {} entries, less than half of what it had ({} or more were expected); \
             believed when the next fetch says the same",
            report.entries, least
        );
        Self { reason, report: Some(Box::new(report)), shrank: true }
    }
}

impl From<feed::FeedError> for Refused {
    fn from(error: feed::FeedError) -> Self {
        Self { reason: error.refusal.to_string(), report: Some(error.report), shrank: false }
    }
}

/// The name of a feed's copy; an allow list may be named as a feed is.
fn key(spec: &FeedSpec, purpose: Purpose) -> String {
    match purpose {
        Purpose::List => spec.name.to_string(),
        Purpose::Allow => format!("{}.allow", spec.name),
    }
}

/// All of a file in a draft, and whether it can be read again.
fn read_file(path: &Path, key: &str, load: &Load<'_>) -> Result<(Fresh, bool), Missed> {
    let unreadable = |error| Missed::File(path.to_owned(), error);
    let mut file = File::open(path).map_err(unreadable)?;
    let kind = file.metadata().map_err(unreadable)?.file_type();
    if kind.is_dir() {
        return Err(unreadable(io::ErrorKind::IsADirectory.into()));
    }
    let mut draft = load.copies.draft(key).map_err(Missed::Copy)?;
    draft.fill(&mut file, load.limits.bytes_max).map_err(|error| match error {
        FillError::Read(error) => unreadable(error),
        FillError::Write(error) => Missed::Copy(error),
    })?;
    Ok((Fresh { draft, etag: None, last_modified: None }, kind.is_file()))
}

fn no_copy(error: &io::Error) -> String {
    format!("cannot keep a copy of it: {error}")
}

fn now_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
