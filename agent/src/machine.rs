//! Live tables that attribution reads: the cgroup tree and the process table of this machine.
//!
//! [`LiveMachine`] answers the pipeline's thread; [`MachineHandle`] is for everybody else (telemetry, flood reports).

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::pipeline::attribute::{Machine, Workload};
use crate::pipeline::packet::Timestamp;

// Id of a cgroup -> workload, as cgroups come and go.
mod cgroups;

// Pid -> name and workload.
mod processes;

use cgroups::{Cgroups, Limits};
use processes::{ProcessCounters, Processes};

/// The longest that a question about an unknown cgroup waits for the tree to be read anew.
const PATIENCE: Duration = Duration::from_millis(5);
/// An unknown cgroup has the tree read anew at most this often, whoever asks.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// And never for more than one part in this many of the thread's time.
const PAUSE_FACTOR: u32 = 10;
/// That a cgroup is unknown counts this long.
const UNKNOWN: Duration = Duration::from_secs(10);
/// Unknown cgroups remembered.
const REMEMBERED: usize = 4_096;

/// Why the tables cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// The cgroup tree is not there, or may not be read.
    #[error("cannot read the cgroup tree at {}: {source}", path.display())]
    Cgroups {
        /// Where it should be.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The process table is not there, or may not be read.
    #[error("cannot read the process table at {}: {source}", path.display())]
    Processes {
        /// Where it should be.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Counted so far; `cgroups_known` = `learnt` - `expired` - `evicted`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineCounts {
    /// cgroups known now, those that went lately included.
    pub cgroups_known: u64,
    /// Containers, services and scopes that are there now.
    pub workloads: u64,
    /// cgroups found.
    pub learnt: u64,
    /// cgroups seen to go.
    pub gone: u64,
    /// cgroups forgotten some time after they went.
    pub expired: u64,
    /// cgroups forgotten early, to make room or because their id was given out again.
    pub evicted: u64,
    /// Times that a cgroup found no room, or was one too many below its container.
    pub refused: u64,
    /// cgroups that went before they could be looked at.
    pub missed: u64,
    /// Readings of the whole tree.
    pub rescans: u64,
    /// Times that the kernel dropped changes of the tree; each is followed by a reading.
    pub overflows: u64,
    /// Folders watched now.
    pub watches: u64,
    /// Folders that could not be watched.
    pub watch_failures: u64,
    /// Questions about a cgroup that was not known.
    pub unknown_cgroups: u64,
    /// Processes and threads read.
    pub processes_read: u64,
    /// Processes and threads that were not there any more.
    pub processes_missing: u64,
    /// Ids that another process or thread had got since.
    pub pids_reused: u64,
}

/// The machine that this program runs on.
#[derive(Debug)]
pub struct LiveMachine {
    cgroups: Cgroups,
    processes: Processes,
    handle: MachineHandle,
    /// Unknown cgroups, and until when they are taken as such.
    unknown: HashMap<u64, Instant, ahash::RandomState>,
    /// No reading of the tree is asked for before.
    next_reading: Instant,
}

impl LiveMachine {
    /// Reads the cgroup2 tree at `cgroup_root` and follows it from then on; reads processes below `proc_root`, or none.
    pub fn start(cgroup_root: &Path, proc_root: Option<&Path>) -> Result<Self, MachineError> {
        if let Some(path) = proc_root {
            // Listing the processes of a real table shows that it is one, and allowed.
            std::fs::read_dir(path)
                .map_err(|source| MachineError::Processes { path: path.to_owned(), source })?;
        }
        let cgroups = Cgroups::start(cgroup_root, Limits::default())
            .map_err(|source| MachineError::Cgroups { path: cgroup_root.to_owned(), source })?;
        let processes = Processes::new(proc_root.map(Path::to_owned));
        let handle = MachineHandle {
            cgroups: cgroups.shared().clone(),
            processes: processes.counters().clone(),
            unknown: Arc::default(),
        };
        Ok(Self { cgroups, processes, handle, unknown: HashMap::default(), next_reading: Instant::now() })
    }

    /// For those who do not have the machine itself.
    pub fn handle(&self) -> MachineHandle {
        self.handle.clone()
    }

    /// A cgroup that is not known may just not be learnt yet: has the tree read anew, once, if that was not done lately.
    fn look_again(&mut self, id: u64) -> Option<Arc<Workload>> {
        let now = Instant::now();
        if now < self.next_reading || self.unknown.get(&id).is_some_and(|until| now < *until) {
            return None;
        }
        if self.unknown.len() >= REMEMBERED {
            self.unknown.clear();
        }
        self.unknown.insert(id, now + UNKNOWN);
        let took = self.cgroups.shared().read_anew(PATIENCE);
        self.next_reading = now + (took * PAUSE_FACTOR).max(SHORTEST_PAUSE);
        self.cgroups.shared().workload(id)
    }
}

impl Machine for LiveMachine {
    fn cgroup(&mut self, id: u64) -> Option<Arc<Workload>> {
        if let Some(workload) = self.cgroups.shared().workload(id) {
            return Some(workload);
        }
        let workload = self.look_again(id);
        if workload.is_none() {
            self.handle.unknown.fetch_add(1, Relaxed);
        }
        workload
    }

    fn process_name(&mut self, pid: u32, at: Timestamp) -> Option<Arc<str>> {
        self.processes.name(pid, at)
    }

    fn thread_name(&mut self, pid: u32, tid: u32, at: Timestamp) -> Option<Arc<str>> {
        self.processes.thread_name(pid, tid, at)
    }

    fn process_cgroup(&mut self, pid: u32, at: Timestamp) -> Option<Arc<Workload>> {
        self.processes.workload(pid, at)
    }

    fn container_name(&mut self, pid: u32, pod_uid: &str, at: Timestamp) -> Option<Arc<str>> {
        self.processes.container(pid, pod_uid, at)
    }

    fn name_of_container(&mut self, id: &str, pod_uid: &str) -> Option<Arc<str>> {
        self.processes.container_of(id, pod_uid)
    }
}

/// Asks a [`LiveMachine`] from anywhere, as often as wanted; never waits.
#[derive(Clone, Debug)]
pub struct MachineHandle {
    cgroups: Arc<cgroups::Shared>,
    processes: Arc<ProcessCounters>,
    unknown: Arc<AtomicU64>,
}

impl MachineHandle {
    /// Containers, services and scopes that are there now.
    pub fn workloads(&self) -> u64 {
        self.cgroups.workloads()
    }

    /// The workload of a cgroup, if it is known.
    pub fn workload_of(&self, cgroup_id: u64) -> Option<Arc<Workload>> {
        self.cgroups.workload(cgroup_id)
    }

    /// Counted so far.
    pub fn counts(&self) -> MachineCounts {
        let cgroups = self.cgroups.counts();
        MachineCounts {
            cgroups_known: cgroups.known,
            workloads: self.workloads(),
            learnt: cgroups.learnt,
            gone: cgroups.gone,
            expired: cgroups.expired,
            evicted: cgroups.evicted,
            refused: cgroups.refused,
            missed: cgroups.missed,
            rescans: cgroups.rescans,
            overflows: cgroups.overflows,
            watches: cgroups.watches,
            watch_failures: cgroups.watch_failures,
            unknown_cgroups: self.unknown.load(Relaxed),
            processes_read: self.processes.read.load(Relaxed),
            processes_missing: self.processes.missing.load(Relaxed),
            pids_reused: self.processes.reused.load(Relaxed),
        }
    }
}

#[cfg(test)]
mod tests;
