//! Feeds belong to a whole cluster: tests that share an API server take turns. There are two groups of the same
//! resource, and so two tests at a time that see nothing of each other.

use std::sync::{Condvar, Mutex, PoisonError};

/// Groups that nobody uses.
static FREE: Mutex<Vec<&str>> = Mutex::new(Vec::new());
static STARTED: std::sync::Once = std::sync::Once::new();
static GIVEN_BACK: Condvar = Condvar::new();

/// The group of the reference's manifests.
pub const REFERENCE: &str = "projectcalico.org";
/// Ours, where somebody else serves that one.
pub const OURS: &str = "namewarden.dev";

/// A group that is this test's alone until the value is dropped.
#[derive(Debug)]
pub struct Lane {
    /// The group.
    pub group: &'static str,
}

impl Lane {
    /// Waits for either group.
    pub fn any() -> Self {
        Self::take(|_| true)
    }

    /// Waits for this one.
    pub fn of(group: &str) -> Self {
        Self::take(|free| free == group)
    }

    fn take(is_wanted: impl Fn(&str) -> bool) -> Self {
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        STARTED.call_once(|| free.extend([REFERENCE, OURS]));
        loop {
            if let Some(at) = free.iter().position(|group| is_wanted(group)) {
                return Self { group: free.swap_remove(at) };
            }
            free = GIVEN_BACK.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(self.group);
        GIVEN_BACK.notify_all();
    }
}
