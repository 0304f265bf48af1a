//! The thread that writes: takes batches off a queue, makes lines of them, writes and counts them.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use namewarden_protocol::document::Document;

use super::Style;
use super::destination::Destination;
use super::queue::{Outcome, Queue};
use super::readable::Readable;

/// Documents written and flushed together.
const BATCH: usize = 256;
/// From a write that failed to the next try.
const PAUSE: Duration = Duration::from_secs(1);

/// Starts a writer; it ends when its queue is closed and empty.
pub(super) fn start(destination: Destination, style: Style, capacity: usize) -> io::Result<Arc<Queue>> {
    let queue = Arc::new(Queue::new(capacity));
    let from = queue.clone();
    thread::Builder::new().name("sink".to_owned()).spawn(move || write(&from, destination, style))?;
    Ok(queue)
}

fn write(queue: &Queue, mut destination: Destination, style: Style) {
    let readable = match style {
        Style::Readable { colour } => Some(Readable::local(colour)),
        Style::Json => None,
    };
    let mut lines = Vec::new();
    while let Some(batch) = queue.pop(BATCH) {
        lines.clear();
        for document in &batch {
            line(document, readable.as_ref(), &mut lines);
        }
        let outcome = write_all(queue, &mut destination, &lines);
        queue.settle(&batch, outcome);
    }
}

/// Writes the lines of a batch, also when that takes several tries: a disk that is full may have room again. What comes
/// in meanwhile waits in the queue, or is dropped there and counted.
fn write_all(queue: &Queue, destination: &mut Destination, lines: &[u8]) -> Outcome {
    let (mut done, mut failing) = (0, false);
    while let Err(error) = destination.write(lines, &mut done) {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Outcome::Broken;
        }
        // Said once, not for every try: a full disk must not fill the log too.
        if !std::mem::replace(&mut failing, true) {
            tracing::warn!(%error, "documents cannot be written; trying again every second");
        }
        if !queue.pause(PAUSE) {
            return Outcome::Failed;
        }
    }
    if failing {
        tracing::info!("documents are written again");
    }
    Outcome::Written
}

fn line(document: &Document, readable: Option<&Readable>, lines: &mut Vec<u8>) {
    match readable {
        Some(readable) => lines.extend_from_slice(readable.line(document).as_bytes()),
        // Writing to memory cannot fail, and no part of a document refuses to be written.
        None => drop(serde_json::to_writer(&mut *lines, document)),
    }
    lines.push(b'\n');
}
