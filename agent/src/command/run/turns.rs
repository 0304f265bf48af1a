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
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context as _;

use super::gap::FILE as SIGN_OF_LIFE;
use crate::{
    args::{DEFAULT_STATE_DIR, RunArgs, Switch},
    pipeline::sink::{self, Remains, Sink, SinkError, search::SearchError, spool::SpoolError},
    telemetry::list::LeftCounts,
};

/// Agents that may overlap: one that ends, one that begins, and what others before them left.
const TURNS: [&str; 4] = ["turn-0", "turn-1", "turn-2", "turn-3"];

/// Held as long as an agent, or who sends what it left, uses the folder.
const LOCK: &str = "turn.lock";

/// Many times what lies between two signs of an agent that captures.
pub const LIVELY: Duration = Duration::from_secs(30);

/// What the next agent begins with: replaced as a whole by whoever has them, never written to.
const HANDED_ON: [&str; 3] = ["controller.set", "resolver_ports", "pods.json"];

/// A mark further ahead of the clock is older than the clock's being set back.
const AHEAD: Duration = Duration::from_secs(5);

/// How long the documents of one folder are sent before those of the others have their turn.
const SLICE: Duration = Duration::from_secs(10);

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

/// The folders of a node's other agents, where `folder` is the turn of one.
pub fn beside(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let is_own = |name: &str| folder.ends_with(name);
    let shared = folder.parent().filter(|_| TURNS.iter().any(|name| is_own(name)));
    let others = TURNS.into_iter().filter(move |name| !is_own(name));
    shared.into_iter().flat_map(move |shared| others.clone().map(|name| shared.join(name)))
}

/// Whether nobody uses the turn's folder: who held it has ended, in whatever way.
pub fn is_free(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok())
}

/// Whether somebody uses the turn's folder.
pub fn is_held(folder: &Path) -> bool {
    File::open(folder.join(LOCK)).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Whether the agent goes on without the state folder at `path`, which cannot be used because of `error`.
pub fn is_dispensable(path: &Path, error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem => true,
        io::ErrorKind::ResourceBusy => false,
        _ => path == Path::new(DEFAULT_STATE_DIR),
    }
}

/// The folder with the latest sign of life. One from the future was written before the clock was set back: an agent that captures
/// would have written another one since.
fn last(shared: &Path) -> Option<&'static str> {
    let now = SystemTime::now();
    let at = |name: &str| -> Option<SystemTime> {
        let at = fs::metadata(shared.join(name).join(SIGN_OF_LIFE)).ok()?.modified().ok()?;
        if at > now + AHEAD { now.checked_sub(LIVELY) } else { Some(at) }
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

/// What became of documents that other agents left.
#[derive(Debug, Default)]
pub struct Left([AtomicU64; 3]);

impl Left {
    fn add(&self, fates: [u64; 3]) {
        for (count, more) in self.0.iter().zip(fates) {
            count.fetch_add(more, Ordering::Relaxed);
        }
    }

    /// Counted so far.
    pub fn counts(&self) -> LeftCounts {
        let [sent, refused, lost] = self.0.each_ref().map(|count| count.load(Ordering::Relaxed));
        LeftCounts { sent, refused, lost }
    }
}

impl Heir {
    /// Looks into the other folders from now on; `sink` is this agent's, which shares its spool's limit with them; counts in `left`.
    pub fn start(
        turn: &Turn,
        settings: &sink::Settings,
        sink: Arc<Sink>,
        left: Arc<Left>,
    ) -> io::Result<Self> {
        let ends = Arc::new(AtomicBool::new(false));
        let others = TURNS.into_iter().filter(|name| *name != turn.name).collect();
        let seeker = Seeker {
            shared: turn.shared.clone(),
            others,
            settings: settings.clone(),
            ends: Arc::clone(&ends),
            sink: Some(sink),
            slice: SLICE,
            left,
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
    /// This agent's own.
    sink: Option<Arc<Sink>>,
    slice: Duration,
    left: Arc<Left>,
}

/// How many bytes of alerts and of DNS logs an earlier agent may have left in a folder: what `here` and the others hold together has
/// half of the limit for alerts, and for DNS logs what those and this agent's own documents leave. Each folder gives way by its part.
fn room(limit: u64, own: u64, here: (u64, u64), all: (u64, u64)) -> (u64, u64) {
    let part = |here: u64, all: u64, room: u64| {
        let part = u128::from(here) * u128::from(room) / u128::from(all.max(1));
        if all <= room { u64::MAX } else { u64::try_from(part).unwrap_or(u64::MAX) }
    };
    let alerts = limit / 2;
    let logs = limit.saturating_sub(own).saturating_sub(all.0.min(alerts));
    (part(here.0, all.0, alerts), part(here.1, all.1, logs))
}

impl Seeker {
    fn run(&self) {
        let mut told = BTreeSet::new();
        while !self.ends.load(Ordering::Relaxed) {
            self.share(None);
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
        let found = match Remains::open(&self.settings, &spool, self.room(name)) {
            Ok(Some(remains)) => self.send(name, remains, told),
            Ok(None) => 0,
            // Threads that sent it before have it a moment longer.
            Err(SinkError::Search(SearchError::Spool(SpoolError::Taken { .. }))) => return Ok(()),
            Err(error) => return Err(error.into()),
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

    /// Sends it until all of it is sent, its time is up and others wait too, or the end; how many documents there were.
    fn send(&self, name: &str, remains: Remains, told: &BTreeSet<&'static str>) -> u64 {
        let (found, began) = (remains.found(), Instant::now());
        let mut looked = None;
        while remains.waiting() > 0 && !self.ends.load(Ordering::Relaxed) {
            if looked.is_none_or(|looked: Instant| looked.elapsed() >= LOOK) {
                looked = Some(Instant::now());
                self.share(Some((name, &remains)));
            }
            if began.elapsed() >= self.slice && self.is_awaited_elsewhere(name, told) {
                break;
            }
            thread::park_timeout(LOOK / 20);
        }
        let (waiting, fates) = remains.close(Instant::now() + LAST_WRITES);
        self.left.add(fates);
        let [_, _, lost] = fates;
        if found > 0 {
            tracing::info!(
                "of {found} documents that an earlier agent left, {waiting} wait still, {lost} are lost"
            );
        }
        found
    }

    /// Whether documents of another agent that has ended wait in another folder.
    fn is_awaited_elsewhere(&self, name: &str, told: &BTreeSet<&'static str>) -> bool {
        let others = self.others.iter().filter(|other| **other != name && !told.contains(*other));
        others
            .filter(|other| Remains::are_in(&self.shared.join(other).join("spool")))
            .any(|other| matches!(hold(&self.shared, other), Ok(Some(_))))
    }

    /// Holds all folders together to the spool's limit: this agent leaves room to the alerts of others, and what they left in the
    /// folder that is open gives way to what there is elsewhere.
    fn share(&self, open: Option<(&str, &Remains)>) {
        if let Some((name, remains)) = open {
            let (alerts, logs) = self.room(name);
            remains.shrink(alerts, logs);
        }
        if let Some(sink) = &self.sink {
            let (alerts, _) = self.bytes_elsewhere();
            sink.leave_room(alerts.min(self.limit() / 2));
        }
    }

    /// How many bytes of alerts and of DNS logs may be left in a folder.
    fn room(&self, name: &str) -> (u64, u64) {
        let own = self.sink.as_ref().map_or(0, |sink| sink.spool_bytes());
        room(self.limit(), own, self.bytes_in(name), self.bytes_elsewhere())
    }

    fn limit(&self) -> u64 {
        self.settings.search.as_ref().map_or(u64::MAX, |search| search.limits.bytes)
    }

    fn bytes_in(&self, name: &str) -> (u64, u64) {
        Remains::bytes_in(&self.shared.join(name).join("spool"))
    }

    /// Bytes of alerts and of DNS logs in all other folders.
    fn bytes_elsewhere(&self) -> (u64, u64) {
        let all = self.others.iter().map(|name| self.bytes_in(name));
        all.fold((0, 0), |(alerts, logs), (more, others)| (alerts + more, logs + others))
    }
}

#[cfg(test)]
mod tests {
    use namewarden_protocol::document::Action;

    use super::*;
    use crate::pipeline::sink::search::tests::{document, settings as search_settings, stand_in::StandIn};

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
    fn a_mark_from_before_the_clock_was_set_back_does_not_count_as_the_latest() {
        let shared = tempfile::tempdir().unwrap();
        let (dead, living) = (Turn::take(shared.path()).unwrap(), Turn::take(shared.path()).unwrap());
        lives(&dead, "old");
        lives(&living, "new");
        let sign = File::options().write(true).open(dead.folder().join(SIGN_OF_LIFE)).unwrap();
        sign.set_modified(SystemTime::now() + Duration::from_hours(1)).unwrap();
        let third = Turn::take(shared.path()).unwrap();
        assert_eq!(read(&third, "controller.set").as_deref(), Some("new"));
        drop((dead, living, third));
        assert_eq!(last(shared.path()), Some("turn-1"));
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

    fn seeker(shared: &Path, others: Vec<&'static str>, settings: sink::Settings) -> Seeker {
        let (ends, left) = (Arc::default(), Arc::default());
        Seeker { shared: shared.to_owned(), others, settings, ends, sink: None, slice: Duration::ZERO, left }
    }

    fn leave(shared: &Path, name: &str, kind: sink::spool::Kind, count: usize) -> PathBuf {
        let folder = shared.join(name).join("spool");
        let mut spool = sink::spool::Spool::open(&folder, LIMITS, SystemTime::now()).unwrap();
        let text = vec![b'x'; 1000];
        for number in 0..count {
            spool.append(kind, &[(&number.to_string(), &text)], SystemTime::now());
        }
        folder
    }

    #[test]
    fn one_folder_is_not_waited_for_while_another_holds_documents() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = tempfile::tempdir().unwrap();
        let own = Turn::take(shared.path()).unwrap();
        let others = vec!["turn-1", "turn-2"];
        let folders = others.iter().map(|name| leave(shared.path(), name, sink::spool::Kind::Alerts, 3));
        let folders: Vec<_> = folders.collect();
        // Nobody answers: what is in neither folder can be sent, and yet each has its turn.
        let seeker = seeker(shared.path(), others.clone(), alerts_only(&own.folder().join("spool")));
        let mut told = BTreeSet::new();
        for name in others {
            seeker.look(name, &mut told).unwrap();
        }
        assert!(told.is_empty() && folders.iter().all(|folder| Remains::are_in(folder)));
        assert_eq!(seeker.left.counts().lost, 0);
    }

    #[test]
    fn what_an_agent_left_holds_up_neither_the_living_ones_alerts_nor_another_folder() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = tempfile::tempdir().unwrap();
        let own = Turn::take(shared.path()).unwrap();
        let server = StandIn::start(&[]);
        server.never_take("stuck");
        let settings = search_settings(&own.folder().join("spool"), std::slice::from_ref(&server.url));
        let others = vec!["turn-1", "turn-2"];
        for (name, beginning) in others.iter().zip(["stuck", "left"]) {
            let folder = shared.path().join(name).join("spool");
            let mut spool = sink::spool::Spool::open(&folder, LIMITS, SystemTime::now()).unwrap();
            for number in 0..50 {
                let id = format!("{beginning}-{number}");
                let text = format!("{{\"event\":{{\"id\":\"{id}\"}}}}");
                spool.append(sink::spool::Kind::Alerts, &[(&id, text.as_bytes())], SystemTime::now());
            }
        }
        let sink = Arc::new(Sink::open(&settings).unwrap());
        let slice = Duration::from_millis(100);
        let seeker =
            Seeker { sink: Some(Arc::clone(&sink)), slice, ..seeker(shared.path(), others, settings) };
        let (ends, left) = (Arc::clone(&seeker.ends), Arc::clone(&seeker.left));
        let heir = thread::spawn(move || seeker.run());
        let taken = |beginning: &str, count: usize| {
            let deadline = Instant::now() + Duration::from_secs(60);
            while server.ids().iter().filter(|id| id.starts_with(beginning)).count() < count {
                assert!(Instant::now() < deadline, "{beginning} is held up");
                thread::yield_now();
            }
        };
        sink.write(document(Action::ListedName, "own-1"));
        taken("own", 1);
        taken("left", 50);
        sink.write(document(Action::ListedName, "own-2"));
        taken("own", 2);
        ends.store(true, Ordering::Relaxed);
        heir.thread().unpark();
        heir.join().unwrap();
        assert!(
            Remains::are_in(&shared.path().join("turn-1/spool")),
            "what is stuck waits for the next agent"
        );
        assert_eq!(left.counts(), LeftCounts { sent: 50, refused: 0, lost: 0 });
    }

    #[test]
    fn all_folders_together_are_held_to_one_limit() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = tempfile::tempdir().unwrap();
        let own = Turn::take(shared.path()).unwrap();
        let settings = alerts_only(&own.folder().join("spool"));
        let sink = Arc::new(Sink::open(&settings).unwrap());
        let others = vec!["turn-1", "turn-2"];
        for name in &others {
            leave(shared.path(), name, sink::spool::Kind::Alerts, 500);
        }
        let seeker = Seeker { sink: Some(sink), ..seeker(shared.path(), others.clone(), settings) };
        let (mut told, deadline) = (BTreeSet::new(), Instant::now() + Duration::from_secs(60));
        let bytes = |name: &str| Remains::bytes_in(&shared.path().join(name).join("spool")).0;
        while others.iter().map(|name| bytes(name)).sum::<u64>() > LIMITS.bytes / 2 {
            assert!(Instant::now() < deadline, "more is left than the limit says");
            for name in &others {
                seeker.look(name, &mut told).unwrap();
            }
        }
        assert!(others.iter().all(|name| bytes(name) > 0), "each gives way by its part");
        assert!(seeker.left.counts().lost > 0, "what gave way is counted");
    }

    #[test]
    fn each_folder_gives_way_by_its_part_and_dns_logs_before_alerts() {
        assert_eq!(room(100, 0, (10, 20), (50, 50)), (u64::MAX, u64::MAX), "all of it fits");
        assert_eq!(room(100, 50, (10, 20), (20, 60)), (u64::MAX, 10), "logs leave room to the rest");
        assert_eq!(room(100, 10, (60, 5), (80, 10)), (37, u64::MAX), "alerts have half of it");
        assert_eq!(room(100, 100, (60, 5), (60, 5)), (50, 0));
        assert_eq!(room(100, 0, (0, 0), (0, 0)), (u64::MAX, u64::MAX));
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
        let seeker = seeker(shared.path(), vec!["turn-0"], settings);
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
