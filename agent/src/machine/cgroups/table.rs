//! What is known of cgroups: id -> workload, also for a while after the cgroup is gone, bounded.
//!
//! Knows nothing of files and watches: ids and paths come in, workloads go out.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::pipeline::attribute::cgroup_path;
use crate::pipeline::attribute::workload::{Kind, Workload};

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// cgroups known at one time, gone ones included.
    pub known: usize,
    /// cgroups known below one container or unit: nobody fills the table with folders of its own.
    pub per_workload: u32,
    /// How long a cgroup is known after it is gone.
    pub keep: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { known: 65_536, per_workload: 1_024, keep: Duration::from_mins(10) }
    }
}

/// What became of a cgroup that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Learnt {
    /// It is known now.
    New,
    /// It was known already.
    Known,
    /// There was no room for it.
    Refused,
}

/// Counted by the table; known = learnt - expired - evicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TableCounts {
    pub learnt: u64,
    pub gone: u64,
    pub expired: u64,
    pub evicted: u64,
    pub refused: u64,
}

#[derive(Debug)]
struct Known {
    workload: Arc<Workload>,
    gone: Option<Instant>,
}

#[derive(Debug, Default)]
struct Tally {
    known: u32,
    live: u32,
}

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    limits: Limits,
    known: HashMap<u64, Known, ahash::RandomState>,
    /// The oldest first; an element is stale where the cgroup came back or went once more.
    gone: VecDeque<(Instant, u64)>,
    tallies: HashMap<String, Tally, ahash::RandomState>,
    workloads: u64,
    counts: TableCounts,
}

impl Table {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            known: HashMap::default(),
            gone: VecDeque::new(),
            tallies: HashMap::default(),
            workloads: 0,
            counts: TableCounts::default(),
        }
    }

    pub fn counts(&self) -> TableCounts {
        self.counts
    }

    /// Number of cgroups known, gone ones included.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Containers, services and scopes of which a cgroup is there.
    pub fn workloads(&self) -> u64 {
        self.workloads
    }

    pub fn workload(&self, id: u64) -> Option<Arc<Workload>> {
        self.known.get(&id).map(|known| known.workload.clone())
    }

    /// Takes note of a cgroup that is there. `path` is below the root of the hierarchy.
    pub fn learn(&mut self, id: u64, path: &str) -> Learnt {
        if let Some(known) = self.known.get_mut(&id) {
            if known.workload.path == path {
                if known.gone.take().is_some() {
                    let workload = known.workload.clone();
                    self.enlist(&workload);
                }
                return Learnt::Known;
            }
            // A file system that gives an id out again: what it meant before is over.
            self.forget(id);
            self.counts.evicted += 1;
        }
        let workload = Arc::new(cgroup_path::workload(path));
        let below = self.tallies.get(workload.key()).map_or(0, |tally| tally.known);
        if below >= self.limits.per_workload || !self.has_room() {
            self.counts.refused += 1;
            return Learnt::Refused;
        }
        self.tallies.entry(workload.key().to_owned()).or_default().known += 1;
        self.enlist(&workload);
        self.known.insert(id, Known { workload, gone: None });
        self.counts.learnt += 1;
        Learnt::New
    }

    /// Takes note that a cgroup is gone; not that of another path which has got its id since.
    pub fn leave(&mut self, id: u64, path: &str, now: Instant) {
        let meant = |known: &&mut Known| known.gone.is_none() && known.workload.path == path;
        let Some(known) = self.known.get_mut(&id).filter(meant) else { return };
        known.gone = Some(now);
        let workload = known.workload.clone();
        self.delist(&workload);
        self.gone.push_back((now, id));
        self.counts.gone += 1;
    }

    /// Forgets the cgroups that went long enough ago.
    pub fn expire(&mut self, now: Instant) {
        while let Some((gone, id)) = self.gone.front().copied() {
            if now.saturating_duration_since(gone) < self.limits.keep {
                break;
            }
            self.gone.pop_front();
            self.counts.expired += u64::from(self.forget_gone(gone, id));
        }
    }

    /// When the next cgroup is to be forgotten.
    pub fn next_expiry(&self) -> Option<Instant> {
        self.gone.front().map(|(gone, _)| *gone + self.limits.keep)
    }

    /// Makes room by forgetting the cgroup that has been gone the longest.
    fn has_room(&mut self) -> bool {
        while self.known.len() >= self.limits.known {
            let Some((gone, id)) = self.gone.pop_front() else { return false };
            self.counts.evicted += u64::from(self.forget_gone(gone, id));
        }
        true
    }

    fn forget_gone(&mut self, gone: Instant, id: u64) -> bool {
        let stale = self.known.get(&id).is_none_or(|known| known.gone != Some(gone));
        if !stale {
            self.forget(id);
        }
        !stale
    }

    fn forget(&mut self, id: u64) {
        let Some(known) = self.known.remove(&id) else { return };
        if known.gone.is_none() {
            self.delist(&known.workload);
        }
        if let Some(tally) = self.tallies.get_mut(known.workload.key()) {
            tally.known -= 1;
            if tally.known == 0 {
                self.tallies.remove(known.workload.key());
            }
        }
    }

    fn enlist(&mut self, workload: &Workload) {
        let Some(tally) = self.tallies.get_mut(workload.key()) else { return };
        tally.live += 1;
        self.workloads += u64::from(tally.live == 1 && runs_something(workload));
    }

    fn delist(&mut self, workload: &Workload) {
        let Some(tally) = self.tallies.get_mut(workload.key()) else { return };
        tally.live -= 1;
        self.workloads -= u64::from(tally.live == 0 && runs_something(workload));
    }
}

/// Slices and the folders above containers only sort what runs.
fn runs_something(workload: &Workload) -> bool {
    match workload.kind() {
        Kind::Container => true,
        Kind::Unit => workload
            .unit
            .as_deref()
            .is_some_and(|unit| unit.rsplit_once('.').is_some_and(|(_, suffix)| suffix != "slice")),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
