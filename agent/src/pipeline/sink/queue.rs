//! The queue between the pipeline and a writer: bounded, never waited for by the pipeline, alerts before DNS logs.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use namewarden_protocol::document::Document;

use super::{KindCounts, SinkCounts};

#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Something came in, or the queue was closed.
    filled: Condvar,
    /// The writer has nothing left to do.
    emptied: Condvar,
    capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    alerts: VecDeque<Document>,
    logs: VecDeque<Document>,
    counts: SinkCounts,
    /// The writer works on a batch.
    writing: bool,
    closed: bool,
    /// When the writer is to give up, once the queue is closed.
    until: Option<Instant>,
    broken: bool,
}

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Written,
    Failed,
    /// Nobody reads any more.
    Broken,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            capacity: capacity.max(1),
        }
    }

    /// Takes in one document, or drops the one that matters least.
    pub(super) fn push(&self, document: Document) {
        let mut state = self.lock();
        let is_log = document.is_log();
        kind(&mut state.counts, is_log).seen += 1;
        if state.closed {
            kind(&mut state.counts, is_log).dropped += 1;
            return;
        }
        if state.alerts.len() + state.logs.len() >= self.capacity {
            let room = !is_log && state.logs.pop_front().is_some();
            kind(&mut state.counts, is_log || room).dropped += 1;
            if !room {
                return;
            }
        }
        if is_log { &mut state.logs } else { &mut state.alerts }.push_back(document);
        drop(state);
        self.filled.notify_one();
    }

    /// Waits until a document finds room, nobody reads any more, or the time is up.
    pub(super) fn wait_for_room(&self, until: Instant) {
        let mut state = self.lock();
        while !state.closed && !state.broken && state.alerts.len() + state.logs.len() >= self.capacity {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                return;
            };
            state = self.emptied.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for documents, alerts first, at most `most`; `None` when the queue is closed and empty.
    pub(super) fn pop(&self, most: usize) -> Option<Vec<Document>> {
        let mut state = self.lock();
        while state.alerts.is_empty() && state.logs.is_empty() {
            if state.closed {
                return None;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let State { alerts, logs, .. } = &mut *state;
        let from_alerts = alerts.len().min(most);
        let from_logs = logs.len().min(most - from_alerts);
        let batch: Vec<_> = alerts.drain(..from_alerts).chain(logs.drain(..from_logs)).collect();
        state.writing = true;
        Some(batch)
    }

    /// Says what became of the batch that was popped last.
    pub(super) fn settle(&self, batch: &[Document], outcome: Outcome) {
        let mut state = self.lock();
        state.writing = false;
        state.broken |= outcome == Outcome::Broken;
        for document in batch {
            let counts = kind(&mut state.counts, document.is_log());
            match outcome {
                Outcome::Written => counts.written += 1,
                Outcome::Failed | Outcome::Broken => counts.failed += 1,
            }
        }
        drop(state);
        self.emptied.notify_all();
    }

    /// Waits before the writer tries again; false when it is to give up instead.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let end = Instant::now() + pause;
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.until.is_some_and(|until| now >= until) {
                return false;
            }
            let next = state.until.map_or(end, |until| until.min(end));
            if now >= end {
                return true;
            }
            let left = next.saturating_duration_since(now);
            state = self.filled.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes no more, and waits until all is written or the time is up; what is left then is dropped.
    pub(super) fn close(&self, until: Instant) {
        let mut state = self.lock();
        state.closed = true;
        state.until = Some(until);
        self.filled.notify_all();
        while state.writing || !state.alerts.is_empty() || !state.logs.is_empty() {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                break;
            };
            state = self.emptied.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let (alerts, logs) = (state.alerts.len() as u64, state.logs.len() as u64);
        state.alerts.clear();
        state.logs.clear();
        state.counts.alerts.dropped += alerts;
        state.counts.logs.dropped += logs;
    }

    /// Whether the writer holds a batch.
    #[cfg(test)]
    pub(super) fn is_writing(&self) -> bool {
        self.lock().writing
    }

    pub(super) fn is_broken(&self) -> bool {
        self.lock().broken
    }

    /// What is being written counts as queued.
    pub(super) fn counts(&self) -> SinkCounts {
        let mut counts = self.lock().counts;
        for kind in [&mut counts.alerts, &mut counts.logs] {
            kind.queued = kind.seen - kind.written - kind.dropped - kind.failed;
        }
        counts
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state whole, so a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn kind(counts: &mut SinkCounts, is_log: bool) -> &mut KindCounts {
    if is_log { &mut counts.logs } else { &mut counts.alerts }
}
