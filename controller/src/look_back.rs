//! Looking back: when a set lists more names than the ones before it, the stored DNS logs are searched for them, and what was
//! asked before the name was listed alerts too.
//!
//! In: sets as they are published, DNS logs of the store. Out: alerts in the store, and what is said of the search in the
//! status of the feeds. The leader alone looks back. Logs come late (an agent counts for minutes, or was cut off): for an hour
//! those that arrive are searched for what was listed meanwhile.

// Sets that were published, and when.
mod sets;

// Names of a log that were listed later.
mod gain;

// One search, from the first page to the last alert.
mod pass;

#[cfg(test)]
mod tests;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use namewarden_protocol::threat_set::OpenError;

use crate::{
    feed::{Feeds, reconcile::searched::Searched},
    leader::{Leadership, Role},
    publish::{Published, Publisher},
    store::{Store, StoreError},
};
use gain::Gain;
use pass::Pass;
use sets::Sets;

/// For so long after a set was published, logs that arrive are searched for what it lists anew.
const LATE: Duration = Duration::from_hours(1);
/// Between two such searches, usually.
pub const AGAIN: Duration = Duration::from_mins(1);
/// Between two tries, the first ones and the later ones.
const RETRY: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(60)];

/// What it works with.
#[derive(Debug)]
pub struct Parts {
    /// Where logs are found and alerts are written.
    pub store: Arc<dyn Store>,
    /// Sets.
    pub publisher: Publisher,
    /// Who leads.
    pub leadership: Leadership,
    /// Who tells of it in the status of the feeds.
    pub feeds: Feeds,
    /// A folder of its own.
    pub folder: PathBuf,
    /// Whose logs.
    pub cluster: String,
    /// How far back.
    pub span: Duration,
    /// Between two searches of logs that came late.
    pub again: Duration,
    /// What is counted.
    pub counts: Arc<Counts>,
}

/// What came of it since the start.
#[derive(Debug, Default)]
pub struct Counts {
    /// Searches that came to their end.
    pub searches: AtomicU64,
    /// Searches that did not.
    pub failures: AtomicU64,
    /// Alerts written.
    pub alerts: AtomicU64,
    /// Alerts that were there already: an agent's own, or of a search before.
    pub known: AtomicU64,
    /// Alerts that the store refused for good.
    pub refused: AtomicU64,
}

/// [`Counts`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// Searches that came to their end.
    pub searches: u64,
    /// Searches that did not.
    pub failures: u64,
    /// Alerts written.
    pub alerts: u64,
    /// Alerts that were there already.
    pub known: u64,
    /// Alerts that the store refused for good.
    pub refused: u64,
}

impl Counts {
    /// So far.
    pub fn read(&self) -> Looked {
        let value = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Looked {
            searches: value(&self.searches),
            failures: value(&self.failures),
            alerts: value(&self.alerts),
            known: value(&self.known),
            refused: value(&self.refused),
        }
    }
}

/// Why a search did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum LookBackError {
    /// The store does not answer.
    #[error("stored DNS logs cannot be searched: {0}")]
    Store(#[from] StoreError),
    /// The store does not take the alerts.
    #[error("retroactive alerts are not taken by the store: {0}")]
    Refused(String),
    /// The folder.
    #[error(
        "cannot use the folder {folder}: {error}; name a state folder that this controller alone can write to"
    )]
    Folder {
        /// Which.
        folder: String,
        /// Why.
        error: io::Error,
    },
    /// A set.
    #[error("stored DNS logs are not searched: {0}")]
    Set(#[from] OpenError),
    /// It ended early.
    #[error("the search was cut off")]
    CutOff,
}

/// Looks back for ever, while this controller leads.
pub async fn look_back(parts: Parts) {
    let mut role = parts.leadership.watch();
    loop {
        tokio::select! {
            leads = role.wait_for(|role| *role == Role::Leader) => if leads.is_err() { return },
            () = follow(&parts) => {}
        }
        let lost = async {
            // A watch whose sender is gone keeps its role.
            if role.wait_for(|role| *role != Role::Leader).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = lost => {}
            () = lead(&parts) => {}
        }
    }
}

/// Takes note of sets while another controller searches: whoever leads next goes on from the set of an hour ago, and misses nothing that the
/// one before it did not come to.
async fn follow(parts: &Parts) {
    let mut current = parts.publisher.current();
    loop {
        let set = current.borrow_and_update().clone();
        let noted =
            set.map(|set| Sets::open(&parts.folder).and_then(|mut sets| sets.note(&set, before(LATE))));
        if let Some(Err(error)) = noted {
            tracing::warn!("a set is not kept for looking back, where this controller leads next: {error}");
        }
        if current.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn lead(parts: &Parts) {
    let mut tries = 0;
    loop {
        let ended = match LookBack::open(parts) {
            Ok(mut look_back) => look_back.run(&mut tries).await,
            Err(error) => error,
        };
        parts.counts.failures.fetch_add(1, Ordering::Relaxed);
        let set = parts.publisher.current().borrow().as_ref().map(|set| set.id);
        if let Some(set) = set {
            parts.feeds.searched(Searched { set, result: Err(ended.to_string()) });
        }
        let [soon, later] = RETRY;
        if tries == 0 {
            tracing::warn!("{ended}; it is tried again until it is done");
        }
        tries += 1;
        tokio::time::sleep(if tries < 5 { soon } else { later }).await;
    }
}

/// One time of leading.
struct LookBack<'p> {
    parts: &'p Parts,
    sets: Sets,
    author: String,
}

impl<'p> LookBack<'p> {
    fn open(parts: &'p Parts) -> Result<Self, LookBackError> {
        let failed = |error| LookBackError::Folder { folder: parts.folder.display().to_string(), error };
        let sets = Sets::open(&parts.folder).map_err(failed)?;
        Ok(Self { parts, sets, author: random_name() })
    }

    /// Ends with what went wrong.
    async fn run(&mut self, tries: &mut u32) -> LookBackError {
        let mut current = self.parts.publisher.current();
        loop {
            let set = current.borrow_and_update().clone();
            if let Some(set) = set {
                match self.look(&set, *tries > 0).await {
                    Ok(()) => *tries = 0,
                    Err(error) => return error,
                }
            }
            let is_late_awaited = self.sets.base(before(LATE)).is_some();
            tokio::select! {
                changed = current.changed() => if changed.is_err() { std::future::pending::<()>().await },
                () = tokio::time::sleep(self.parts.again), if is_late_awaited => {}
            }
        }
    }

    /// Searches for what the set lists and sets before it did not.
    async fn look(&mut self, set: &Published, has_failed: bool) -> Result<(), LookBackError> {
        let is_new = self.sets.add(set).map_err(|error| self.folder_failed(error))?;
        let arrived = match self.gain().await? {
            Some(gain) => Some(self.search(gain, is_new).await?),
            None => None,
        };
        self.sets.done(arrived, before(LATE)).map_err(|error| self.folder_failed(error))?;
        if is_new || has_failed {
            self.parts.counts.searches.fetch_add(1, Ordering::Relaxed);
            self.parts.feeds.searched(Searched { set: set.id, result: Ok(SystemTime::now()) });
        }
        Ok(())
    }

    /// What was gained within the time that logs may be late by; the first set of all gains nothing.
    async fn gain(&self) -> Result<Option<Gain>, LookBackError> {
        let Some(base) = self.sets.base(before(LATE)) else { return Ok(None) };
        let between = Gain::between(base, self.sets.later(base));
        let opened = tokio::task::spawn_blocking(move || between.open()).await;
        Ok(opened.map_err(|_| LookBackError::CutOff)??)
    }

    async fn search(&self, gain: Gain, is_new: bool) -> Result<u64, LookBackError> {
        let pass = Pass {
            store: &*self.parts.store,
            cluster: &self.parts.cluster,
            since: before(self.parts.span),
            arrived_after: if is_new { None } else { self.sets.arrived() },
            gain: Arc::new(gain),
            author: &self.author,
            counts: &self.parts.counts,
        };
        pass.run().await
    }

    fn folder_failed(&self, error: io::Error) -> LookBackError {
        LookBackError::Folder { folder: self.parts.folder.display().to_string(), error }
    }
}

fn before(span: Duration) -> SystemTime {
    SystemTime::now().checked_sub(span).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// 16 hexadecimal digits.
fn random_name() -> String {
    let mut bytes = [0; 8];
    // What the system does not give stays 0: the name tells runs apart for people only.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    data_encoding::HEXLOWER.encode(&bytes)
}
