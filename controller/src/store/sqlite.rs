//! The store in a folder of `SQLite` files: one for alerts, one for DNS logs, each with one writer thread and readers beside it.
//!
//! In: documents, checked here, written by the thread in batches. Out: answers of the readers, each from one state of its file.
//! A damaged file is set aside and a new one begun. When room is short DNS logs give way first.

// Tables, indices, versions.
mod schema;

// One file: opened, checked, set aside.
mod file;

// Texts as numbers.
mod hash;

// Facts of documents, in columns.
mod block;

// The blocks of a file.
mod blocks;

// Documents by their ids.
mod ids;

// Documents put in.
mod rows;

// Documents taken out.
mod removal;

// What gives way.
mod retention;

// The thread that writes.
mod writer;

// Which rows of a block a filter means.
mod matching;

// Pages in the order of time and of arrival.
mod pages;

// Documents by their spread and their values.
mod counts;

// Documents, as they are told.
mod read;

// Documents by the names in them.
mod naming;

// Connections that read.
mod readers;

#[cfg(test)]
mod tests;

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use data_encoding::BASE64URL_NOPAD;
use futures::FutureExt as _;
use namewarden_protocol::document::Time;

pub use file::FileError;
use readers::Readers;
use rows::Prepared;
use writer::{Bounds, Writer};

use super::{
    Annotation, Answer, Appended, Bucket, Histogram, Hit, Incoming, Naming, NamingPage, Outcome, Page,
    Reading, Search, Store, StoreError, Stream, Top, TopValue, facts,
};

/// What the store may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Alerts are kept for this long.
    pub alerts_age: Duration,
    /// DNS logs are kept for this long.
    pub logs_age: Duration,
    /// Bytes of both; DNS logs give way first.
    pub bytes: u64,
}

/// The store. Dropped, it writes what waits.
#[derive(Debug)]
pub struct SqliteStore {
    alerts: File,
    logs: File,
}

#[derive(Debug)]
struct File {
    writer: Writer,
    readers: Arc<Readers>,
}

impl SqliteStore {
    /// Opens the store in a folder, which is made where it is not there.
    ///
    /// # Errors
    /// Folder or files cannot be used. A damaged file is no error.
    pub fn open(folder: &Path, settings: Settings) -> Result<Self, FileError> {
        let failed = |error| FileError::Io { path: folder.to_owned(), error };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        // It holds who asked for what.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        let Settings { alerts_age, logs_age, bytes } = settings;
        let alerts = File::open(folder, Stream::Alerts, Bounds { age: alerts_age, bytes, before: None })?;
        let before = Some(Arc::clone(&alerts.writer.shared));
        let logs = File::open(folder, Stream::Logs, Bounds { age: logs_age, bytes, before })?;
        Ok(Self { alerts, logs })
    }

    /// Has everything taken out that has to give way at that time.
    ///
    /// # Errors
    /// The disk.
    pub async fn retain(&self, now: Time) -> Result<(), StoreError> {
        self.alerts.writer.retain(now).await?;
        self.logs.writer.retain(now).await
    }

    fn file(&self, stream: Stream) -> &File {
        match stream {
            Stream::Alerts => &self.alerts,
            Stream::Logs => &self.logs,
        }
    }

    async fn append_all(&self, documents: Vec<Incoming>) -> Result<Vec<Appended>, StoreError> {
        let checked =
            tokio::task::spawn_blocking(move || documents.into_iter().map(check).collect::<Vec<_>>());
        let checked = checked.await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let mut places = [Vec::new(), Vec::new()];
        let mut parts = [Vec::new(), Vec::new()];
        let mut appended: Vec<Option<Appended>> = Vec::with_capacity(checked.len());
        for (place, checked) in checked.into_iter().enumerate() {
            let [alerts, logs] = &mut parts;
            let [alert_places, log_places] = &mut places;
            match checked {
                Ok((Stream::Alerts, document)) => (alerts.push(document), alert_places.push(place)).0,
                Ok((Stream::Logs, document)) => (logs.push(document), log_places.push(place)).0,
                Err(refused) => {
                    appended.push(Some(refused));
                    continue;
                }
            }
            appended.push(None);
        }
        let [alerts, logs] = parts;
        let (alerts, logs) = futures::join!(self.alerts.append(alerts), self.logs.append(logs));
        for (places, outcomes) in places.into_iter().zip([alerts?, logs?]) {
            for (place, outcome) in places.into_iter().zip(outcomes) {
                if let Some(slot) = appended.get_mut(place) {
                    *slot = Some(outcome);
                }
            }
        }
        Ok(appended.into_iter().flatten().collect())
    }
}

/// A document with what of it is searched, or why it is refused.
fn check(incoming: Incoming) -> Result<(Stream, Prepared), Appended> {
    let Incoming { stream, namespace, id, source } = incoming;
    let id = id.unwrap_or_else(random_id);
    match facts::read(&source, &id, stream, &namespace) {
        Ok(facts) => Ok((stream, Prepared { namespace, hash: hash::id(&id), id, facts, source })),
        Err(refusal) => Err(Appended { id, outcome: Outcome::Refused(refusal) }),
    }
}

/// As long as those that Elasticsearch makes up.
fn random_id() -> String {
    let mut bytes = [0; 15];
    // What the system does not give stays 0: a second such id would collide, which is said.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    BASE64URL_NOPAD.encode(&bytes)
}

impl File {
    fn open(folder: &Path, stream: Stream, bounds: Bounds) -> Result<Self, FileError> {
        let connection = file::open(folder, stream)?;
        let path = file::path(folder, stream);
        let writer = Writer::start(folder.to_owned(), stream, bounds, connection)
            .map_err(|error| FileError::Sqlite { path: path.clone(), error: error.into() })?
            .map_err(|error| FileError::Io { path, error })?;
        let readers = Arc::new(Readers::new(folder.to_owned(), stream, Arc::clone(&writer.shared)));
        Ok(Self { writer, readers })
    }

    async fn append(&self, documents: Vec<Prepared>) -> Result<Vec<Appended>, StoreError> {
        if documents.is_empty() { Ok(Vec::new()) } else { self.writer.append(documents).await }
    }

    fn reading(&self) -> Reading {
        let shared = &self.writer.shared;
        Reading {
            documents: shared.documents.load(Ordering::Relaxed),
            bytes: shared.bytes.load(Ordering::Relaxed),
            removed: shared.removed.load(Ordering::Relaxed),
        }
    }
}

impl Store for SqliteStore {
    fn append(&self, documents: Vec<Incoming>) -> Answer<'_, Vec<Appended>> {
        self.append_all(documents).boxed()
    }

    fn search(&self, search: Search) -> Answer<'_, Page> {
        let readers = &self.file(search.stream).readers;
        readers.ask(move |asked| read::search(asked, &search)).boxed()
    }

    fn histogram(&self, histogram: Histogram) -> Answer<'_, Vec<Bucket>> {
        let readers = &self.file(histogram.stream).readers;
        readers.ask(move |asked| counts::histogram(asked, &histogram)).boxed()
    }

    fn top(&self, top: Top) -> Answer<'_, Vec<TopValue>> {
        let readers = &self.file(top.stream).readers;
        readers.ask(move |asked| counts::top(asked, &top)).boxed()
    }

    fn naming(&self, naming: Naming) -> Answer<'_, NamingPage> {
        self.logs.readers.ask(move |asked| naming::page(asked.connection, &naming)).boxed()
    }

    fn get(&self, stream: Stream, cluster: String, id: String) -> Answer<'_, Option<Hit>> {
        self.file(stream).readers.ask(move |asked| read::get(asked.connection, &cluster, &id)).boxed()
    }

    fn holds(&self, stream: Stream, namespace: String, ids: Vec<String>) -> Answer<'_, Vec<bool>> {
        self.file(stream).readers.ask(move |asked| read::holds(asked.connection, &namespace, &ids)).boxed()
    }

    fn annotate(&self, cluster: String, group: String, annotation: Annotation) -> Answer<'_, ()> {
        self.alerts.writer.annotate(cluster, group, annotation).boxed()
    }

    fn reading(&self) -> Vec<(&'static str, Reading)> {
        Stream::ALL.into_iter().map(|stream| (stream.name(), self.file(stream).reading())).collect()
    }
}
