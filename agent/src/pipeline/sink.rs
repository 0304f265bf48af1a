//! Documents -> standard output or files, as NDJSON or as readable lines; or a search engine, through a spool.
//!
//! [`Sink::write`] never waits: a bounded queue leads to one writer thread for each output, so that a pipe that nobody
//! reads stops neither capture nor the other output. When a queue is full DNS logs are dropped before alerts; every
//! document that came in was written, dropped, failed, or is still queued, and is counted so.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use namewarden_protocol::document::Document;
use reqwest::Url;

// Where bytes go: standard output, a file.
mod destination;

// A file that is moved away when it is full.
mod file;

// The queue between the pipeline and a writer.
mod queue;

// One line for a person.
mod readable;

// The thread that writes.
mod writer;

// Documents on disk until a search engine has them.
pub mod spool;

// Spool -> Elasticsearch or OpenSearch.
pub mod search;

// A spool that another agent left.
mod remains;

pub use file::{FileCounts, Rotation};
pub use remains::Remains;

use destination::Destination;
use file::Tally;
use queue::Queue;
use search::{LaneView, Search, SearchError};

/// Where documents go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// Appended to this file; opened anew when it was moved away.
    File(PathBuf),
    /// Created in a search engine, at one of these URLs.
    Search(Vec<Url>),
}

impl FromStr for Target {
    type Err = SinkError;

    fn from_str(text: &str) -> Result<Self, SinkError> {
        match text.strip_prefix("file:") {
            _ if text == "stdout" => Ok(Self::Stdout),
            Some(path) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            None if text.starts_with("http://") || text.starts_with("https://") => {
                text.split(',').map(server).collect::<Result<_, _>>().map(Self::Search)
            }
            _ => Err(SinkError::Target { text: text.to_owned() }),
        }
    }
}

/// The text may hold a password: it is not shown.
fn server(text: &str) -> Result<Url, SinkError> {
    let url = text.trim().parse::<Url>().map_err(|_| SinkError::Url)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SinkError::Credentials);
    }
    let plain = url.has_host() && url.query().is_none() && url.fragment().is_none();
    if plain && matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(SinkError::Url) }
}

/// How documents on standard output look; files are always NDJSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// One document a line.
    Json,
    /// One line for a person.
    Readable {
        /// With colours.
        colour: bool,
    },
}

impl Style {
    /// Readable on a terminal, NDJSON elsewhere.
    pub fn of_terminal() -> Self {
        use std::io::IsTerminal;
        if std::io::stdout().is_terminal() { Self::readable() } else { Self::Json }
    }

    /// Readable, with colours where standard output shows them and nobody asked for none.
    pub fn readable() -> Self {
        let colour = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
        Self::Readable { colour }
    }
}

/// Where everything goes.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Alerts, summaries, times without capture.
    pub alerts: Target,
    /// DNS logs; `None` when they are off.
    pub dns_logs: Option<Target>,
    /// Of standard output.
    pub style: Style,
    /// When files are moved away; `None` for never.
    pub rotation: Option<Rotation>,
    /// Documents that wait for one output at most.
    pub capacity: usize,
    /// How search engines are reached, where documents go to one.
    pub search: Option<search::Settings>,
}

impl Settings {
    /// Documents that wait for one output at most, unless told otherwise.
    pub const CAPACITY: usize = 4096;

    /// Whether any documents go to a search engine, and wait for it on disk.
    pub fn has_spool(&self) -> bool {
        [Some(&self.alerts), self.dns_logs.as_ref()]
            .into_iter()
            .flatten()
            .any(|target| matches!(target, Target::Search(_)))
    }
}

/// Why there is no sink.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Not a target.
    #[error("{text:?} is no place for documents: write stdout, file:PATH, or the URL of a search engine")]
    Target {
        /// What was written.
        text: String,
    },
    /// Not the URL of a search engine.
    #[error(
        "that is no URL of a search engine: write http(s)://HOST[:PORT], several with commas between them"
    )]
    Url,
    /// A secret where everybody sees it.
    #[error(
        "a URL of a search engine must not hold credentials: give --search-user and --search-password-file instead"
    )]
    Credentials,
    /// Only a running agent keeps a spool.
    #[error("a replay writes to stdout or file:PATH only")]
    NoSpool,
    /// The spool or the way to a search engine.
    #[error(transparent)]
    Search(#[from] SearchError),
    /// The file cannot be opened.
    #[error("cannot append documents to {}: {source}; name a file in a folder that exists and that this user may write to", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// No thread can be started.
    #[error("cannot start a writer of documents: {0}")]
    Thread(std::io::Error),
}

/// What became of the documents of one kind: `seen = written + dropped + failed + queued`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindCounts {
    /// Documents that came in.
    pub seen: u64,
    /// Documents written and flushed.
    pub written: u64,
    /// Documents dropped because the queue was full, or because nobody read until the end.
    pub dropped: u64,
    /// Documents that could not be written.
    pub failed: u64,
    /// Documents that wait now.
    pub queued: u64,
}

/// What became of all documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SinkCounts {
    /// Alerts, summaries, times without capture.
    pub alerts: KindCounts,
    /// DNS logs.
    pub logs: KindCounts,
    /// What rotation did to files.
    pub files: FileCounts,
}

/// The stage; documents may be handed to it from any thread.
#[derive(Debug)]
pub struct Sink {
    alerts: Arc<Queue>,
    logs: Option<Arc<Queue>>,
    search: Option<Search>,
    files: Arc<Tally>,
}

impl Sink {
    /// Opens the outputs and starts a writer for each.
    pub fn open(settings: &Settings) -> Result<Self, SinkError> {
        let search = start_search(settings)?;
        let files = Arc::<Tally>::default();
        let start = |target: &Target| {
            let destination = match (target, &search) {
                (Target::Search(_), Some(search)) => return Ok(search.queue()),
                (Target::Search(_), None) => return Err(SinkError::NoSpool),
                (Target::Stdout | Target::File(_), _) => {
                    Destination::open(target)?.rotated(settings.rotation, &files)
                }
            };
            let style = if *target == Target::Stdout { settings.style } else { Style::Json };
            writer::start(destination, style, settings.capacity).map_err(SinkError::Thread)
        };
        let alerts = start(&settings.alerts)?;
        let logs = match &settings.dns_logs {
            None => None,
            Some(target) if *target == settings.alerts => Some(alerts.clone()),
            Some(target) => Some(start(target)?),
        };
        Ok(Self { alerts, logs, search, files })
    }

    /// Hands on one document; never waits. A DNS log goes nowhere when they are off.
    pub fn write(&self, document: Document) {
        if !document.is_log() {
            self.alerts.push(document);
        } else if let Some(logs) = &self.logs {
            logs.push(document);
        }
    }

    /// Hands on one document; waits for room in the queue until then: for the end of a run.
    pub fn write_until(&self, document: Document, until: Instant) {
        let queue = if document.is_log() { self.logs.as_ref() } else { Some(&self.alerts) };
        if let Some(queue) = queue {
            queue.wait_for_room(until);
            queue.push(document);
        }
    }

    /// Hands on one document; waits for room in the queue for a day: for a replay, whose source can wait.
    pub fn write_waiting(&self, document: Document) {
        self.write_until(document, Instant::now() + Duration::from_hours(24));
    }

    /// Counted so far.
    pub fn counts(&self) -> SinkCounts {
        let alerts = self.alerts.counts();
        let logs = self.logs.as_ref().map_or(alerts.logs, |logs| logs.counts().logs);
        SinkCounts { alerts: alerts.alerts, logs, files: self.files.counts() }
    }

    /// The lanes that go to search engines.
    pub fn lanes(&self) -> Vec<LaneView> {
        self.search.as_ref().map(Search::lanes).unwrap_or_default()
    }

    /// Bytes that the spool keeps.
    pub fn spool_bytes(&self) -> u64 {
        self.search.as_ref().map_or(0, Search::spool_bytes)
    }

    /// Leaves so many bytes of the spool's limit to documents that are kept elsewhere on this node.
    pub fn leave_room(&self, bytes: u64) {
        if let Some(search) = &self.search {
            search.leave_room(bytes);
        }
    }

    /// Whether whoever read the alerts has gone (`| head`): nothing will be written any more.
    pub fn is_broken(&self) -> bool {
        self.alerts.is_broken()
    }

    /// Writes what is queued, for as long as `patience` at most, and says what became of everything.
    pub fn close(&self, patience: Duration) -> SinkCounts {
        let until = Instant::now() + patience;
        for queue in [&self.alerts].into_iter().chain(&self.logs) {
            queue.close(until);
        }
        if let Some(search) = &self.search {
            search.close(until);
        }
        self.counts()
    }
}

/// The spool and its threads, where any documents go to a search engine.
fn start_search(settings: &Settings) -> Result<Option<Search>, SinkError> {
    let urls = |target: &Target| match target {
        Target::Search(urls) => Some(urls.clone()),
        Target::Stdout | Target::File(_) => None,
    };
    let (alerts, logs) = (urls(&settings.alerts), settings.dns_logs.as_ref().and_then(urls));
    match &settings.search {
        Some(search) if alerts.is_some() || logs.is_some() => {
            Ok(Some(Search::start(search, alerts.as_deref(), logs.as_deref(), settings.capacity)?))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
