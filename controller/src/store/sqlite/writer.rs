//! The one thread that writes a file: what waits is written together, acknowledged when it is on disk; between batches it takes
//! out what has to give way.

// What it does.
mod thread;

// Which commands it does together.
mod together;

// Another file, where it is damaged.
mod replace;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use namewarden_protocol::document::Time;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::rows::Prepared;
use crate::store::{Annotation, Appended, StoreError, Stream};
use thread::Thread;

/// Commands that wait.
const WAITING_MAX: usize = 256;
/// Bytes of documents that wait.
const WAITING_BYTES_MAX: usize = 64 << 20;

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
        let mut writing = Thread::new(folder, stream, bounds, connection, Arc::clone(&shared))?;
        let started = std::thread::Builder::new()
            .name(format!("store-{}", stream.name()))
            .spawn(move || writing.run(&received))
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
