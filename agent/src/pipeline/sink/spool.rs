//! Documents on disk until a search engine has them: two lanes of records, alerts and DNS logs, within one limit.
//!
//! What was appended and synchronised is handed out after a crash too, all of it that was not settled. Where there is no
//! room DNS logs give way first, the oldest before newer ones; a DNS log never costs an alert. Each record is in exactly one
//! count: `found + appended = acknowledged + refused + dropped + damaged + waiting`.

// Record <-> bytes.
pub mod record;

// A run of records in one file, or in memory.
mod segment;

// Which records are settled.
mod ledger;

// The records of one kind.
mod lane;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What its files of records end in.
pub const EXTENSION: &str = "spool";

pub use lane::{Appended, Batch, Counts, Fate, Item};

use lane::{Lane, Why};

/// Which lane a document is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Alerts, summaries, times without capture.
    Alerts,
    /// DNS logs.
    Logs,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Alerts, Self::Logs];

    /// As its files begin.
    pub fn name(self) -> &'static str {
        match self {
            Self::Alerts => "alerts",
            Self::Logs => "dns-logs",
        }
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes on disk and in memory, both lanes together.
    pub bytes: u64,
    /// How old a document may become.
    pub age: Duration,
}

/// Why there is no spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be used.
    #[error("cannot keep documents in {path}: {source}; name a folder that this agent can write to with --state-dir", path = path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else uses it.
    #[error("another agent keeps its documents in {}; give each agent a --state-dir of its own", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
    },
}

/// Both lanes.
#[derive(Debug)]
pub struct Spool {
    alerts: Lane,
    logs: Lane,
    limits: Limits,
    /// Of the limit, bytes that are kept elsewhere.
    elsewhere: u64,
    folder: PathBuf,
    /// Held as long as the spool is.
    _lock: File,
}

impl Spool {
    /// Opens the folder, makes it where there is none, and finds what an earlier run left.
    pub fn open(folder: &Path, limits: Limits, now: SystemTime) -> Result<Self, SpoolError> {
        let failed = |source| SpoolError::Folder { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(folder.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Err(SpoolError::Taken { path: folder.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let lane = |kind| Lane::open(folder, kind, limits, now).map_err(failed);
        Ok(Self {
            alerts: lane(Kind::Alerts)?,
            logs: lane(Kind::Logs)?,
            limits,
            elsewhere: 0,
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    /// Appends documents of one kind, each with its `_id`; makes room first.
    pub fn append(&mut self, kind: Kind, documents: &[(&str, &[u8])], now: SystemTime) -> Appended {
        let bytes: usize =
            documents.iter().map(|(id, text)| record::HEADER + 2 + id.len() + text.len()).sum();
        if self.make_room(kind, bytes as u64) {
            self.lane_mut(kind).append(documents, now)
        } else {
            self.lane_mut(kind).drop_incoming(documents.len() as u64, Why::Size);
            Appended::Dropped
        }
    }

    /// Whether there is room, once what may give way has.
    fn make_room(&mut self, kind: Kind, bytes: u64) -> bool {
        while self.bytes() + self.elsewhere + bytes > self.limits.bytes {
            if self.logs.drop_oldest(Why::Size) {
                continue;
            }
            if kind == Kind::Logs {
                return false;
            }
            if !self.alerts.drop_oldest(Why::Size) {
                // All that is left is on its way to a server.
                break;
            }
        }
        true
    }

    /// Leaves so many bytes of the limit to documents that are kept elsewhere on this node.
    pub fn leave_room(&mut self, bytes: u64) {
        self.elsewhere = bytes;
    }

    /// Drops the oldest documents until no more bytes are kept than these of alerts and these of DNS logs.
    pub fn shrink(&mut self, alerts: u64, logs: u64) {
        for (kind, most) in [(Kind::Alerts, alerts), (Kind::Logs, logs)] {
            let lane = self.lane_mut(kind);
            while lane.bytes() > most && lane.drop_oldest(Why::Size) {}
        }
    }

    /// Drops what has become too old.
    pub fn expire(&mut self, now: SystemTime) {
        for kind in Kind::ALL {
            self.lane_mut(kind).expire(now);
        }
    }

    /// The next documents of a kind: up to `most` bytes, and at least one document where there is one.
    pub fn next_batch(&mut self, kind: Kind, most: usize) -> Option<Batch> {
        self.lane_mut(kind).next_batch(most)
    }

    /// Says what became of documents that were handed out.
    pub fn settle(&mut self, kind: Kind, fates: impl IntoIterator<Item = (u64, Fate)>) {
        self.lane_mut(kind).settle(fates);
    }

    /// The file that holds what was appended last, to be synchronised outside any lock.
    pub fn to_synchronise(&self, kind: Kind) -> Option<Arc<File>> {
        self.lane(kind).to_synchronise()
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes kept and not on their way.
    pub fn bytes(&self) -> u64 {
        self.alerts.bytes() + self.logs.bytes()
    }

    /// What became of the documents of one kind.
    pub fn counts(&self, kind: Kind) -> Counts {
        self.lane(kind).counts()
    }

    /// Documents, and their bytes, that were not handed out yet.
    pub fn unread(&self, kind: Kind) -> (u64, u64) {
        self.lane(kind).unread()
    }

    fn lane(&self, kind: Kind) -> &Lane {
        match kind {
            Kind::Alerts => &self.alerts,
            Kind::Logs => &self.logs,
        }
    }

    fn lane_mut(&mut self, kind: Kind) -> &mut Lane {
        match kind {
            Kind::Alerts => &mut self.alerts,
            Kind::Logs => &mut self.logs,
        }
    }
}

#[cfg(test)]
mod tests;
