//! One name of a list that says nothing else about it: a plain line, a field of CSV, a string of JSON.
//!
//! `evil.example`, `*.evil.example` (the names below), `.evil.example` (the name and those below, as proxies write it), and
//! URLs where the feed's setting takes their host.

use super::Urls;
use super::intake::{Line, Reach};
use super::reason::Reason;
use crate::entry::{Scope, Verdict};
use crate::name::NameError;

/// Takes an item without white space around it.
pub(super) fn offer(item: &str, line: &mut Line<'_, '_>) {
    let matching = line.matching();
    if is_url(item) {
        return match (line.urls(), host(item)) {
            (Urls::Reject, _) => line.reject(Reason::Url),
            (Urls::Host, Some(host)) => line.offer(host, matching, Verdict::Listed, Reach::Assumed),
            (Urls::Host, None) => line.reject(Reason::Name(NameError::Address)),
        };
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

/// Whether an item names a page rather than a host: it has a scheme, or a path after what could be a host.
fn is_url(item: &str) -> bool {
    let Some(slash) = item.find('/') else { return has_port(item) };
    let host = item.get(..slash).unwrap_or_default();
    let path = item.get(slash + 1..).unwrap_or_default();
    let is_network = host.parse::<std::net::IpAddr>().is_ok() && path.parse::<u8>().is_ok();
    !host.is_empty() && !is_network
}

/// `evil.example:8080`: one service of a host, as a URL is.
fn has_port(item: &str) -> bool {
    item.split_once(':').is_some_and(|(host, port)| host.contains('.') && is_number(port))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The host of a URL as it is written there, without scheme, user, port and path; `None` for an address in brackets.
///
/// A backslash ends it too: browsers take it for a slash (WHATWG URL standard, section 4.4).
fn host(item: &str) -> Option<&str> {
    let rest = item.split_once("://").map_or(item, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if host.starts_with('[') {
        return None;
    }
    Some(
        host.rsplit_once(':')
            .filter(|(_, port)| port.is_empty() || is_number(port))
            .map_or(host, |(host, _)| host),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url_is_what_stands_between_user_and_port() {
        for (item, expected) in [
            ("http://evil.example", "evil.example"),
            ("https://Evil.Example:8443/a?b#c", "Evil.Example"),
            ("hxxp://user:word@evil.example/@good.example", "evil.example"),
            ("http://good.example@evil.example:/", "evil.example"),
            ("http://evil.example?go=http://good.example/", "evil.example"),
            ("http://evil.example\\@good.example/", "evil.example"),
            ("evil.example/path", "evil.example"),
            ("evil.example:8080", "evil.example"),
            ("http://192.0.2.1:80/x", "192.0.2.1"),
        ] {
            assert_eq!(host(item), Some(expected), "{item}");
        }
        assert_eq!(host("http://[2001:db8::1]:80/x"), None);
    }

    #[test]
    fn a_network_and_a_name_are_no_urls() {
        for item in
            ["192.0.2.0/24", "2001:db8::/32", "2001:db8::1", "evil.example", "/path", "*.evil.example"]
        {
            assert!(!is_url(item), "{item}");
        }
        assert!(is_url("evil.example/path") && is_url("evil.example:80"));
    }
}
