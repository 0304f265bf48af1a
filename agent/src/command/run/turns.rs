//! Agents of one node take turns: each has a folder of its own below the one that they share, held by a lock, so that the next
//! one starts before the one before it ends. Who comes second begins with what the first one knows; what an agent leaves in its
//! spool when it ends is sent by the one that goes on.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;

use crate::{
    args::{DEFAULT_STATE_DIR, RunArgs, Switch},
    pipeline::sink::{self, Remains},
};

/// Agents that may overlap: one that ends, one that begins, and what others before them left.
const TURNS: [&str; 4] = ["turn-0", "turn-1", "turn-2", "turn-3"];

/// Held as long as an agent, or who sends what it left, uses the folder.
const LOCK: &str = "turn.lock";

/// Written anew all the time while an agent captures.
const SIGN_OF_LIFE: &str = "last_capture";

/// What the next agent begins with: replaced as a whole by whoever has them, never written to.
const HANDED_ON: [&str; 2] = ["controller.set", "pods.json"];

/// Between two looks for what others left.
const LOOK: Duration = Duration::from_secs(2);

/// How long what others left may take to be sent at the end.
const LAST_WRITES: Duration = Duration::from_secs(1);

/// A folder of this agent alone.
#[derive(Debug)]
pub struct Turn {
    shared: PathBuf,
    name: &'static str,
    _lock: File,
}

impl Turn {
    /// Takes one where agents take turns; none where the disk takes nothing, for that keeps no agent from detecting.
    ///
    /// # Errors
    /// One sentence where the folder cannot be used, or all are taken.
    pub fn of(arguments: &RunArgs) -> anyhow::Result<Option<Self>> {
        if arguments.state_turns == Switch::Off {
            return Ok(None);
        }
        let shared = arguments.state.state_dir.as_deref().unwrap_or(Path::new(DEFAULT_STATE_DIR));
        match Self::take(shared) {
            Ok(turn) => {
                tracing::info!("what outlives this agent is in {}", turn.folder().display());
                Ok(Some(turn))
            }
            Err(error) if is_dispensable(shared, &error) => {
                tracing::warn!("no turn is taken: {} cannot be written to: {error}", shared.display());
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| {
                let place = shared.display();
                format!("cannot keep anything in {place}; name a folder to write to with --state-dir")
            }),
        }
    }

    /// The folder of the agent that ended last, or another one where that one still runs: with its set and names of pods.
    ///
    /// # Errors
    /// The folder cannot be used, or all are taken (`ResourceBusy`).
    pub fn take(shared: &Path) -> io::Result<Self> {
        let last = last(shared);
        let order = last.into_iter().chain(TURNS.into_iter().filter(|name| Some(*name) != last));
        for name in order {
            let Some(lock) = hold(shared, name)? else { continue };
            let turn = Self { shared: shared.to_owned(), name, _lock: lock };
            if let Some(other) = last.filter(|last| *last != name) {
                turn.begin_as(other)?;
            }
            return Ok(turn);
        }
        let said =
            format!("{} agents keep their state in {}; end one of them", TURNS.len(), shared.display());
        Err(io::Error::new(io::ErrorKind::ResourceBusy, said))
    }

    /// The folder that all of them share.
    pub fn shared(&self) -> &Path {
        &self.shared
    }

    /// The folder.
    pub fn folder(&self) -> PathBuf {
        self.shared.join(self.name)
    }

    /// Another agent runs: this one begins with what it knows, and no time passed without capture.
    fn begin_as(&self, other: &str) -> io::Result<()> {
        let (here, there) = (self.folder(), self.shared.join(other));
        for name in HANDED_ON.into_iter().chain([SIGN_OF_LIFE]) {
            match fs::remove_file(here.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => (),
            }
        }
        for name in HANDED_ON {
            match fs::hard_link(there.join(name), here.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => (),
            }
        }
        Ok(())
    }
}

/// Whether the agent goes on without the state folder at `path`, which cannot be used because of `error`.
pub fn is_dispensable(path: &Path, error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem => true,
        io::ErrorKind::ResourceBusy => false,
        _ => path == Path::new(DEFAULT_STATE_DIR),
    }
}

/// The folder with the latest sign of life.
fn last(shared: &Path) -> Option<&'static str> {
    let at = |name: &str| -> Option<SystemTime> {
        fs::metadata(shared.join(name).join(SIGN_OF_LIFE)).ok()?.modified().ok()
    };
    TURNS.into_iter().filter_map(|name| Some((at(name)?, name))).max().map(|(_, name)| name)
}

/// The lock of a folder, which is made where it is not there; `None` where somebody has it.
fn hold(shared: &Path, name: &str) -> io::Result<Option<File>> {
    let folder = shared.join(name);
    fs::create_dir_all(&folder)?;
    let file = File::options().write(true).create(true).truncate(false).open(folder.join(LOCK))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Sends what agents left that have ended.
#[derive(Debug)]
pub struct Heir {
    ends: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Heir {
    /// Looks into the other folders from now on.
    pub fn start(turn: &Turn, settings: &sink::Settings) -> io::Result<Self> {
        let ends = Arc::new(AtomicBool::new(false));
        let others = TURNS.into_iter().filter(|name| *name != turn.name).collect();
        let seeker = Seeker {
            shared: turn.shared.clone(),
            others,
            settings: settings.clone(),
            ends: Arc::clone(&ends),
        };
        let thread = thread::Builder::new().name("heir".to_owned()).spawn(move || seeker.run())?;
        Ok(Self { ends, thread })
    }

    /// Leaves what was not sent yet to the next agent.
    pub fn stop(self) {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        // A thread that ended early has nothing left to say.
        drop(self.thread.join());
    }
}

/// The thread.
struct Seeker {
    shared: PathBuf,
    others: Vec<&'static str>,
    settings: sink::Settings,
    ends: Arc<AtomicBool>,
}

impl Seeker {
    fn run(&self) {
        while !self.ends.load(Ordering::Relaxed) {
            for name in &self.others {
                if let Err(error) = self.look(name) {
                    tracing::warn!("what an earlier agent left in {name} is not sent: {error}");
                }
            }
            thread::park_timeout(LOOK);
        }
    }

    /// Sends what is in the spool of this folder, once its agent has ended.
    fn look(&self, name: &str) -> anyhow::Result<()> {
        let spool = self.shared.join(name).join("spool");
        if !Remains::are_in(&spool) {
            return Ok(());
        }
        let Some(lock) = hold(&self.shared, name)? else { return Ok(()) };
        let Some(remains) = Remains::open(&self.settings, &spool)? else { return Ok(()) };
        let found = remains.waiting();
        while remains.waiting() > 0 && !self.ends.load(Ordering::Relaxed) {
            thread::park_timeout(LOOK / 20);
        }
        let left = remains.close(Instant::now() + LAST_WRITES);
        if found > 0 {
            tracing::info!("of {found} documents that an earlier agent left, {left} wait still");
        }
        drop(lock);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lives(turn: &Turn, set: &str) {
        fs::write(turn.folder().join("controller.set"), set).unwrap();
        fs::write(turn.folder().join(SIGN_OF_LIFE), "1").unwrap();
    }

    fn read(turn: &Turn, name: &str) -> Option<String> {
        fs::read_to_string(turn.folder().join(name)).ok()
    }

    #[test]
    fn who_comes_second_begins_with_what_the_first_one_knows_and_without_a_gap() {
        let shared = tempfile::tempdir().unwrap();
        let first = Turn::take(shared.path()).unwrap();
        lives(&first, "old");
        let second = Turn::take(shared.path()).unwrap();
        assert_ne!(second.folder(), first.folder());
        assert_eq!(
            (read(&second, "controller.set").as_deref(), read(&second, SIGN_OF_LIFE)),
            (Some("old"), None)
        );
        lives(&second, "new");
        let (gone, stays) = (first.folder(), second.folder());
        drop((first, second));
        let third = Turn::take(shared.path()).unwrap();
        assert_eq!(third.folder(), stays, "the one that lived last");
        let fourth = Turn::take(shared.path()).unwrap();
        assert_eq!(fourth.folder(), gone);
        assert_eq!(
            (read(&fourth, "controller.set").as_deref(), read(&fourth, SIGN_OF_LIFE)),
            (Some("new"), None)
        );
    }

    #[test]
    fn an_agent_that_was_alone_finds_its_own_folder_again() {
        let shared = tempfile::tempdir().unwrap();
        let first = Turn::take(shared.path()).unwrap();
        lives(&first, "kept");
        let folder = first.folder();
        drop(first);
        let again = Turn::take(shared.path()).unwrap();
        assert_eq!(again.folder(), folder);
        assert_eq!(
            (read(&again, "controller.set").as_deref(), read(&again, SIGN_OF_LIFE).as_deref()),
            (Some("kept"), Some("1"))
        );
    }

    #[test]
    fn there_are_no_more_turns_than_folders() {
        let shared = tempfile::tempdir().unwrap();
        let held: Vec<_> = TURNS.iter().map(|_| Turn::take(shared.path()).unwrap()).collect();
        let error = Turn::take(shared.path()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        assert!(error.to_string().contains("4 agents"), "{error}");
        drop(held);
    }
}
