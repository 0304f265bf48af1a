//! Connections that read: a few, each for one question at a time, each question bounded in time and asked of one state of the
//! file.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::Semaphore;

use super::{file, writer::Shared};
use crate::store::{StoreError, Stream};

/// Questions at once; those beyond wait.
const AT_ONCE: usize = 4;
/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Steps of `SQLite` between two looks at the clock.
const STEPS: i32 = 50_000;

/// The connections of a file.
#[derive(Debug)]
pub struct Readers {
    folder: PathBuf,
    stream: Stream,
    shared: Arc<Shared>,
    idle: Mutex<Vec<(u64, Connection)>>,
    places: Semaphore,
}

impl Readers {
    pub fn new(folder: PathBuf, stream: Stream, shared: Arc<Shared>) -> Self {
        Self { folder, stream, shared, idle: Mutex::default(), places: Semaphore::new(AT_ONCE) }
    }

    /// Has a question answered.
    pub async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let readers = Arc::clone(self);
        // Never closed.
        let _place = self.places.acquire().await;
        let asked = tokio::task::spawn_blocking(move || readers.answer(question)).await;
        asked.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    fn answer<T>(&self, question: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let generation = self.shared.generation.load(Ordering::Relaxed);
        let answered = self.connection(generation).and_then(|mut connection| {
            let began = Instant::now();
            connection.progress_handler(STEPS, Some(move || began.elapsed() > PATIENCE))?;
            let transaction = connection.transaction()?;
            let answer = question(&transaction)?;
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
            return StoreError::TooSlow { seconds: PATIENCE.as_secs() };
        }
        if file::is_corrupt(error) {
            self.shared.is_suspect.store(true, Ordering::Relaxed);
        }
        tracing::warn!("{} cannot be read from the store: {error}", self.stream.name());
        StoreError::Unavailable(error.to_string())
    }
}
