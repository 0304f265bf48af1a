//! Live index of the cgroup2 tree: id of a cgroup (inode of its folder) -> workload.
//!
//! A thread of its own reads the tree once and hears of every folder made or removed from then on, so that a cgroup is
//! known before its first packet. A cgroup stays known for a while after it is gone.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::pipeline::attribute::Workload;

// id -> workload, bounded.
mod table;

// Folders and watches.
mod tree;

pub(super) use table::Limits;
use table::Table;
use tree::Tree;

/// Counted by the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CgroupCounts {
    pub known: u64,
    pub learnt: u64,
    pub gone: u64,
    pub expired: u64,
    pub evicted: u64,
    pub refused: u64,
    pub missed: u64,
    pub rescans: u64,
    pub overflows: u64,
    pub watches: u64,
    pub watch_failures: u64,
}

/// What the watching thread and those who ask have in common.
#[derive(Debug)]
pub(super) struct Shared {
    table: RwLock<Table>,
    wish: Mutex<Wish>,
    granted: Condvar,
    /// Wakes the thread.
    bell: OwnedFd,
    missed: AtomicU64,
    rescans: AtomicU64,
    overflows: AtomicU64,
    watches: AtomicU64,
    watch_failures: AtomicU64,
}

/// Readings of the tree that were asked for.
#[derive(Debug, Default)]
struct Wish {
    asked: u64,
    done: u64,
    stop: bool,
    last_reading: Duration,
}

impl Shared {
    fn new(limits: Limits) -> io::Result<Self> {
        Ok(Self {
            table: RwLock::new(Table::new(limits)),
            wish: Mutex::new(Wish::default()),
            granted: Condvar::new(),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            missed: AtomicU64::new(0),
            rescans: AtomicU64::new(0),
            overflows: AtomicU64::new(0),
            watches: AtomicU64::new(0),
            watch_failures: AtomicU64::new(0),
        })
    }

    /// The workload of a cgroup.
    pub fn workload(&self, id: u64) -> Option<Arc<Workload>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).workload(id)
    }

    /// Containers, services and scopes that are there.
    pub fn workloads(&self) -> u64 {
        self.table.read().unwrap_or_else(PoisonError::into_inner).workloads()
    }

    /// Counted so far.
    pub fn counts(&self) -> CgroupCounts {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let counts = table.counts();
        CgroupCounts {
            known: table.len() as u64,
            learnt: counts.learnt,
            gone: counts.gone,
            expired: counts.expired,
            evicted: counts.evicted,
            refused: counts.refused,
            missed: self.missed.load(Relaxed),
            rescans: self.rescans.load(Relaxed),
            overflows: self.overflows.load(Relaxed),
            watches: self.watches.load(Relaxed),
            watch_failures: self.watch_failures.load(Relaxed),
        }
    }

    /// Has the tree read anew and waits for it, at most so long. How long the last reading took.
    pub fn read_anew(&self, patience: Duration) -> Duration {
        let deadline = Instant::now() + patience;
        let mut wish = self.wish();
        wish.asked += 1;
        let number = wish.asked;
        self.ring();
        while wish.done < number {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            wish = self.granted.wait_timeout(wish, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        wish.last_reading
    }

    fn table_mut(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn wish(&self) -> MutexGuard<'_, Wish> {
        self.wish.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        // Fails only where the bell is ringing already.
        let _ = rustix::io::write(&self.bell, &1_u64.to_ne_bytes());
    }
}

/// The index; its thread ends with it.
#[derive(Debug)]
pub(super) struct Cgroups {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Cgroups {
    /// Reads the tree below `root`, then goes on in a thread of its own.
    pub fn start(root: &Path, limits: Limits) -> io::Result<Self> {
        std::fs::read_dir(root)?;
        let shared = Arc::new(Shared::new(limits)?);
        let mut tree = Tree::new(root.to_owned(), shared.clone());
        tree.read();
        let name = "cgroups".to_owned();
        let thread = std::thread::Builder::new().name(name).spawn({
            let shared = shared.clone();
            move || watch(&mut tree, &shared)
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The side that is asked.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        self.shared.wish().stop = true;
        self.shared.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread: takes in changes, reads the tree when asked to, forgets what went long ago; until it is stopped.
fn watch(tree: &mut Tree, shared: &Shared) {
    loop {
        wait(tree, shared);
        let asked = {
            let wish = shared.wish();
            if wish.stop {
                return;
            }
            wish.asked
        };
        tree.take_changes();
        let wanted = shared.wish().done < asked;
        if wanted || tree.read_again().is_some_and(|due| Instant::now() >= due) {
            tree.read();
        }
        if wanted {
            let mut wish = shared.wish();
            wish.done = asked;
            wish.last_reading = tree.last_reading();
            shared.granted.notify_all();
        }
        shared.table_mut().expire(Instant::now());
    }
}

/// Until something changed, the bell rings, or it is time to read the tree or to forget something.
fn wait(tree: &Tree, shared: &Shared) {
    let expiry = shared.table.read().unwrap_or_else(PoisonError::into_inner).next_expiry();
    let due = [tree.read_again(), expiry].into_iter().flatten().min();
    let left = due.map(|due| due.saturating_duration_since(Instant::now()));
    let timeout = left.and_then(|left| Timespec::try_from(left).ok());
    let mut sources = vec![PollFd::from_borrowed_fd(shared.bell.as_fd(), PollFlags::IN)];
    sources.extend(tree.changes().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    // A signal ends it early, which does no harm.
    let _ = poll(&mut sources, timeout.as_ref());
    let mut rings = [0; 8];
    let _ = rustix::io::read(&shared.bell, &mut rings);
}

#[cfg(test)]
mod tests;
