//! The thread that writes: takes batches off a queue, makes lines of them, writes and counts them.

use std::io;
use std::sync::Arc;
use std::thread;

use namewarden_protocol::document::Document;

use super::Style;
use super::destination::Destination;
use super::queue::{Outcome, Queue};
use super::readable;

/// Documents written and flushed together.
const BATCH: usize = 256;

/// Starts a writer; it ends when its queue is closed and empty.
pub(super) fn start(destination: Destination, style: Style, capacity: usize) -> io::Result<Arc<Queue>> {
    let queue = Arc::new(Queue::new(capacity));
    let from = queue.clone();
    thread::Builder::new().name("sink".to_owned()).spawn(move || write(&from, destination, style))?;
    Ok(queue)
}

fn write(queue: &Queue, mut destination: Destination, style: Style) {
    let mut lines = Vec::new();
    let mut failing = false;
    while let Some(batch) = queue.pop(BATCH) {
        lines.clear();
        for document in &batch {
            line(document, style, &mut lines);
        }
        let outcome = match destination.write(&lines) {
            Ok(()) => Outcome::Written,
            Err(error) => {
                // Said once, not for every batch: a full disk must not fill the log too.
                if !failing {
                    tracing::warn!(%error, "documents cannot be written");
                }
                let broken = error.kind() == io::ErrorKind::BrokenPipe;
                if broken { Outcome::Broken } else { Outcome::Failed }
            }
        };
        if failing && outcome == Outcome::Written {
            tracing::info!("documents are written again");
        }
        failing = outcome != Outcome::Written;
        queue.settle(&batch, outcome);
    }
}

fn line(document: &Document, style: Style, lines: &mut Vec<u8>) {
    match style {
        Style::Readable { colour } => lines.extend_from_slice(readable::line(document, colour).as_bytes()),
        // Writing to memory cannot fail, and no part of a document refuses to be written.
        Style::Json => drop(serde_json::to_writer(&mut *lines, document)),
    }
    lines.push(b'\n');
}
