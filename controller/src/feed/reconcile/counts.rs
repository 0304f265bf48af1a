//! How many lists were read, by what came of it; what is logged of each.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::feed::pull::Pulled;

/// Lists that were pulled, or taken from a pushed document; and whether a set could be made of them.
#[derive(Debug, Default)]
pub struct Readings {
    new: AtomicU64,
    unchanged: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    set_failing: AtomicBool,
}

impl Readings {
    /// Counts one.
    pub fn note(&self, pulled: &Pulled) {
        let count = match pulled {
            Pulled::Gone => return,
            Pulled::New(_) => &self.new,
            Pulled::Unchanged => &self.unchanged,
            Pulled::Refused { .. } => &self.refused,
            Pulled::Failed { .. } => &self.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// The last set could be made, or nothing is to be made here.
    pub fn set_is_made(&self) {
        self.set_failing.store(false, Ordering::Relaxed);
    }

    /// The last set could not be made.
    pub fn set_fails(&self) {
        self.set_failing.store(true, Ordering::Relaxed);
    }

    /// Whether the last set could not be made.
    pub fn is_set_failing(&self) -> bool {
        self.set_failing.load(Ordering::Relaxed)
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

/// Says what came of a list.
pub fn log(name: &str, pulled: &Pulled) {
    match pulled {
        Pulled::New(record) => {
            let summary = &record.summary;
            tracing::info!(
                feed = name,
                entries = summary.entries,
                rejected = summary.rejected,
                guarded = summary.guarded,
                format = %summary.format,
                "a list was taken"
            );
        }
        Pulled::Unchanged => tracing::debug!(feed = name, "unchanged"),
        Pulled::Gone => tracing::debug!(feed = name, "its document was deleted"),
        Pulled::Refused { reason, .. } => tracing::debug!(feed = name, "refused: {reason}"),
        Pulled::Failed { reason, .. } => tracing::debug!(feed = name, "failed: {reason}"),
    }
}
