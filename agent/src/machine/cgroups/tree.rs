//! The folders of the cgroup tree: read, watched, and told to the table as they come and go.
//!
//! A folder is noted, then watched, then its own folders are read: whatever is made in between is either read or heard
//! of. Where watches run out the tree is read again and again instead.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::Shared;
use super::table::Learnt;

/// The shortest time between two readings of the tree where watches ran out.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// A reading of the tree is followed by a pause of this many times its length.
const PAUSE_FACTOR: u32 = 20;

#[derive(Debug)]
struct Folder {
    id: u64,
    watch: Option<i32>,
    /// Number of the last reading that found it.
    reading: u64,
}

/// Something happened to a folder inside the watched one.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    Made,
    Removed,
}

/// The tree as the watching thread knows it.
#[derive(Debug)]
pub(super) struct Tree {
    root: PathBuf,
    shared: Arc<Shared>,
    inotify: Option<OwnedFd>,
    /// By path below the root; the root itself is "".
    folders: HashMap<Arc<str>, Folder, ahash::RandomState>,
    watches: HashMap<i32, Arc<str>, ahash::RandomState>,
    reading: u64,
    last_reading: Duration,
    /// When to read the tree again because not all of it is watched.
    read_again: Option<Instant>,
}

impl Tree {
    /// A tree that is not read yet. Without a watch descriptor left on this machine it will be read over and over.
    pub fn new(root: PathBuf, shared: Arc<Shared>) -> Self {
        let inotify = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK);
        Self { inotify: inotify.ok(), ..Self::deaf(root, shared) }
    }

    /// A tree of which no folder can be watched.
    pub fn deaf(root: PathBuf, shared: Arc<Shared>) -> Self {
        Self {
            root,
            shared,
            inotify: None,
            folders: HashMap::default(),
            watches: HashMap::default(),
            reading: 0,
            last_reading: Duration::ZERO,
            read_again: None,
        }
    }

    /// What to wait on for changes.
    pub fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// When to read the tree again, where watches ran out.
    pub fn read_again(&self) -> Option<Instant> {
        self.read_again
    }

    /// How long the last reading of the whole tree took.
    pub fn last_reading(&self) -> Duration {
        self.last_reading
    }

    /// Reads the whole tree: learns what is new, notes what is gone.
    pub fn read(&mut self) {
        let start = Instant::now();
        self.reading += 1;
        let unwatched = self.visit(Arc::from(""));
        let gone: Vec<_> = self
            .folders
            .iter()
            .filter(|(_, folder)| folder.reading != self.reading)
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            self.remove(&path);
        }
        count(&self.shared.rescans);
        self.last_reading = start.elapsed();
        self.note_unwatched(unwatched);
    }

    /// Takes in all changes that the kernel has told so far.
    pub fn take_changes(&mut self) {
        let mut changes = Vec::new();
        let overflow = self.drain(&mut changes);
        let mut unwatched = false;
        for (watch, name, change) in changes {
            let Some(parent) = self.watches.get(&watch) else { continue };
            let path = format!("{parent}/{name}");
            match change {
                Change::Made => unwatched |= self.visit(Arc::from(path)),
                Change::Removed => self.remove(&path),
            }
        }
        if overflow {
            count(&self.shared.overflows);
            self.read();
        } else if unwatched {
            self.note_unwatched(true);
        }
    }

    /// Whether the kernel dropped changes because they were not taken in time.
    fn drain(&self, changes: &mut Vec<(i32, String, Change)>) -> bool {
        let Some(inotify) = &self.inotify else { return false };
        let mut buffer = [MaybeUninit::<u8>::uninit(); 16 * 1024];
        let mut reader = inotify::Reader::new(inotify, &mut buffer);
        let mut overflow = false;
        // An error means that there is no more (EAGAIN); any other comes again at the next turn.
        while let Ok(event) = reader.next() {
            let flags = event.events();
            overflow |= flags.contains(ReadFlags::QUEUE_OVERFLOW);
            let change = if flags.contains(ReadFlags::CREATE) { Change::Made } else { Change::Removed };
            if flags.contains(ReadFlags::ISDIR)
                && let Some(name) = event.file_name().and_then(|name| name.to_str().ok())
            {
                changes.push((event.wd(), name.to_owned(), change));
            }
        }
        overflow
    }

    /// Learns a folder and all below it; whether one of them could not be watched.
    fn visit(&mut self, path: Arc<str>) -> bool {
        let mut unwatched = false;
        let mut waiting = vec![path];
        while let Some(path) = waiting.pop() {
            let place = self.root.join(path.trim_start_matches('/'));
            // Gone before it could be looked at: nothing is left to learn of it.
            let Ok(metadata) = fs::symlink_metadata(&place) else {
                count(&self.shared.missed);
                continue;
            };
            if !metadata.is_dir() || !self.note(&path, metadata.ino()) {
                continue;
            }
            unwatched |= !self.watch(&path, &place);
            let Ok(entries) = fs::read_dir(&place) else { continue };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir())
                    && let Some(name) = entry.file_name().to_str()
                {
                    waiting.push(Arc::from(format!("{path}/{name}")));
                }
            }
        }
        unwatched
    }

    /// Notes a folder, in the table too; false where there is no room for it.
    fn note(&mut self, path: &Arc<str>, id: u64) -> bool {
        if self.folders.get(path).is_some_and(|folder| folder.id != id) {
            self.remove(path);
        }
        if self.shared.table_mut().learn(id, shown(path)) == Learnt::Refused {
            return false;
        }
        let reading = self.reading;
        self.folders.entry(path.clone()).and_modify(|folder| folder.reading = reading).or_insert(Folder {
            id,
            watch: None,
            reading,
        });
        true
    }

    /// Watches a folder; whether it is watched then.
    fn watch(&mut self, path: &Arc<str>, place: &std::path::Path) -> bool {
        let Some(folder) = self.folders.get_mut(path) else { return true };
        if folder.watch.is_some() {
            return true;
        }
        let flags = WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW;
        // No inotify instance was to be had: the user's are used up.
        let watch = match &self.inotify {
            Some(inotify) => inotify::add_watch(inotify, place, flags),
            None => Err(Errno::MFILE),
        };
        match watch {
            Ok(watch) => {
                folder.watch = Some(watch);
                self.watches.insert(watch, path.clone());
                self.shared.watches.store(self.watches.len() as u64, Relaxed);
                true
            }
            // It went in between; its parent's watch tells.
            Err(Errno::NOENT) => true,
            Err(error) => {
                if count(&self.shared.watch_failures) == 0 {
                    let error = io::Error::from(error);
                    tracing::warn!(%error, "cannot watch all cgroups; reading the tree over and over instead (fs.inotify.max_user_watches)");
                }
                false
            }
        }
    }

    /// Notes that a folder is gone.
    ///
    /// The kernel keeps a watch of a removed cgroup for ever (kernfs tells neither `IN_DELETE_SELF` nor `IN_IGNORED`), so it
    /// is taken off here.
    fn remove(&mut self, path: &str) {
        let Some(folder) = self.folders.remove(path) else { return };
        if let (Some(watch), Some(inotify)) = (folder.watch, &self.inotify) {
            self.watches.remove(&watch);
            self.shared.watches.store(self.watches.len() as u64, Relaxed);
            // Fails where the kernel took it off itself, as other file systems do.
            let _ = inotify::remove_watch(inotify, watch);
        }
        self.shared.table_mut().leave(folder.id, shown(path), Instant::now());
    }

    fn note_unwatched(&mut self, unwatched: bool) {
        self.read_again =
            unwatched.then(|| Instant::now() + (self.last_reading * PAUSE_FACTOR).max(SHORTEST_PAUSE));
    }
}

/// As workloads show it.
fn shown(path: &str) -> &str {
    if path.is_empty() { "/" } else { path }
}

/// Adds one; what it was before.
fn count(counter: &std::sync::atomic::AtomicU64) -> u64 {
    counter.fetch_add(1, Relaxed)
}
