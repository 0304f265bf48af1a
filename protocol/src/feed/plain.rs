//! A name a line: `evil.example`, `*.evil.example` (the names below), `.evil.example` (the name and those below, as
//! proxies write it). Comments: `#`, `!`, `;` at the start of a line, ` #` after a name.

use super::intake::{Line, Reach};
use super::reason::Reason;
use crate::entry::{Scope, Verdict};

pub(super) fn parse(text: &str, matching: Scope, line: &mut Line<'_, '_>) {
    let item = without_comment(text);
    if item.is_empty() || item.starts_with(['!', ';']) {
        return;
    }
    if is_url(item) {
        return line.reject(Reason::Url);
    }
    let (name, scope, reach) = if let Some(name) = item.strip_prefix("*.") {
        (name, Scope::Subdomains, Reach::Written)
    } else if let Some(name) = item.strip_prefix('.') {
        (name, Scope::Both, Reach::Written)
    } else {
        (item, matching, Reach::Assumed)
    };
    line.offer(name, scope, Verdict::Listed, reach);
}

/// The line without a trailing comment and the white space around it.
pub(super) fn without_comment(text: &str) -> &str {
    let mut end = text.len();
    for (at, _) in text.match_indices('#') {
        let before = text.get(..at).unwrap_or_default();
        if before.is_empty() || before.ends_with(char::is_whitespace) {
            end = at;
            break;
        }
    }
    text.get(..end).unwrap_or_default().trim()
}

/// Whether an item names a page rather than a host: it has a scheme, or a path after what could be a host.
pub(super) fn is_url(item: &str) -> bool {
    let Some(slash) = item.find('/') else { return false };
    let host = item.get(..slash).unwrap_or_default();
    let path = item.get(slash + 1..).unwrap_or_default();
    let is_network = host.parse::<std::net::IpAddr>().is_ok() && path.parse::<u8>().is_ok();
    !host.is_empty() && !is_network
}
