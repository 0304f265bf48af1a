//! The one thread that writes a file: what waits is written together, acknowledged when it is on disk; between batches it takes
//! out what has to give way.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use namewarden_protocol::document::Time;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::oneshot;

use super::{
    file, query,
    retention::{self, Limits},
    rows::{self, Prepared},
};
use crate::store::{Annotation, Appended, Outcome, StoreError, Stream};

/// Commands that wait.
const WAITING_MAX: usize = 256;
/// Bytes of documents that wait.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// Documents that are written together.
const TOGETHER: usize = 10_000;
/// How often it is looked whether something has to give way.
const TURN: Duration = Duration::from_secs(10);

/// What the thread is told.
enum Command {
    Append(Batch),
    Annotate {
        cluster: String,
        group: String,
        annotation: Annotation,
        done: Done,
    },
    Retain {
        now: Time,
        done: Done,
    },
    #[cfg(test)]
    LimitPages {
        pages: Option<u32>,
        done: Done,
    },
}

/// Documents of one request.
struct Batch {
    documents: Vec<Prepared>,
    done: oneshot::Sender<Vec<Appended>>,
}

type Done = oneshot::Sender<Result<(), StoreError>>;

/// What the thread shares with others.
#[derive(Debug, Default)]
pub struct Shared {
    /// Documents kept.
    pub documents: AtomicU64,
    /// Bytes that they use.
    pub bytes: AtomicU64,
    /// Documents taken out.
    pub removed: AtomicU64,
    /// Grows when another file takes the file's place.
    pub generation: AtomicU64,
    /// Somebody found it damaged.
    pub is_suspect: AtomicBool,
    waiting_bytes: AtomicUsize,
}

/// The thread's end for those who have something to write. Dropped, it waits until everything is written.
#[derive(Debug)]
pub struct Writer {
    commands: Option<SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
    /// What it tells.
    pub shared: Arc<Shared>,
}

/// What a file is limited by.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Documents are kept for this long.
    pub age: Duration,
    /// Bytes that this file and `before` may use together.
    pub bytes: u64,
    /// The file that this one gives way to.
    pub before: Option<Arc<Shared>>,
}

struct Thread {
    folder: PathBuf,
    stream: Stream,
    bounds: Bounds,
    connection: Connection,
    shared: Arc<Shared>,
    next_seq: i64,
    looked: Instant,
    is_failing: bool,
    /// There is a file; else it is tried again to begin one.
    is_open: bool,
}

impl Writer {
    /// Starts the thread; it ends when this is dropped and everything that waits is written.
    pub fn start(
        folder: PathBuf,
        stream: Stream,
        bounds: Bounds,
        connection: Connection,
    ) -> rusqlite::Result<std::io::Result<Self>> {
        let (commands, received) = sync_channel(WAITING_MAX);
        let shared = Arc::new(Shared::default());
        let next_seq = next_seq(&connection)?;
        let mut thread = Thread {
            folder,
            stream,
            bounds,
            connection,
            shared: Arc::clone(&shared),
            next_seq,
            looked: Instant::now(),
            is_failing: false,
            is_open: true,
        };
        thread.measure()?;
        let started = thread::Builder::new()
            .name(format!("store-{}", stream.name()))
            .spawn(move || thread.run(&received))
            .map(|thread| Self { commands: Some(commands), thread: Some(thread), shared });
        Ok(started)
    }

    /// Has documents written.
    pub async fn append(&self, documents: Vec<Prepared>) -> Result<Vec<Appended>, StoreError> {
        let bytes = documents.iter().map(|document| document.source.len()).sum();
        let waiting = self.shared.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let (done, answer) = oneshot::channel();
        let sent = if waiting > 0 && waiting + bytes > WAITING_BYTES_MAX {
            Err(StoreError::Busy)
        } else {
            self.send(Command::Append(Batch { documents, done }))
        };
        if let Err(error) = sent {
            self.shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(error);
        }
        answer.await.map_err(|_| ended())
    }

    /// Has an annotation written.
    pub async fn annotate(
        &self,
        cluster: String,
        group: String,
        annotation: Annotation,
    ) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        self.send(Command::Annotate { cluster, group, annotation, done })?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Has everything taken out that has to give way at that time.
    pub async fn retain(&self, now: Time) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        self.send(Command::Retain { now, done })?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    /// Makes the disk as small as that.
    #[cfg(test)]
    pub async fn limit_pages(&self, pages: Option<u32>) -> Result<(), StoreError> {
        let (done, answer) = oneshot::channel();
        self.send(Command::LimitPages { pages, done })?;
        answer.await.unwrap()
    }

    fn send(&self, command: Command) -> Result<(), StoreError> {
        let commands = self.commands.as_ref().ok_or_else(ended)?;
        commands.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Busy,
            TrySendError::Disconnected(_) => ended(),
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a writer of the store did not end in order");
        }
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("its writer has ended".to_owned())
}

/// Behind everything that was ever numbered, also in a file that is no more: numbers begin with the time of the start.
fn next_seq(connection: &Connection) -> rusqlite::Result<i64> {
    let last: Option<i64> = connection.query_row("SELECT max(seq) FROM fact", [], |row| row.get(0))?;
    let milliseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Ok(i64::try_from(milliseconds).unwrap_or_default().max(last.map_or(0, |last| last + 1)))
}

fn now() -> Time {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Time(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

impl Thread {
    fn run(&mut self, commands: &Receiver<Command>) {
        let mut rest = Duration::ZERO;
        loop {
            let first = match commands.recv_timeout(rest) {
                Ok(command) => Some(command),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if !self.is_open {
                self.begin();
            }
            let mut written = 0;
            for command in gather(first, commands) {
                written += self.obey(command);
            }
            if self.shared.is_suspect.swap(false, Ordering::Relaxed) {
                self.check();
            }
            rest = self.turn(written);
        }
        if let Err(error) = self.connection.execute_batch("PRAGMA optimize") {
            tracing::debug!("the store's statistics were not written: {error}");
        }
    }

    /// Does what commands of one kind say; says how many documents came in.
    fn obey(&mut self, command: Together) -> usize {
        match command {
            Together::Append(batches) => return self.append(batches),
            Together::Other(Command::Annotate { cluster, group, annotation, done }) => {
                let said = self.annotate(&cluster, &group, &annotation);
                let said = said.map_err(|error| self.failed(&error));
                let known = said
                    .and_then(|is_there| if is_there { Ok(()) } else { Err(StoreError::NoSuchGroup(group)) });
                // Whoever asked may be gone.
                let _ = done.send(known);
            }
            Together::Other(Command::Retain { now, done }) => {
                let _ = done.send(self.retain(now).map_err(|error| self.failed(&error)));
            }
            #[cfg(test)]
            Together::Other(Command::LimitPages { pages, done }) => {
                let text = format!("PRAGMA max_page_count = {}", pages.unwrap_or(u32::MAX - 1));
                let said = self.connection.query_row(&text, [], |_| Ok(()));
                let _ = done.send(said.map_err(|error| self.failed(&error)));
            }
            Together::Other(Command::Append(_)) => {}
        }
        0
    }

    fn append(&mut self, batches: Vec<Batch>) -> usize {
        let documents: usize = batches.iter().map(|batch| batch.documents.len()).sum();
        let bytes = batches.iter().flat_map(|batch| &batch.documents).map(|one| one.source.len()).sum();
        let written = self.write(&batches);
        self.shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        let outcomes = match written {
            Ok(outcomes) => {
                if std::mem::take(&mut self.is_failing) {
                    tracing::info!("{} are written to the store again", self.stream.name());
                }
                outcomes
            }
            Err(error) => {
                let is_full = error.sqlite_error_code() == Some(ErrorCode::DiskFull);
                let reason = self.failed(&error).to_string();
                vec![Outcome::Failed { is_full, reason }; documents]
            }
        };
        let mut outcomes = outcomes.into_iter();
        for Batch { documents, done } in batches {
            let ids = documents.into_iter().map(|document| document.id);
            let answer = ids.zip(outcomes.by_ref()).map(|(id, outcome)| Appended { id, outcome });
            let _ = done.send(answer.collect());
        }
        documents
    }

    /// One transaction for all of them.
    fn write(&mut self, batches: &[Batch]) -> rusqlite::Result<Vec<Outcome>> {
        let transaction = self.connection.transaction()?;
        let (mut seq, mut outcomes, mut created) = (self.next_seq, Vec::new(), 0_i64);
        for document in batches.iter().flat_map(|batch| &batch.documents) {
            if rows::insert(&transaction, document, seq)? {
                outcomes.push(Outcome::Created { arrival: u64::try_from(seq).unwrap_or_default() });
                seq += 1;
                created += 1;
            } else {
                outcomes.push(Outcome::Exists);
            }
        }
        transaction.prepare_cached("UPDATE tally SET documents = documents + ?1")?.execute([created])?;
        transaction.commit()?;
        self.next_seq = seq;
        self.shared.documents.fetch_add(u64::try_from(created).unwrap_or_default(), Ordering::Relaxed);
        Ok(outcomes)
    }

    fn annotate(&mut self, cluster: &str, group: &str, said: &Annotation) -> rusqlite::Result<bool> {
        let transaction = self.connection.transaction()?;
        let state = query::state_number(said.state);
        let changed = transaction
            .prepare_cached("UPDATE fact SET state = ?3 WHERE cluster = ?1 AND alert_group = ?2")?
            .execute(rusqlite::params![cluster, group, state])?;
        if changed == 0 {
            return Ok(false);
        }
        let at = i64::try_from(said.at.0).unwrap_or(i64::MAX);
        transaction
            .prepare_cached("INSERT OR REPLACE INTO annotation VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(rusqlite::params![cluster, group, state, said.by, at, said.reason])?;
        transaction.commit()?;
        Ok(true)
    }

    /// A part of what has to give way; says how long nothing else is to be done.
    fn turn(&mut self, written: usize) -> Duration {
        if written == 0 && self.looked.elapsed() < TURN {
            return TURN.saturating_sub(self.looked.elapsed());
        }
        let removed = self.give_way(now(), written);
        match removed {
            Ok(0) => {
                self.looked = Instant::now();
                TURN
            }
            Ok(_) => Duration::ZERO,
            Err(error) => {
                self.failed(&error);
                self.looked = Instant::now();
                TURN
            }
        }
    }

    fn retain(&mut self, now: Time) -> rusqlite::Result<()> {
        while self.give_way(now, 0)? > 0 {}
        Ok(())
    }

    fn give_way(&mut self, now: Time, at_least: usize) -> rusqlite::Result<u64> {
        let others = self.bounds.before.as_ref().map_or(0, |shared| shared.bytes.load(Ordering::Relaxed));
        let limits = Limits { age: self.bounds.age, bytes: self.bounds.bytes.saturating_sub(others) };
        let removed = retention::turn(&mut self.connection, limits, now, at_least)?;
        self.shared.removed.fetch_add(removed, Ordering::Relaxed);
        self.measure()?;
        Ok(removed)
    }

    fn measure(&mut self) -> rusqlite::Result<()> {
        let documents: i64 =
            self.connection.query_row("SELECT documents FROM tally", [], |row| row.get(0))?;
        self.shared.documents.store(u64::try_from(documents).unwrap_or_default(), Ordering::Relaxed);
        self.shared.bytes.store(retention::used(&self.connection)?, Ordering::Relaxed);
        Ok(())
    }

    /// Says once that nothing is written; a damaged file is replaced.
    fn failed(&mut self, error: &rusqlite::Error) -> StoreError {
        if file::is_corrupt(error) {
            self.replace(&error.to_string());
        } else if !std::mem::replace(&mut self.is_failing, true) {
            tracing::error!(
                "{} are not written to the store ({error}); make room or see to the disk of {}",
                self.stream.name(),
                self.folder.display()
            );
        }
        StoreError::Unavailable(error.to_string())
    }

    /// Looks whether what a reader found is so.
    fn check(&mut self) {
        let path = file::path(&self.folder, self.stream);
        // Another connection, for what this one has in memory is sound.
        let checked = file::reader(&self.folder, self.stream);
        if let Err(error) = checked.and_then(|mut connection| file::check(&mut connection, &path))
            && file::is_corrupt(&error)
        {
            self.replace(&error.to_string());
        }
    }

    /// Sets a damaged file aside and begins a new one.
    fn replace(&mut self, reason: &str) {
        // The file is closed first; until there is a new one everything fails.
        let Ok(none) = Connection::open_in_memory() else { return };
        self.connection = none;
        self.is_open = false;
        match file::set_aside(&file::path(&self.folder, self.stream), reason) {
            Ok(()) => self.begin(),
            Err(error) => tracing::error!("a damaged file cannot be set aside: {error}"),
        }
    }

    fn begin(&mut self) {
        match file::open(&self.folder, self.stream) {
            Ok(connection) => {
                self.connection = connection;
                self.is_open = true;
                self.shared.generation.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = self.measure() {
                    tracing::error!("the new file of {} cannot be read: {error}", self.stream.name());
                }
            }
            Err(error) => tracing::error!("there is no file for {}: {error}", self.stream.name()),
        }
    }
}

/// Commands that are done together.
enum Together {
    Append(Vec<Batch>),
    Other(Command),
}

/// What waits, in order; appends that follow each other are one, up to a bound.
fn gather(first: Option<Command>, commands: &Receiver<Command>) -> Vec<Together> {
    let mut gathered: Vec<Together> = Vec::new();
    let mut documents = 0;
    let mut next = first;
    while let Some(command) = next {
        match command {
            Command::Append(batch) => {
                documents += batch.documents.len();
                match gathered.last_mut() {
                    Some(Together::Append(batches)) => batches.push(batch),
                    _ => gathered.push(Together::Append(vec![batch])),
                }
            }
            other => gathered.push(Together::Other(other)),
        }
        next = if documents < TOGETHER { commands.try_recv().ok() } else { None };
    }
    gathered
}
