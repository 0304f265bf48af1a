//! What became of a feed's lines: counts, the first rejected and guarded lines, why a whole feed is refused.

use std::fmt;
use std::io;

use super::reason::Reason;
use super::{Format, Options};
use crate::entry::Scope;

/// How much of a rejected line is kept, in bytes before escaping.
pub(super) const TEXT_BYTES_MAX: usize = 200;

/// A line that was not taken, as a report shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedLine {
    /// Line of the source, from 1; of JSON, which element.
    pub line: u32,
    /// Its first 200 bytes, control characters escaped: safe on a terminal.
    pub text: String,
    /// Why.
    pub reason: Reason,
}

/// An entry that is a public suffix, kept for its own name only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardedLine {
    /// Line of the source, from 1.
    pub line: u32,
    /// The entry's normal form.
    pub name: String,
    /// What the list asked for.
    pub asked: Scope,
}

/// Rejections counted by reason, in the order of their first appearance.
pub type RejectedLines = Vec<(Reason, u64)>;

/// What became of a feed.
///
/// `entries + rejected + ignored` is the number of items; a line of hosts or dnsmasq may hold several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedReport {
    /// The format it was read as; `Auto` only where nothing was read.
    pub format: Format,
    /// Lines in all; of JSON, elements.
    pub lines: u64,
    /// Bytes in all, without line ends.
    pub bytes: u64,
    /// Names handed out (listed and excepted, repeated ones again).
    pub entries: u64,
    /// Those of them that are exceptions.
    pub excepted: u64,
    /// Items that say nothing about names and are right to: a hosts file's own `localhost`, a zone's SOA.
    pub ignored: u64,
    /// Items that were not taken.
    pub rejected: u64,
    /// They, counted by reason.
    pub rejected_by_reason: RejectedLines,
    /// The first of them.
    pub rejected_lines: Vec<RejectedLine>,
    /// Entries that are public suffixes and were kept for their own name only.
    pub guarded: u64,
    /// The first of them.
    pub guarded_lines: Vec<GuardedLine>,
    shown_max: usize,
}

impl FeedReport {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            format: options.format,
            lines: 0,
            bytes: 0,
            entries: 0,
            excepted: 0,
            ignored: 0,
            rejected: 0,
            rejected_by_reason: Vec::new(),
            rejected_lines: Vec::new(),
            guarded: 0,
            guarded_lines: Vec::new(),
            shown_max: options.lines_shown_max,
        }
    }

    pub(super) fn reject(&mut self, line: u32, text: &str, reason: Reason) {
        self.rejected += 1;
        match self.rejected_by_reason.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => self.rejected_by_reason.push((reason, 1)),
        }
        if self.rejected_lines.len() < self.shown_max {
            self.rejected_lines.push(RejectedLine { line, text: bounded(text), reason });
        }
    }

    pub(super) fn guard(&mut self, line: u32, name: &str, asked: Scope) {
        self.guarded += 1;
        if self.guarded_lines.len() < self.shown_max {
            self.guarded_lines.push(GuardedLine { line, name: name.to_owned(), asked });
        }
    }

    /// More than half of what the feed says is not understood: it is something else.
    pub(super) fn mostly_rejected(&self) -> bool {
        self.rejected > self.entries
    }

    pub(super) fn refuse(self, refusal: Refusal) -> FeedError {
        FeedError { refusal, report: Box::new(self) }
    }
}

/// The start of a line with control characters escaped.
pub(super) fn bounded(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let shown = text.get(..end).unwrap_or_default();
    let mut bounded = String::with_capacity(shown.len() + 3);
    for character in shown.chars() {
        if character.is_control() || is_directional(character) {
            bounded.extend(character.escape_unicode());
        } else {
            bounded.push(character);
        }
    }
    if end < text.len() {
        bounded.push('…');
    }
    bounded
}

/// Characters that turn the direction of text around: they could make a report read as something else.
fn is_directional(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Why a whole feed is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The body is a web page: a login, an error, a moved list.
    #[error("it is a web page (HTML), not a list")]
    Html,
    /// The body is something else that is no text.
    #[error("it is no plain text: {0}")]
    NotText(&'static str),
    /// Most of it is not understood.
    #[error("{rejected} of its {of} entries were rejected: it is not a list of domain names in this format")]
    MostlyRejected {
        /// Items that were not taken.
        rejected: u64,
        /// Items in all.
        of: u64,
    },
    /// CSV: the header does not name the column.
    #[error("its header has no field `{column}`; it has: {header}")]
    NoColumn {
        /// The name looked for.
        column: String,
        /// The header's names.
        header: String,
    },
    /// JSON: not well-formed, or too large in some way.
    #[error("it is not the JSON expected: {0}")]
    Json(String),
    /// JSON: the document has nothing at the path.
    #[error("the path `{path}` leads to nothing in it")]
    NoMatch {
        /// The path.
        path: String,
    },
    /// More bytes than allowed.
    #[error("it is larger than the limit of {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// More entries than allowed.
    #[error("it has more than the limit of {entries_max} entries")]
    TooMany {
        /// The limit.
        entries_max: u64,
    },
    /// The source failed.
    #[error("it could not be read: {0}")]
    Io(#[from] io::Error),
}

/// A refused feed, with what was read of it.
#[derive(Debug)]
pub struct FeedError {
    /// Why.
    pub refusal: Refusal,
    /// What was read until then.
    pub report: Box<FeedReport>,
}

impl fmt::Display for FeedError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refusal.fmt(formatter)
    }
}

impl std::error::Error for FeedError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.refusal)
    }
}
