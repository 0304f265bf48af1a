//! Candidate names x threat set -> findings: which entry of which feeds, by which name of the message.
//!
//! In: a raw message and the candidates that the screen gave for it. Out: one [`Finding`] for each distinct entry that
//! wins, in the order of the message (the question first). Whether a candidate is listed is decided here, by the set's
//! full rules: scope, exceptions, the longest entry.

use std::fmt::Write as _;
use std::sync::Arc;

use namewarden_protocol::entry::Scope;
use namewarden_protocol::threat_set::{Listing, SetId, ThreatSet};

use super::parse;
use super::screen::{Candidate, Place};

/// Bytes of the longest name on the wire (RFC 1035 section 3.1).
const NAME_MAX: usize = 255;

/// An entry that a message brought up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The entry, normalised.
    pub entry: String,
    /// The name of the message that it lists, in lower case and presentation form, without the final dot.
    pub name: String,
    /// Where that name stands.
    pub place: Place,
    /// Whether the entry is the name itself, not a parent of it.
    pub exact: bool,
    /// All feeds that list this very entry.
    pub feeds: Vec<FeedListing>,
    /// The set that said so.
    pub set: SetId,
}

/// One feed's line, with what an alert says of the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedListing {
    /// Name of the feed.
    pub name: Arc<str>,
    /// The operator's words on it.
    pub description: Arc<str>,
    /// 1 to 100.
    pub severity: u8,
    /// MITRE ATT&CK technique ids.
    pub techniques: Arc<[String]>,
    /// Which names the line speaks of.
    pub scope: Scope,
    /// Line of the source, from 1.
    pub line: u32,
}

/// What became of the candidates: `candidates = unreadable + unlisted + repeated + findings`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchingCounts {
    /// Candidates that came in.
    pub candidates: u64,
    /// Those where no name can be read.
    pub unreadable: u64,
    /// Those that no feed lists after all: out of the entry's scope, or excepted.
    pub unlisted: u64,
    /// Those listed by an entry that another name of the message had brought up.
    pub repeated: u64,
    /// Findings handed on.
    pub findings: u64,
}

/// Decides which candidates of a message are listed, and by what.
pub fn findings(
    message: &[u8],
    candidates: &[Candidate],
    set: &ThreatSet,
    counts: &mut MatchingCounts,
) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for candidate in candidates {
        counts.candidates += 1;
        let Some(key) = name_at(message, candidate.offset, push_key) else {
            counts.unreadable += 1;
            continue;
        };
        let Some(listed) = set.find(&key) else {
            counts.unlisted += 1;
            continue;
        };
        if findings.iter().any(|finding| finding.entry == listed.entry) {
            counts.repeated += 1;
            continue;
        }
        counts.findings += 1;
        findings.push(Finding {
            entry: listed.entry.to_owned(),
            exact: listed.exact,
            feeds: listed.listings.iter().filter_map(|listing| feed_listing(*listing, set)).collect(),
            place: candidate.place,
            set: set.id(),
            name: name_at(message, candidate.offset, push_shown).unwrap_or(key),
        });
    }
    findings
}

fn feed_listing(listing: Listing, set: &ThreatSet) -> Option<FeedListing> {
    let info = set.feed(listing.feed)?;
    Some(FeedListing {
        name: info.name.clone(),
        description: info.description.clone(),
        severity: info.severity,
        techniques: info.techniques.clone(),
        scope: listing.scope,
        line: listing.line,
    })
}

/// The name that begins at an offset, by the screen's rules: a pointer points before itself. `push` adds a label.
fn name_at(message: &[u8], offset: u32, push: fn(&[u8], &mut String)) -> Option<String> {
    let mut at = usize::try_from(offset).ok()?;
    let mut name = String::with_capacity(64);
    let mut length = 1;
    loop {
        let first = usize::from(*message.get(at)?);
        match first {
            0 => return Some(name),
            1..=63 => {
                length += 1 + first;
                let label = message.get(at + 1..at + 1 + first).filter(|_| length <= NAME_MAX)?;
                if !name.is_empty() {
                    name.push('.');
                }
                push(label, &mut name);
                at += 1 + first;
            }
            192.. => {
                let target = (first & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                at = Some(target).filter(|target| *target < at)?;
            }
            _ => return None,
        }
    }
}

/// For the set: lower case; what is no byte of a host name (underscore counts as one) becomes `\DDD` (RFC 1035 section
/// 5.1), a dot inside a label too: the text parts into the same labels again.
fn push_key(label: &[u8], name: &mut String) {
    for byte in label {
        match byte.to_ascii_lowercase() {
            byte @ (b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_') => name.push(char::from(byte)),
            byte => {
                // Writing to a string cannot fail.
                let _ = write!(name, "\\{byte:03}");
            }
        }
    }
}

/// For documents: lower case, in the same presentation format as all other names there.
fn push_shown(label: &[u8], name: &mut String) {
    parse::push_label(&label.to_ascii_lowercase(), name);
}

#[cfg(test)]
mod tests;
