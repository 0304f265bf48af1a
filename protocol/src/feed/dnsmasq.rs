//! dnsmasq's configuration: `local=/x/`, `server=/x/`, `address=/x/0.0.0.0` or `/#` list `x` and all below; several
//! names may stand between the slashes. `server=/x/#` sends `x` back to the ordinary servers: an exception.
//!
//! A line that sends a name to a server or gives it an address of its own blocks nothing and is rejected.

use std::net::IpAddr;

use super::intake::{Line, Reach};
use super::plain;
use super::reason::Reason;
use crate::entry::{Scope, Verdict};

pub(super) fn parse(text: &str, line: &mut Line<'_, '_>) {
    let text = plain::without_comment(text);
    if text.is_empty() {
        return;
    }
    let Some((option, value)) = text.split_once('=') else {
        return line.reject(foreign(text));
    };
    let option = option.trim().trim_start_matches("--");
    let value = value.trim();
    let Some((names, target)) = value.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) else {
        return line.reject(Reason::DnsmasqOption);
    };
    match meaning(option, target) {
        Ok(verdict) => {
            for name in names.split('/') {
                // A dot at the front is how older versions wrote the same thing.
                let name = name.strip_prefix('.').unwrap_or(name);
                line.offer(name, Scope::Both, verdict, Reach::Written);
            }
        }
        Err(reason) => line.reject(reason),
    }
}

/// What an option with this target says of its names.
fn meaning(option: &str, target: &str) -> Result<Verdict, Reason> {
    match option {
        "local" | "server" => match target {
            "" => Ok(Verdict::Listed),
            "#" => Ok(Verdict::Excepted),
            _ => Err(Reason::DnsmasqUpstream),
        },
        "address" if target.is_empty() || target == "#" || leads_nowhere(target) => Ok(Verdict::Listed),
        "address" => Err(Reason::DnsmasqTarget),
        _ => Err(Reason::DnsmasqOption),
    }
}

fn leads_nowhere(target: &str) -> bool {
    target.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified() || address.is_loopback())
}

/// Why a line without `=` is not dnsmasq's: unbound's configuration is what is most often mistaken for it.
fn foreign(text: &str) -> Reason {
    let unbound = ["local-zone:", "local-data:", "server:"];
    if unbound.iter().any(|key| text.starts_with(key)) { Reason::Unbound } else { Reason::DnsmasqOption }
}
