//! Lines that a program writes, followed by a thread, to be waited for and read.

use std::{
    io::{BufRead as _, BufReader},
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Lines that a program wrote so far.
#[derive(Debug, Default)]
pub struct Lines {
    pub(crate) read: Mutex<Vec<String>>,
    pub(crate) grown: Condvar,
}

impl Lines {
    /// Follows `source` to its end; the thread that does.
    pub fn follow(source: impl std::io::Read + Send + 'static) -> (Arc<Self>, JoinHandle<()>) {
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

    /// All lines so far.
    pub fn copy(&self) -> Vec<String> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `look` finds something in the lines from `from` on; none when that takes longer than `patience`.
    pub fn find<T>(
        &self,
        from: usize,
        patience: Duration,
        mut look: impl FnMut(&str) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut seen = from;
        let mut lines = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let found = lines.iter().skip(seen).find_map(|line| look(line));
            let left = deadline.saturating_duration_since(Instant::now());
            if found.is_some() || left.is_zero() {
                return found;
            }
            seen = seen.max(lines.len());
            lines = self.grown.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
