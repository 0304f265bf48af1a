//! Connections that read: a few, each for one question at a time, each question bounded in time and asked of one state of the
//! file.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, ffi};
use tokio::sync::Semaphore;

use super::{file, writer::Shared};
use crate::store::{StoreError, Stream};

/// Questions at once; those beyond wait.
const AT_ONCE: usize = 4;
/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Steps of `SQLite` between two looks at the clock.
const STEPS: i32 = 50_000;

/// One state of the file, for one question.
#[derive(Debug)]
pub struct Asked<'c> {
    /// What reads it.
    pub connection: &'c Connection,
    until: Instant,
}

impl Asked<'_> {
    /// Fails when the question takes too long: asked of what is done between statements.
    pub fn check(&self) -> rusqlite::Result<()> {
        if Instant::now() < self.until {
            return Ok(());
        }
        Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_INTERRUPT), None))
    }
}

/// The connections of a file.
#[derive(Debug)]
pub struct Readers {
    folder: PathBuf,
    stream: Stream,
    shared: Arc<Shared>,
    idle: Mutex<Vec<(u64, Connection)>>,
    places: Semaphore,
    patience: Duration,
}

impl Readers {
    pub fn new(folder: PathBuf, stream: Stream, shared: Arc<Shared>) -> Self {
        Self {
            folder,
            stream,
            shared,
            idle: Mutex::default(),
            places: Semaphore::new(AT_ONCE),
            patience: PATIENCE,
        }
    }

    /// Has a question answered.
    pub async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Asked<'_>) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(self);
        // Never closed.
        let _place = self.places.acquire().await;
        let asked = tokio::task::spawn_blocking(move || readers.answer(question)).await;
        asked.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    fn answer<T>(&self, question: impl FnOnce(&Asked<'_>) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let generation = self.shared.generation.load(Ordering::Relaxed);
        let answered = self.connection(generation).and_then(|mut connection| {
            let until = Instant::now() + self.patience;
            connection.progress_handler(STEPS, Some(move || Instant::now() > until))?;
            let transaction = connection.transaction()?;
            let answer = question(&Asked { connection: &transaction, until })?;
            drop(transaction);
            self.idle().push((generation, connection));
            Ok(answer)
        });
        answered.map_err(|error| self.failed(&error))
    }

    /// One that nobody uses, of this file and none that was there before.
    fn connection(&self, generation: u64) -> rusqlite::Result<Connection> {
        let mut idle = self.idle();
        idle.retain(|(of, _)| *of == generation);
        match idle.pop() {
            Some((_, connection)) => Ok(connection),
            None => file::reader(&self.folder, self.stream),
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(u64, Connection)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
            return StoreError::TooSlow { seconds: self.patience.as_secs() };
        }
        if file::is_corrupt(error) {
            self.shared.is_suspect.store(true, Ordering::Relaxed);
        }
        tracing::warn!("{} cannot be read from the store: {error}", self.stream.name());
        StoreError::Unavailable(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        Field, Histogram, Order, Search, Store as _, Top,
        sqlite::{counts, read, tests::all},
        tests::{made_up::Spec, open},
    };
    use namewarden_protocol::document::Time;

    #[tokio::test]
    async fn a_question_that_takes_too_long_is_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        store.append(vec![Spec::new(1, "a").incoming()]).await.unwrap();
        let shared = Arc::clone(&store.file(Stream::Alerts).writer.shared);
        let readers = Readers::new(folder.path().to_owned(), Stream::Alerts, shared);
        let readers = Arc::new(Readers { patience: Duration::ZERO, ..readers });
        for order in [Order::NewestFirst, Order::OldestFirst, Order::Arrival] {
            let search = Search { order, ..all(Stream::Alerts) };
            let answer = readers.ask(move |asked| read::search(asked, &search)).await;
            assert_eq!(answer, Err(StoreError::TooSlow { seconds: 0 }));
        }
        let (stream, filter) = (Stream::Alerts, all(Stream::Alerts).filter);
        let top = Top { stream, filter: filter.clone(), field: Field::Kind, limit: 1 };
        let answer = readers.ask(move |asked| counts::top(asked, &top)).await;
        assert_eq!(answer, Err(StoreError::TooSlow { seconds: 0 }));
        let histogram = Histogram { stream, filter, from: Time(0), step: 1, steps: 3 };
        let answer = readers.ask(move |asked| counts::histogram(asked, &histogram)).await;
        assert_eq!(answer, Err(StoreError::TooSlow { seconds: 0 }));
    }
}
