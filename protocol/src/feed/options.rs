//! How a feed is to be read: its format, what its lines mean where they do not say it, and how much of it there may be.

use super::{Csv, Format, JsonPath};
use crate::entry::Scope;

/// How a feed is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The format, or `Auto`.
    pub format: Format,
    /// What a plain name without a wildcard lists, in plain, CSV and JSON lists; the other formats say it themselves.
    pub matching: Scope,
    /// What a URL in a plain, CSV or JSON list is taken for.
    pub urls: Urls,
    /// Where a CSV list has its names.
    pub csv: Csv,
    /// Where a JSON document has its names.
    pub json: JsonPath,
    /// Whether a listed public suffix is kept as exact; not for an allow list, whose names are to have no alert.
    pub guard: bool,
    /// A larger feed is refused, in bytes.
    pub bytes_max: u64,
    /// A feed with more entries is refused.
    pub entries_max: u64,
    /// How many rejected (and guarded) lines the report shows; all are counted.
    pub lines_shown_max: usize,
}

/// What a URL is taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Urls {
    /// It is rejected: its host may be innocent.
    #[default]
    Reject,
    /// Its host is the entry.
    Host,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::Auto,
            matching: Scope::Both,
            urls: Urls::Reject,
            csv: Csv::default(),
            json: JsonPath::default(),
            guard: true,
            bytes_max: 1 << 30,
            entries_max: 20_000_000,
            lines_shown_max: 100,
        }
    }
}
