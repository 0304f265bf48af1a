//! What the thread that writes does.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use namewarden_protocol::document::Time;
use rusqlite::{Connection, ErrorCode};

use super::{
    Batch, Bounds, Command, Shared,
    together::{Together, gather},
};
use crate::store::{
    Annotation, Appended, Outcome, StoreError, Stream,
    sqlite::{
        blocks, file,
        ids::Newest,
        matching,
        retention::{self, Limits},
        rows,
    },
};

/// How often it is looked whether something has to give way.
const TURN: Duration = Duration::from_secs(10);

/// The thread with what it keeps.
pub struct Thread {
    pub(super) folder: PathBuf,
    pub(super) stream: Stream,
    bounds: Bounds,
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    next_seq: i64,
    /// `None` where it has to be read again.
    pub(super) newest: Option<Newest>,
    looked: Instant,
    is_failing: bool,
    /// There is a file; else it is tried again to begin one.
    pub(super) is_open: bool,
}

impl Thread {
    pub fn new(
        folder: PathBuf,
        stream: Stream,
        bounds: Bounds,
        connection: Connection,
        shared: Arc<Shared>,
    ) -> rusqlite::Result<Self> {
        let next_seq = next_seq(&connection)?;
        let mut thread = Self {
            folder,
            stream,
            bounds,
            connection,
            shared,
            next_seq,
            newest: None,
            looked: Instant::now(),
            is_failing: false,
            is_open: true,
        };
        thread.measure()?;
        Ok(thread)
    }

    pub fn run(&mut self, commands: &Receiver<Command>) {
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
        if !self.is_failing
            && self.is_open
            && let Err(error) = self.join()
        {
            self.failed(&error);
        }
        documents
    }

    /// One transaction for all of them.
    fn write(&mut self, batches: &[Batch]) -> rusqlite::Result<Vec<Outcome>> {
        let transaction = self.connection.transaction()?;
        let known = self.newest.take();
        let mut newest = known.map_or_else(|| Newest::load(&transaction), Ok)?;
        let documents = batches.iter().flat_map(|batch| &batch.documents);
        let seqs = rows::insert(&transaction, &mut newest, documents, self.next_seq)?;
        let created: i64 = seqs.iter().flatten().map(|_| 1).sum();
        transaction.prepare_cached("UPDATE tally SET documents = documents + ?1")?.execute([created])?;
        transaction.commit()?;
        self.newest = Some(newest);
        self.next_seq += created;
        self.shared.documents.fetch_add(u64::try_from(created).unwrap_or_default(), Ordering::Relaxed);
        let outcome = |seq: Option<i64>| match seq {
            Some(seq) => Outcome::Created { arrival: u64::try_from(seq).unwrap_or_default() },
            None => Outcome::Exists,
        };
        Ok(seqs.into_iter().map(outcome).collect())
    }

    /// Joins blocks; nobody waits for that.
    fn join(&mut self) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction()?;
        let is_sealed = blocks::join(&transaction)?;
        transaction.commit()?;
        if is_sealed {
            self.newest = None;
        }
        Ok(())
    }

    fn annotate(&mut self, cluster: &str, group: &str, said: &Annotation) -> rusqlite::Result<bool> {
        let transaction = self.connection.transaction()?;
        let state = matching::state_number(said.state);
        if rows::set_state(&transaction, cluster, group, state)? == 0 {
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

    pub(super) fn measure(&mut self) -> rusqlite::Result<()> {
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
}

/// Behind everything that was ever numbered, also in a file that is no more: numbers begin with the time of the start.
fn next_seq(connection: &Connection) -> rusqlite::Result<i64> {
    let last: Option<i64> = connection.query_row("SELECT max(seq) FROM identity", [], |row| row.get(0))?;
    // More than one document a microsecond never came in for long.
    let microseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    Ok(i64::try_from(microseconds).unwrap_or_default().max(last.map_or(0, |last| last + 1)))
}

fn now() -> Time {
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    Time(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}
