//! What a DNS log stands for, what is left out, and what bounds the stage.

use std::time::Duration;

use super::Suffixes;

/// What one document stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregation {
    /// One exchange.
    Every,
    /// All equal exchanges of a workload and an interval: same question, response code and answers.
    Workload,
    /// All equal exchanges of an owner's pods and an interval; a workload without known owner stays by itself.
    Owner,
}

/// What bounds the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What one document stands for.
    pub aggregation: Aggregation,
    /// Counts are written, and the limit begins anew, this often.
    pub interval: Duration,
    /// How long a query waits for its answer, and a name of a search list for the one that was meant.
    pub answer_wait: Duration,
    /// Queries that wait at most; the oldest is logged without an answer.
    pub waiting_max: usize,
    /// Documents an interval at most, shared out among the workloads; exchanges beyond are counted.
    pub limit: u64,
    /// Names that are not logged, with all below them.
    pub exclude: Suffixes,
    /// Of all others one exchange in so many is logged.
    pub sample: u64,
    /// Domains of search lists whose noise is folded into what was meant.
    pub fold_search: Suffixes,
}

impl Default for Settings {
    /// Every exchange; an interval of 5 minutes; 5 s, the usual resolver's patience; 8,192 queries; no limit.
    fn default() -> Self {
        Self {
            aggregation: Aggregation::Every,
            interval: Duration::from_mins(5),
            answer_wait: Duration::from_secs(5),
            waiting_max: 8_192,
            limit: u64::MAX,
            exclude: Suffixes::default(),
            sample: 1,
            fold_search: Suffixes::default(),
        }
    }
}

impl Settings {
    /// Different exchanges that are counted at once at most, whatever the limit: the table is bounded.
    pub const COUNTED_MAX: u64 = 16_384;
    /// Bytes of all queries that wait at most.
    pub const WAITING_BYTES_MAX: usize = 8 << 20;
}
