//! How many lists were read, by what came of it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::feed::pull::Pulled;

/// Lists that were pulled, or taken from a pushed document.
#[derive(Debug, Default)]
pub struct Readings {
    new: AtomicU64,
    unchanged: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl Readings {
    /// Counts one.
    pub fn note(&self, pulled: &Pulled) {
        let count = match pulled {
            Pulled::New(_) => &self.new,
            Pulled::Unchanged => &self.unchanged,
            Pulled::Refused { .. } => &self.refused,
            Pulled::Failed { .. } => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// What came of them, and how many.
    pub fn read(&self) -> [(&'static str, u64); 4] {
        let value = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("new", value(&self.new)),
            ("unchanged", value(&self.unchanged)),
            ("refused", value(&self.refused)),
            ("failed", value(&self.failed)),
        ]
    }
}
