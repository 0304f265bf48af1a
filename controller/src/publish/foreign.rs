//! Sets that others hold and this state folder never made: it was put back from an old copy, or others led meanwhile.
//!
//! Who holds such a set waits for one with a greater number. Whoever may fetch sets can claim to hold one, so that claims
//! are believed now and then only.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After a claim no other one is believed for so long: each makes a set that every agent fetches.
const REST: Duration = Duration::from_secs(10);

/// The latest of them.
#[derive(Debug, Default)]
pub struct Foreign(Mutex<Option<((u64, u64), Instant)>>);

impl Foreign {
    /// Notes epoch and number of one, unless one was noted lately or `believe` says no; says whether it did.
    pub fn note(&self, position: (u64, u64), believe: impl FnOnce() -> bool) -> bool {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.is_some_and(|(_, at)| at.elapsed() < REST) || !believe() {
            return false;
        }
        *latest = Some((position, Instant::now()));
        true
    }

    /// Whether a set is later than all of them.
    pub fn is_before(&self, position: (u64, u64)) -> bool {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        latest.is_none_or(|(foreign, _)| foreign < position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_believed_now_and_then_only() {
        let foreign = Foreign::default();
        assert!(!foreign.note((1, 9), || false) && foreign.is_before((1, 0)));
        assert!(foreign.note((1, 9), || true) && !foreign.note((1, 20), || true));
        assert!(!foreign.is_before((1, 9)) && foreign.is_before((1, 10)) && foreign.is_before((2, 1)));
    }
}
