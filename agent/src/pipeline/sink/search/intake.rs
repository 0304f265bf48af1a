//! Queue -> spool: documents become JSON and are appended; alerts are on disk before the next ones are taken.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use namewarden_protocol::document::Document;

use super::Shared;
use crate::pipeline::sink::queue::{Outcome, Queue};
use crate::pipeline::sink::spool::{Appended, Kind};

/// Documents appended together.
const BATCH: usize = 256;

/// Starts the thread; it ends when the queue is closed and empty.
pub fn start(queue: Arc<Queue>, shared: Arc<Shared>) -> io::Result<()> {
    thread::Builder::new().name("spool".to_owned()).spawn(move || take(&queue, &shared)).map(drop)
}

fn take(queue: &Queue, shared: &Shared) {
    let mut text = Vec::new();
    let (mut synchronised, mut failing) = (None, None);
    while let Some(batch) = queue.pop(BATCH) {
        for kind in Kind::ALL {
            let of_kind = |document: &&Document| document.is_log() == (kind == Kind::Logs);
            let documents: Vec<&Document> = batch.iter().filter(of_kind).collect();
            if !documents.is_empty() {
                let went = append(shared, kind, &documents, &mut text);
                say(&mut failing, went);
                if kind == Kind::Alerts {
                    synchronise(shared, &mut synchronised);
                }
                if let Some(lane) = shared.lane(kind) {
                    lane.filled.notify_one();
                }
            }
        }
        // What becomes of each from here on is in the spool's counts.
        queue.settle(&batch, Outcome::Written);
    }
}

fn append(shared: &Shared, kind: Kind, documents: &[&Document], text: &mut Vec<u8>) -> Appended {
    text.clear();
    let mut ends = Vec::with_capacity(documents.len());
    for document in documents {
        // Writing to memory cannot fail, and no part of a document refuses to be written.
        drop(serde_json::to_writer(&mut *text, document));
        ends.push(text.len());
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let entries: Vec<(&str, &[u8])> = documents
        .iter()
        .zip(starts.zip(&ends))
        .map(|(document, (start, end))| (document.id(), text.get(start..*end).unwrap_or_default()))
        .collect();
    shared.spool().append(kind, &entries, SystemTime::now())
}

/// Says once that the disk takes nothing, or that documents are dropped, and once that all is well again.
fn say(failing: &mut Option<Appended>, went: Appended) {
    let before = failing.unwrap_or(Appended::Disk);
    if went == before {
        return;
    }
    *failing = Some(went);
    match went {
        Appended::Disk => tracing::info!("documents are kept on disk again"),
        Appended::Memory => {
            tracing::warn!(
                "the spool's disk takes nothing: documents are kept in memory until a server has them; make room on it"
            );
        }
        Appended::Dropped => {
            tracing::error!(
                "the spool is full: documents are dropped and counted; make room, or bring a server back"
            );
        }
    }
}

/// Brings alerts to the disk itself, and their file's name where it is a new one.
fn synchronise(shared: &Shared, synchronised: &mut Option<Arc<File>>) {
    let Some(file) = shared.spool().to_synchronise(Kind::Alerts) else { return };
    let is_new = synchronised.as_ref().is_none_or(|known| !Arc::ptr_eq(known, &file));
    let folder = is_new.then(|| shared.spool().folder().to_owned());
    let done = file.sync_data().and_then(|()| match folder {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    });
    match done {
        Ok(()) => *synchronised = Some(file),
        Err(error) => {
            tracing::warn!(%error, "alerts may not survive a crash of this machine: the spool's disk fails");
        }
    }
}
