//! Documents -> Elasticsearch or OpenSearch, through a spool on disk.
//!
//! Two threads: one takes documents off the queue into the spool, the other sends what is in the spool. Neither holds up the
//! pipeline. What the spool accepted is sent until a server has it, refuses it for good, or a limit drops it; what a server may
//! have had before its answer was lost is looked up before it is sent again.

// Documents -> the body of a request.
mod body;

// Answers -> what becomes of each document.
mod judge;

// Which server is asked next, and when.
mod endpoints;

// Which documents does a data stream hold?
mod lookup;

// Documents that a server refuses for good.
mod dead_letters;

// Queue -> spool.
mod intake;

// One lane: its servers, its data stream, what is known of them.
mod lane;

// Spool -> servers.
mod deliver;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use namewarden_protocol::search_engine::{self, Asker, SetupError};
use reqwest::Url;
use tokio::sync::Notify;

use super::queue::Queue;
use super::spool::{Counts, Kind, Limits, Spool, SpoolError};
use dead_letters::DeadLetters;
use lane::Lane;

/// How documents reach search engines.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who asks, and what is trusted.
    pub client: search_engine::Settings,
    /// How much the spool keeps.
    pub limits: Limits,
    /// The spool's folder.
    pub folder: PathBuf,
    /// Data stream of alerts.
    pub alert_stream: String,
    /// Data stream of DNS logs.
    pub log_stream: String,
}

/// Why documents cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// TLS.
    #[error(transparent)]
    Client(#[from] SetupError),
    /// No thread can be started.
    #[error("cannot start a sender of documents: {0}")]
    Thread(std::io::Error),
}

/// What is known of the servers of one lane.
#[derive(Clone, Debug, Default)]
pub struct Contact {
    /// Where they are, without credentials.
    pub locations: Vec<String>,
    /// When one last took documents.
    pub answered: Option<Instant>,
    /// Why documents wait, where they do.
    pub problem: Option<String>,
    /// `_bulk` requests sent.
    pub requests: u64,
    /// Bytes of their bodies, packed.
    pub bytes: u64,
    /// Requests of any kind that led to nothing.
    pub failures: u64,
    /// Documents sent again.
    pub repeated: u64,
    /// Requests split because they were too large.
    pub split: u64,
}

/// One lane as others see it.
#[derive(Clone, Debug)]
pub struct LaneView {
    /// Which.
    pub kind: Kind,
    /// Its documents.
    pub counts: Counts,
    /// Its servers.
    pub contact: Contact,
}

/// What both threads share.
#[derive(Debug)]
struct Shared {
    spool: Mutex<Spool>,
    /// Something was settled.
    settled: Condvar,
    letters: Mutex<DeadLetters>,
    lanes: Vec<Arc<Lane>>,
    asker: Asker,
    stop: Notify,
}

impl Shared {
    fn spool(&self) -> MutexGuard<'_, Spool> {
        self.spool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lane(&self, kind: Kind) -> Option<&Arc<Lane>> {
        self.lanes.iter().find(|lane| lane.kind == kind)
    }

    fn waiting(&self) -> u64 {
        let spool = self.spool();
        self.lanes.iter().map(|lane| spool.counts(lane.kind).waiting).sum()
    }
}

/// The sink of those documents that go to search engines.
#[derive(Debug)]
pub struct Search {
    queue: Arc<Queue>,
    shared: Arc<Shared>,
    sender: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Search {
    /// Opens the spool and starts both threads; no server is waited for.
    pub fn start(
        settings: &Settings,
        alerts: Option<&[Url]>,
        logs: Option<&[Url]>,
        capacity: usize,
    ) -> Result<Self, SearchError> {
        let asker = Asker::new(&settings.client, concat!("namewarden-agent/", env!("CARGO_PKG_VERSION")))?;
        let spool = Spool::open(&settings.folder, settings.limits, SystemTime::now())?;
        let lane = |kind, urls: Option<&[Url]>, stream: &str| {
            urls.map(|urls| Arc::new(Lane::new(kind, urls.to_vec(), stream.to_owned())))
        };
        let lanes = [
            lane(Kind::Alerts, alerts, &settings.alert_stream),
            lane(Kind::Logs, logs, &settings.log_stream),
        ];
        let shared = Arc::new(Shared {
            spool: Mutex::new(spool),
            settled: Condvar::new(),
            letters: Mutex::new(DeadLetters::new(settings.folder.join("refused.ndjson"))),
            lanes: lanes.into_iter().flatten().collect(),
            asker,
            stop: Notify::new(),
        });
        let queue = Arc::new(Queue::new(capacity));
        intake::start(Arc::clone(&queue), Arc::clone(&shared)).map_err(SearchError::Thread)?;
        let sender = deliver::start(Arc::clone(&shared)).map_err(SearchError::Thread)?;
        Ok(Self { queue, shared, sender: Mutex::new(Some(sender)) })
    }

    /// Where documents come in.
    pub(super) fn queue(&self) -> Arc<Queue> {
        Arc::clone(&self.queue)
    }

    /// Bytes that the spool keeps.
    pub(super) fn spool_bytes(&self) -> u64 {
        self.shared.spool().bytes()
    }

    /// Leaves so many bytes of the spool's limit to documents that are kept elsewhere.
    pub(super) fn leave_room(&self, bytes: u64) {
        self.shared.spool().leave_room(bytes);
    }

    /// Drops the oldest documents beyond these bytes of alerts and of DNS logs.
    pub(super) fn shrink(&self, alerts: u64, logs: u64) {
        self.shared.spool().shrink(alerts, logs);
        self.shared.settled.notify_all();
    }

    /// Every lane that goes to a search engine.
    pub fn lanes(&self) -> Vec<LaneView> {
        let spool = self.shared.spool();
        let view = |lane: &Arc<Lane>| LaneView {
            kind: lane.kind,
            counts: spool.counts(lane.kind),
            contact: lane.contact(),
        };
        self.shared.lanes.iter().map(view).collect()
    }

    /// Waits, once the queue is closed, until servers have everything, none of them answers, or the time is up. What is left
    /// stays in the spool for the next run.
    pub(super) fn close(&self, until: Instant) {
        let mut spool = self.shared.spool();
        let waits = |spool: &Spool| {
            let waits = |lane: &&Arc<Lane>| spool.counts(lane.kind).waiting > 0 && !lane.is_in_trouble();
            self.shared.lanes.iter().filter(waits).count() > 0
        };
        while waits(&spool) && Instant::now() < until {
            let pause = Duration::from_millis(50);
            spool = self.shared.settled.wait_timeout(spool, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(spool);
        self.shared.stop.notify_one();
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A thread that ended early has nothing left to say.
        drop(sender.map(std::thread::JoinHandle::join));
        let left = self.shared.waiting();
        if left > 0 {
            tracing::warn!("{left} documents wait in the spool; the next run sends them");
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
