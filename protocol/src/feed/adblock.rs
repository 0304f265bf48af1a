//! Filter lists of ad blockers: `||evil.example^` (the name and all below), `@@||fine.evil.example^` (excepted), and
//! plain names or hosts lines among them (exact, as such lists mean them).
//!
//! These lists are written for browsers. A rule about a page, a kind of request, a client or an element of a page is
//! not about a name and is rejected with its reason; only modifiers that leave a rule about the whole name stand.
//! `$badfilter` is rejected, too: it switches one rule off, while an exception would also take out what other rules
//! list.

use super::hosts;
use super::intake::{Line, Reach};
use super::reason::Reason;
use crate::entry::{Scope, Verdict};

/// Modifiers that leave a rule what it is: about every request to the name.
const NEUTRAL_MODIFIERS: [&str; 4] = ["important", "all", "document", "doc"];
/// What separates a cosmetic or scriptlet rule from the names it is for.
const COSMETIC: [&str; 6] = ["##", "#@#", "#?#", "#$#", "#%#", "$$"];

pub(super) fn parse(text: &str, line: &mut Line<'_, '_>) {
    let text = text.trim();
    if text.is_empty() || text.starts_with('!') || is_header(text) || is_hash_comment(text) {
        return;
    }
    if is_hosts_line(text) {
        return hosts::parse(text, line);
    }
    if COSMETIC.iter().any(|mark| text.contains(mark)) {
        return line.reject(Reason::AdblockCosmetic);
    }
    let (rule, verdict) = match text.strip_prefix("@@") {
        Some(rule) => (rule, Verdict::Excepted),
        None => (text, Verdict::Listed),
    };
    if is_regex(rule) {
        return line.reject(Reason::AdblockRegex);
    }
    let (pattern, modifiers) = rule.split_once('$').unwrap_or((rule, ""));
    if let Some(reason) = objection(modifiers) {
        return line.reject(reason);
    }
    match name_of(pattern.trim_end()) {
        Ok((name, scope)) => line.offer(name, scope, verdict, Reach::Written),
        Err(reason) => line.reject(reason),
    }
}

/// What a rule's modifiers make of it that is no rule about the whole name.
fn objection(modifiers: &str) -> Option<Reason> {
    let mut modifiers = modifiers.split(',').map(str::trim).filter(|modifier| !modifier.is_empty());
    if modifiers.clone().any(|modifier| modifier == "badfilter") {
        return Some(Reason::AdblockBadfilter);
    }
    modifiers.any(|modifier| !NEUTRAL_MODIFIERS.contains(&modifier)).then_some(Reason::AdblockModifier)
}

/// `[Adblock Plus 2.0]`
fn is_header(text: &str) -> bool {
    text.starts_with('[') && text.ends_with(']')
}

/// `# text`, `## text`, `####`: comments of hosts files. `##.banner` hides an element.
fn is_hash_comment(text: &str) -> bool {
    let rest = text.trim_start_matches('#');
    let hashes = text.len() - rest.len();
    match hashes {
        0 => false,
        1 => COSMETIC.iter().all(|mark| !text.starts_with(mark)),
        _ => rest.is_empty() || rest.starts_with(char::is_whitespace) || hashes > 2,
    }
}

fn is_hosts_line(text: &str) -> bool {
    let mut words = text.split_ascii_whitespace();
    words.next().is_some_and(|word| hosts::address(word).is_some()) && words.next().is_some()
}

/// `/pattern/`, with or without modifiers after it.
fn is_regex(rule: &str) -> bool {
    rule.strip_prefix('/').is_some_and(|rest| rest.ends_with('/') || rest.contains("/$"))
}

/// The name that a pattern is about, and which names with it.
fn name_of(pattern: &str) -> Result<(&str, Scope), Reason> {
    if pattern.contains("://") {
        return Err(Reason::Url);
    }
    if pattern.contains('/') {
        return Err(Reason::AdblockPath);
    }
    let (anchored, scope) = if let Some(rest) = pattern.strip_prefix("||") {
        (rest, Scope::Both)
    } else if let Some(rest) = pattern.strip_prefix('|') {
        (rest, Scope::Exact)
    } else {
        (before_comment(pattern), Scope::Exact)
    };
    let bare = anchored.strip_suffix('|').unwrap_or(anchored);
    let name = bare.strip_suffix('^').unwrap_or(bare);
    // `||evil.` is any top-level domain: what is left after the dot is taken off would be another name.
    if name.len() == bare.len() && name.ends_with('.') {
        return Err(Reason::AdblockPattern);
    }
    let (name, scope) = match name.strip_prefix("*.").or_else(|| name.strip_prefix('.')) {
        Some(name) => (name, Scope::Subdomains),
        None => (name, scope),
    };
    if name.contains(['*', '^', '|']) { Err(Reason::AdblockPattern) } else { Ok((name, scope)) }
}

/// A plain name may have a comment after it, as in hosts files.
fn before_comment(pattern: &str) -> &str {
    pattern.split_once(" #").map_or(pattern, |(before, _)| before).trim_end()
}
