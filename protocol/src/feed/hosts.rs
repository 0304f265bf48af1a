//! hosts(5): an address and the names it stands for, each exact; `#` begins a comment anywhere.
//!
//! Lists use addresses that lead nowhere. A line with any other address gives a name its place in a network and
//! blocks nothing. The names that every machine's own file has are ignored.

use std::net::IpAddr;

use super::intake::{Line, Reach};
use super::reason::Reason;
use crate::entry::{Scope, Verdict};

/// Names that stand in the head of many lists because they were whole hosts files once.
const OWN_NAMES: [&str; 16] = [
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
    "0.0.0.0",
];

pub(super) fn parse(text: &str, line: &mut Line<'_, '_>) {
    let text = text.split('#').next().unwrap_or_default();
    let mut words = text.split_ascii_whitespace();
    let Some(first) = words.next() else { return };
    let Some(address) = address(first) else {
        return line.reject(if is_glued(first) { Reason::HostsNoSpace } else { Reason::HostsAddress });
    };
    let blocks = address.is_unspecified() || address.is_loopback();
    let mut names = 0_u32;
    for name in words {
        names += 1;
        if is_own(name) {
            line.ignore();
        } else if blocks {
            line.offer(name, Scope::Exact, Verdict::Listed, Reach::Written);
        } else {
            line.reject(Reason::HostsTarget);
        }
    }
    if names == 0 {
        line.reject(Reason::HostsNoName);
    }
}

/// An address as hosts files write it, with or without a zone (`fe80::1%lo0`).
pub(super) fn address(word: &str) -> Option<IpAddr> {
    // Most words are names: no address starts with a letter beyond `f`, `::` included.
    if !word.starts_with(|first: char| first.is_ascii_hexdigit() || first == ':') {
        return None;
    }
    word.split('%').next().unwrap_or_default().parse().ok()
}

/// `0.0.0.0evil.example`: an address that runs into a name.
fn is_glued(word: &str) -> bool {
    ["0.0.0.0", "127.0.0.1", "::1"]
        .iter()
        .any(|address| word.strip_prefix(address).is_some_and(|rest| !rest.is_empty()))
}

fn is_own(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    OWN_NAMES.iter().any(|own| own.eq_ignore_ascii_case(name))
}
