//! Live view of the process table: pid -> name and workload, thread -> name, as the host's `/proc` shows them.
//!
//! A pid is given out again: an answer counts only for a process that was there at the time asked for. What was read is
//! remembered for a moment, also that there was nothing; the memory is bounded.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags};
use rustix::time::{ClockId, clock_gettime};

use crate::pipeline::attribute::Workload;
use crate::pipeline::packet::Timestamp;

// What the files of one process say.
mod entry;

// pid -> what was read of it, bounded.
mod memory;

use memory::Memory;

/// What was read counts for later packets this long: no machine gives out all its pids in less.
const FRESH: Duration = Duration::from_millis(100);
/// What was read counts this long for packets from before the reading.
const KEPT: Duration = Duration::from_secs(10);
/// What was read counts this long after the process was last seen and is gone: its last packets are still on their way.
const GONE: Duration = Duration::from_secs(2);
/// That there is no such process counts this long.
const MISSING: Duration = Duration::from_secs(1);
/// How much later than a packet its process may seem to start: a tick, and what the clocks are apart.
const TOLERANCE_NS: u64 = 200_000_000;
/// Processes and threads remembered.
const REMEMBERED: usize = 4_096;
/// More of a file of the process table is not read.
const LONGEST: u64 = 64 * 1024;
/// How long processes are looked at for one of a container, the youngest first as long as pids do not begin anew: packets wait
/// meanwhile.
const SEARCH_TIME: Duration = Duration::from_millis(5);
/// Between two such searches, at least.
const SEARCH_PAUSE: Duration = Duration::from_millis(100);
/// So many times what a search took passes before the next one: where a node runs a great many processes, their list alone takes long.
const SEARCH_SHARE: u32 = 20;
/// More of what a process has mounted is not read.
const LONGEST_MOUNTS: u64 = 256 * 1024;

/// Counted by the process table.
#[derive(Debug, Default)]
pub(super) struct ProcessCounters {
    /// Processes and threads read.
    pub read: AtomicU64,
    /// Processes and threads that were not there (any more).
    pub missing: AtomicU64,
    /// Ids that another process or thread had got since.
    pub reused: AtomicU64,
}

/// A thread by its process; the process itself by the thread that it began with, whose id and name are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Task {
    pid: u32,
    tid: u32,
}

impl Task {
    fn process(pid: u32) -> Self {
        Self { pid, tid: pid }
    }

    fn is_process(self) -> bool {
        self.pid == self.tid
    }

    /// Its folder below the root of the process table.
    fn folder(self) -> String {
        if self.is_process() { self.pid.to_string() } else { format!("{}/task/{}", self.pid, self.tid) }
    }
}

/// One process or thread, as it was read.
#[derive(Clone, Debug)]
struct Reading {
    /// When it started, nanoseconds since the Unix epoch.
    start: u64,
    name: Option<Arc<str>>,
    workload: Option<Arc<Workload>>,
}

#[derive(Clone, Debug)]
struct Remembered {
    at: Timestamp,
    since: Instant,
    reading: Option<Reading>,
}

impl Remembered {
    fn counts_for(&self, at: Timestamp) -> bool {
        let age = self.since.elapsed();
        match &self.reading {
            Some(_) => age < FRESH || (at <= self.at && age < KEPT),
            None => age < MISSING,
        }
    }

    fn outlives_its_process(&self) -> bool {
        self.reading.is_some() && self.since.elapsed() < GONE
    }
}

/// The process table.
#[derive(Debug)]
pub(super) struct Processes {
    /// `None`: not to be looked at.
    root: Option<PathBuf>,
    memory: Memory<Task, Remembered>,
    counters: Arc<ProcessCounters>,
    tick_ns: u64,
    /// No process of a container is searched for before.
    next_search: Instant,
}

impl Processes {
    /// The process table below `root`.
    pub fn new(root: Option<PathBuf>) -> Self {
        let ticks = rustix::param::clock_ticks_per_second().max(1);
        Self {
            root,
            memory: Memory::new(REMEMBERED),
            counters: Arc::default(),
            tick_ns: 1_000_000_000 / ticks,
            next_search: Instant::now(),
        }
    }

    /// Counted so far, also while somebody else has the table.
    pub fn counters(&self) -> &Arc<ProcessCounters> {
        &self.counters
    }

    /// Name of the process that had this id at that time.
    pub fn name(&mut self, pid: u32, at: Timestamp) -> Option<Arc<str>> {
        self.reading(Task::process(pid), at)?.name.clone()
    }

    /// Name of the thread of this process that had this id at that time.
    pub fn thread_name(&mut self, pid: u32, tid: u32, at: Timestamp) -> Option<Arc<str>> {
        self.reading(Task { pid, tid }, at)?.name.clone()
    }

    /// Workload of the process that had this id at that time.
    pub fn workload(&mut self, pid: u32, at: Timestamp) -> Option<Arc<Workload>> {
        self.reading(Task::process(pid), at)?.workload.clone()
    }

    /// Name of the container of the pod with this UID that the process of that time runs in, as its mounts say.
    pub fn container(&mut self, pid: u32, uid: &str, at: Timestamp) -> Option<Arc<str>> {
        self.reading(Task::process(pid), at)?;
        self.mounted_in(pid, uid)
    }

    /// Name of the container with this id of the pod with this UID, as the mounts say of whatever process runs in it now: the one
    /// that asked may be gone. Not looked for where that was done lately.
    pub fn container_of(&mut self, id: &str, uid: &str) -> Option<Arc<str>> {
        let began = Instant::now();
        if began < self.next_search {
            return None;
        }
        let in_time = |_: &u32| began.elapsed() < SEARCH_TIME;
        let found = self.youngest().into_iter().take_while(in_time).find_map(|pid| {
            let cgroups = std::fs::read_to_string(self.root.as_ref()?.join(pid.to_string()).join("cgroup"));
            let of_process = entry::workload(&cgroups.ok()?)?;
            (of_process.container_id.as_deref() == Some(id)).then(|| self.mounted_in(pid, uid))?
        });
        self.next_search = Instant::now() + pause(began.elapsed());
        found
    }

    /// Processes that are there, the youngest first.
    fn youngest(&self) -> Vec<u32> {
        let entries = self.root.iter().filter_map(|root| std::fs::read_dir(root).ok()).flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let mut pids: Vec<u32> = names.collect();
        pids.sort_unstable_by(|one, other| other.cmp(one));
        pids
    }

    fn mounted_in(&self, pid: u32, uid: &str) -> Option<Arc<str>> {
        let path = self.root.as_ref()?.join(pid.to_string()).join("mountinfo");
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(LONGEST_MOUNTS).read_to_end(&mut bytes).ok()?;
        entry::container(&String::from_utf8_lossy(&bytes), uid).map(Arc::from)
    }

    fn reading(&mut self, task: Task, at: Timestamp) -> Option<&Reading> {
        if self.memory.recall(task).is_none_or(|remembered| !remembered.counts_for(at)) {
            let earlier = self.memory.recall(task).filter(|earlier| earlier.outlives_its_process()).cloned();
            let remembered = match (self.read(task), earlier) {
                (None, Some(earlier)) => Remembered { at: now(), ..earlier },
                (reading, _) => Remembered { at: now(), since: Instant::now(), reading },
            };
            self.memory.keep(task, remembered);
        }
        let reading = self.memory.recall(task)?.reading.as_ref()?;
        if reading.start > at.0.saturating_add(TOLERANCE_NS) {
            self.counters.reused.fetch_add(1, Relaxed);
            return None;
        }
        Some(reading)
    }

    fn read(&self, task: Task) -> Option<Reading> {
        let reading = self.try_read(task).ok().flatten();
        let counter = if reading.is_some() { &self.counters.read } else { &self.counters.missing };
        counter.fetch_add(1, Relaxed);
        reading
    }

    /// Name and start stand in one file, and the open folder leads to no other process: both are of the same one.
    fn try_read(&self, task: Task) -> io::Result<Option<Reading>> {
        let Some(root) = &self.root else { return Ok(None) };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(root.join(task.folder()), flags | OFlags::DIRECTORY, Mode::empty())?;
        let text = |name: &str| -> io::Result<String> {
            let mut bytes = Vec::new();
            let file = File::from(rustix::fs::openat(&folder, name, flags, Mode::empty())?);
            file.take(LONGEST).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        let line = text("stat")?;
        let Some(entry::Stat { name, start_ticks }) = entry::stat(&line) else { return Ok(None) };
        // A thread's workload is its process's: nobody asks.
        let cgroups = if task.is_process() { text("cgroup").ok() } else { None };
        let workload = cgroups.and_then(|cgroups| entry::workload(&cgroups)).map(Arc::new);
        let start = boot_ns().saturating_add(start_ticks.saturating_mul(self.tick_ns));
        Ok(Some(Reading { start, name: name.map(Arc::from), workload }))
    }
}

/// How long nothing is looked for after a search that took so long.
fn pause(took: Duration) -> Duration {
    SEARCH_PAUSE.max(took * SEARCH_SHARE)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// When the machine was started, by what its clocks say now.
fn boot_ns() -> u64 {
    let up = clock_gettime(ClockId::Boottime);
    let up = u64::try_from(up.tv_sec)
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::try_from(up.tv_nsec).unwrap_or(0));
    now().0.saturating_sub(up)
}

#[cfg(test)]
mod tests;
