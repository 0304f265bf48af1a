//! Which of the commands that wait are done together.

use std::sync::mpsc::Receiver;

use super::{Batch, Command};

/// Documents that are written together.
const TOGETHER: usize = 10_000;

/// Commands that are done together.
pub enum Together {
    Append(Vec<Batch>),
    Other(Command),
}

/// What waits, in order; appends that follow each other are one, up to a bound.
pub fn gather(first: Option<Command>, commands: &Receiver<Command>) -> Vec<Together> {
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
