//! What is counted while the controller runs.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::http::StatusCode;

/// Counted by the routes.
#[derive(Debug, Default)]
pub struct Counts {
    /// By route and status: as many rows as the table has routes, times a dozen.
    answers: Mutex<BTreeMap<(&'static str, u16), u64>>,
    answer_bytes: AtomicU64,
    sets_whole: AtomicU64,
    sets_whole_bytes: AtomicU64,
    sets_delta: AtomicU64,
    sets_delta_bytes: AtomicU64,
    pushes: Mutex<BTreeMap<&'static str, u64>>,
    appended: Mutex<BTreeMap<&'static str, u64>>,
}

/// What was counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Answers by route and status.
    pub answers: BTreeMap<(&'static str, u16), u64>,
    /// Bytes of their bodies.
    pub answer_bytes: u64,
    /// Sets served, and their bytes: whole, as a change.
    pub sets: [(u64, u64); 2],
    /// Documents written, by what came of it.
    pub pushes: BTreeMap<&'static str, u64>,
    /// Documents sent to be kept, by what came of it.
    pub appended: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// A request was answered.
    pub fn answered(&self, route: &'static str, status: StatusCode, bytes: u64) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry((route, status.as_u16())).or_default() += 1;
        self.answer_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A set was served.
    pub fn served(&self, is_delta: bool, bytes: usize) {
        let (sets, sum) = if is_delta {
            (&self.sets_delta, &self.sets_delta_bytes)
        } else {
            (&self.sets_whole, &self.sets_whole_bytes)
        };
        sets.fetch_add(1, Ordering::Relaxed);
        sum.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A document was created, updated or deleted.
    pub fn pushed(&self, result: &'static str) {
        let mut pushes = self.pushes.lock().unwrap_or_else(PoisonError::into_inner);
        *pushes.entry(result).or_default() += 1;
    }

    /// Documents were to be kept.
    pub fn appended(&self, result: &'static str, documents: u64) {
        let mut appended = self.appended.lock().unwrap_or_else(PoisonError::into_inner);
        *appended.entry(result).or_default() += documents;
    }

    /// Everything so far.
    pub fn read(&self) -> Counted {
        let value = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counted {
            answers: self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            answer_bytes: value(&self.answer_bytes),
            sets: [
                (value(&self.sets_whole), value(&self.sets_whole_bytes)),
                (value(&self.sets_delta), value(&self.sets_delta_bytes)),
            ],
            pushes: self.pushes.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            appended: self.appended.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
