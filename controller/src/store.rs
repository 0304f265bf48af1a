//! Where documents are kept and looked for: alerts and DNS logs come in as they stand in a `_bulk` request; pages, counts and
//! annotated groups go out. Always of one cluster.
//!
//! One trait; files, SQL and HTTP are known to its implementations only.

// What is asked.
mod question;

// What is answered.
mod answer;

// What of a document is searched; which documents are refused.
mod facts;

// Files of SQLite's in a folder.
pub mod sqlite;

// Data streams of a search engine.
pub mod engine;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

use bytes::Bytes;
use futures::future::BoxFuture;

pub use answer::{Appended, Bucket, Hit, NamingPage, Outcome, Page, Reading, Refusal, TopValue};
pub use question::{Cursor, Field, Filter, Histogram, IsMeant, Naming, Order, Search, State, Top};

/// Which documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Alerts, and what else goes into their data stream.
    Alerts,
    /// DNS logs.
    Logs,
}

impl Stream {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Alerts, Self::Logs];

    /// The data stream's dataset.
    pub const fn dataset(self) -> &'static str {
        match self {
            Self::Alerts => "namewarden.alert",
            Self::Logs => "namewarden.dns",
        }
    }

    /// In metrics and log lines.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Logs => "logs",
        }
    }
}

/// A document that is to be kept, as it stands in a `_bulk` request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Where it belongs.
    pub stream: Stream,
    /// Third part of the data stream's name.
    pub namespace: String,
    /// Its `_id`; one is made up where there is none.
    pub id: Option<String>,
    /// JSON.
    pub source: Bytes,
}

/// What a person says of an alert group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// What is to be thought of it.
    pub state: State,
    /// Who says so.
    pub by: String,
    /// When, in nanoseconds since the epoch.
    pub at: namewarden_protocol::document::Time,
    /// Why; may be empty.
    pub reason: String,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// More comes in than is written.
    #[error("the store has more to write than it keeps up with; try again in a moment")]
    Busy,
    /// Disk, file.
    #[error("the store cannot be used now ({0}); the controller's log says more")]
    Unavailable(String),
    /// A search that has no end.
    #[error("the search took longer than {seconds} s; ask for a shorter time, or more precisely")]
    TooSlow {
        /// What a search may take.
        seconds: u64,
    },
    /// The search engine: what it says, and a remedy.
    #[error("{0}")]
    Engine(String),
    /// No document bears that group.
    #[error("there is no alert of the group {0}")]
    NoSuchGroup(String),
}

/// What a method of [`Store`] gives.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Keeps documents and finds them again.
pub trait Store: fmt::Debug + Send + Sync {
    /// Keeps documents; says of each what became of it, in order. What is [`Outcome::Created`] is on disk.
    fn append(&self, documents: Vec<Incoming>) -> Answer<'_, Vec<Appended>>;

    /// A page of documents.
    fn search(&self, search: Search) -> Answer<'_, Page>;

    /// How many documents there are in each step of time; every step is there, also an empty one.
    fn histogram(&self, histogram: Histogram) -> Answer<'_, Vec<Bucket>>;

    /// The most frequent values of a field with the number of documents that bear them: the most frequent first, then by value.
    fn top(&self, top: Top) -> Answer<'_, Vec<TopValue>>;

    /// A page of the DNS logs with certain names in them. A page ends where it becomes long, or takes long.
    fn naming(&self, naming: Naming) -> Answer<'_, NamingPage>;

    /// A document of a cluster by its `_id`.
    fn get(&self, stream: Stream, cluster: String, id: String) -> Answer<'_, Option<Hit>>;

    /// Which of these ids a data stream holds, in order: true of everything that [`Store::append`] said was there.
    fn holds(&self, stream: Stream, namespace: String, ids: Vec<String>) -> Answer<'_, Vec<bool>>;

    /// Says something of an alert group of a cluster, in place of what was said before.
    fn annotate(&self, cluster: String, group: String, annotation: Annotation) -> Answer<'_, ()>;

    /// How much there is of each stream, by its name, as far as that is known without asking.
    fn reading(&self) -> Vec<(&'static str, Reading)>;
}
