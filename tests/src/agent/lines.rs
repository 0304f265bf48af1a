//! Lines that a program writes, followed by a thread, to be waited for and read.

use std::{
    io::{BufRead as _, BufReader},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

/// Lines that a program wrote so far.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) read: Mutex<Vec<String>>,
    pub(super) grown: Condvar,
}

impl Lines {
    pub(super) fn follow(source: impl std::io::Read + Send + 'static) -> (Arc<Self>, JoinHandle<()>) {
        let lines = Arc::new(Self::default());
        let here = Arc::clone(&lines);
        let reader = thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(std::io::Result::ok) {
                here.read.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                here.grown.notify_all();
            }
        });
        (lines, reader)
    }

    pub(super) fn copy(&self) -> Vec<String> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
