//! Agents of one node take turns: each has a folder of its own below the one that they share, held by a lock, so that the next
//! one starts before the one before it ends. Who comes second begins with what the first one knows; what an agent leaves in its
//! spool when it ends is sent by the one that goes on.

use std::{
    collections::BTreeSet,
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

/// Many times what lies between two signs of an agent that captures.
const LIVELY: Duration = Duration::from_secs(30);

/// What the next agent begins with: replaced as a whole by whoever has them, never written to.
const HANDED_ON: [&str; 3] = ["controller.set", "resolver_ports", "pods.json"];

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

    /// Another agent runs: this one begins with what it knows; no time passed without capture, as long as that one gave a sign
    /// of life lately.
    fn begin_as(&self, other: &str) -> io::Result<()> {
        let (here, there) = (self.folder(), self.shared.join(other));
        for name in HANDED_ON.into_iter().chain([SIGN_OF_LIFE]) {
            match fs::remove_file(here.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => (),
            }
        }
        let sign = there.join(SIGN_OF_LIFE);
        let age = fs::metadata(&sign).and_then(|sign| sign.modified()).ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > LIVELY) {
            // It holds its folder and does not capture: the time since then is this one's to tell of.
            fs::copy(&sign, here.join(SIGN_OF_LIFE))?;
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
        let mut told = BTreeSet::new();
        while !self.ends.load(Ordering::Relaxed) {
            for name in &self.others {
                if let Err(error) = self.look(name, &mut told) {
                    tracing::warn!("what an earlier agent left in {name} is not sent: {error}");
                }
            }
            thread::park_timeout(LOOK);
        }
    }

    /// Sends what is in the spool of this folder, once its agent has ended. A folder of `told` holds nothing that goes anywhere,
    /// until an agent has had it again.
    fn look(&self, name: &'static str, told: &mut BTreeSet<&'static str>) -> anyhow::Result<()> {
        let spool = self.shared.join(name).join("spool");
        if !Remains::are_in(&spool) {
            return Ok(());
        }
        let Some(lock) = hold(&self.shared, name)? else {
            told.remove(name);
            return Ok(());
        };
        if told.contains(name) {
            return Ok(());
        }
        let found = match Remains::open(&self.settings, &spool)? {
            Some(remains) => self.send(remains),
            None => 0,
        };
        if found == 0 && Remains::are_in(&spool) {
            let place = spool.display();
            tracing::warn!(
                "documents in {place} are of a kind that goes to no search engine now: they stay there"
            );
            told.insert(name);
        }
        drop(lock);
        Ok(())
    }

    /// Sends it until all of it is sent, or the end; how many documents there were.
    fn send(&self, remains: Remains) -> u64 {
        let found = remains.found();
        while remains.waiting() > 0 && !self.ends.load(Ordering::Relaxed) {
            thread::park_timeout(LOOK / 20);
        }
        let left = remains.close(Instant::now() + LAST_WRITES);
        if found > 0 {
            tracing::info!("of {found} documents that an earlier agent left, {left} wait still");
        }
        found
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
    fn beside_an_agent_that_has_not_captured_for_long_the_gap_is_this_ones_to_tell() {
        let shared = tempfile::tempdir().unwrap();
        let stuck = Turn::take(shared.path()).unwrap();
        lives(&stuck, "old");
        let sign = File::options().write(true).open(stuck.folder().join(SIGN_OF_LIFE)).unwrap();
        sign.set_modified(SystemTime::now() - 2 * LIVELY).unwrap();
        let second = Turn::take(shared.path()).unwrap();
        assert_eq!(read(&second, SIGN_OF_LIFE).as_deref(), Some("1"));
    }

    /// Alerts go to a search engine, DNS logs nowhere.
    fn alerts_only(folder: &Path) -> sink::Settings {
        sink::Settings {
            alerts: "http://127.0.0.1:9".parse().unwrap(),
            dns_logs: None,
            style: sink::Style::Json,
            rotation: None,
            capacity: 16,
            search: Some(sink::search::Settings {
                client: namewarden_protocol::search_engine::Settings::default(),
                limits: LIMITS,
                folder: folder.to_owned(),
                alert_stream: "alerts".to_owned(),
                log_stream: "logs".to_owned(),
            }),
        }
    }

    const LIMITS: sink::spool::Limits = sink::spool::Limits { bytes: 1 << 20, age: Duration::from_hours(72) };

    #[test]
    fn what_goes_nowhere_any_more_is_told_of_once_and_stays() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = tempfile::tempdir().unwrap();
        let (gone, stays) = (Turn::take(shared.path()).unwrap(), Turn::take(shared.path()).unwrap());
        let folder = gone.folder().join("spool");
        let mut spool = sink::spool::Spool::open(&folder, LIMITS, SystemTime::now()).unwrap();
        spool.append(sink::spool::Kind::Logs, &[("a", b"{}")], SystemTime::now());
        drop((gone, spool));
        let settings = alerts_only(&stays.folder().join("spool"));
        let ends = Arc::new(AtomicBool::new(false));
        let seeker = Seeker { shared: shared.path().to_owned(), others: vec!["turn-0"], settings, ends };
        let mut told = BTreeSet::new();
        seeker.look("turn-0", &mut told).unwrap();
        assert_eq!(told, BTreeSet::from(["turn-0"]));
        assert!(Remains::are_in(&folder));
        // An agent that has the folder may leave what can be sent.
        let again = hold(shared.path(), "turn-0").unwrap().unwrap();
        seeker.look("turn-0", &mut told).unwrap();
        assert_eq!(told, BTreeSet::new());
        drop(again);
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
