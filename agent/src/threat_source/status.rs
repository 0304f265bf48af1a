//! What a load made of one feed, for logs, metrics and `status`.

use std::fmt;
use std::time::{Duration, SystemTime};

use namewarden_protocol::feed::{FeedReport, Format};

/// One feed after a load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedStatus {
    /// Name of the feed.
    pub name: String,
    /// Path or URL, without credentials.
    pub location: String,
    /// Whether it is an allow list of the operator's.
    pub allow_list: bool,
    /// Format that it was read in; `auto` where nothing was read.
    pub format: Format,
    /// Entries that it contributes to the set.
    pub entries: u64,
    /// What became of the lines of what is in use; of what was refused where nothing is.
    pub report: Option<FeedReport>,
    /// Whether what is in use is the last good copy, read again.
    pub last_good: bool,
    /// Whether it is a URL that was never fetched, and is being fetched now.
    pub pending: bool,
    /// When what is in use was read from its location, or was last known to be unchanged there.
    pub read_at: Option<SystemTime>,
    /// Why the last attempt was refused or failed; the last good copy is in use then, if there is one.
    pub problem: Option<String>,
}

impl FeedStatus {
    /// How old what is in use is.
    pub fn age(&self, now: SystemTime) -> Option<Duration> {
        self.read_at.map(|time| now.duration_since(time).unwrap_or_default())
    }

    /// Lines, or items of lines, that were rejected.
    pub fn rejected(&self) -> u64 {
        self.report.as_ref().map_or(0, |report| report.rejected)
    }

    /// Entries kept as exact only because they are public suffixes.
    pub fn guarded(&self) -> u64 {
        self.report.as_ref().map_or(0, |report| report.guarded)
    }
}

/// One line for a log.
impl fmt::Display for FeedStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.allow_list { "allow list" } else { "feed" };
        write!(formatter, "{kind} {} ({}): ", self.name, self.location)?;
        if self.pending {
            return formatter.write_str("being fetched for the first time; nothing of it is used yet");
        }
        if let Some(problem) = &self.problem {
            write!(formatter, "{problem}; ")?;
        }
        match (&self.problem, self.last_good, self.entries) {
            (Some(_), true, entries) => {
                write!(formatter, "the last good copy with {} is used", counted(entries))?;
            }
            (Some(_), false, 0) => return formatter.write_str("nothing of it is used"),
            (_, _, entries) => write!(formatter, "{}, format {}", counted(entries), self.format)?,
        }
        match (self.rejected(), self.guarded()) {
            (0, 0) => Ok(()),
            (rejected, guarded) => {
                write!(formatter, ", {rejected} rejected, {guarded} kept as exact only (public suffixes)")
            }
        }
    }
}

fn counted(entries: u64) -> String {
    if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") }
}
