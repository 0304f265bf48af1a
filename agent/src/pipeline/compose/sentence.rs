//! One plain sentence for a person: who, what name, which entry, which feed.
//!
//! Whatever comes from a packet, a process or a feed may hold control characters; none gets through.

use std::net::IpAddr;

use namewarden_protocol::document::{Dns, Time};
use namewarden_protocol::printable;

use crate::pipeline::attribute::pod::Pod;
use crate::pipeline::attribute::{Kind, Workload};
use crate::pipeline::dns_log::{Counted, Owned};
use crate::pipeline::exchange::Exchange;
use crate::pipeline::flood::{Report, Volume};
use crate::pipeline::matching::Finding;
use crate::pipeline::roll_up::Alert;
use crate::pipeline::screen::Section;

/// "shop/cart-7d9f (curl) asked for a.evil.example, listed as evil.example in feed urlhaus".
pub(super) fn listed(alert: &Alert, who: &str) -> String {
    let Alert { exchange, finding, .. } = alert;
    let (entry, feeds) = (&finding.entry, feeds(finding));
    let unchecked = match exchange.unchecked_names {
        0 => String::new(),
        1 => "; one further name of this message was not looked up".to_owned(),
        names => format!("; {names} further names of this message were not looked up"),
    };
    let (subject, did) = (subject(exchange, who), did(exchange, finding));
    printable(&format!("{subject} {did}, listed as {entry} in {feeds}{unchecked}"))
}

/// "container 3f1c2b9d8e7a met evil.example, listed in feed urlhaus, 41 more times": by this or another name below it.
pub(super) fn repeated(alert: &Alert, who: &str) -> String {
    let finding = &alert.finding;
    let times = match alert.count {
        // Nothing but the first sighting's answer came.
        0 => return listed(alert, who),
        1 => "once more".to_owned(),
        count => format!("{count} more times"),
    };
    printable(&format!("{who} met {}, listed in {}, {times}", finding.entry, feeds(finding)))
}

/// "nginx.service reached the limit of 100 listed names: 4711 further sightings were left out".
pub(super) fn left_out(alert: &Alert, limit: u64, who: &str) -> String {
    let sightings = if alert.count == 1 { "sighting was" } else { "sightings were" };
    printable(&format!(
        "{who} reached the limit of {limit} listed names: {} further {sightings} left out",
        alert.count
    ))
}

/// "nothing was captured from … to …: the agent was restarted".
pub(super) fn gap(start: Time, end: Time, reason: &str) -> String {
    printable(&format!("nothing was captured from {start} to {end}: {reason}"))
}

/// "container 3f1c2b9d8e7a floods: 4711 packets (3.2 MB) beyond its capture budget were counted, not read".
pub(super) fn flood(report: &Report, who: &str) -> String {
    let Volume { packets, bytes } = report.uncaptured;
    let (floods, more) = if report.goes_on { ("flooded on", "more ") } else { ("floods", "") };
    let (s, were) = if packets == 1 { ("", "was") } else { ("s", "were") };
    printable(&format!(
        "{who} {floods}: {packets} {more}packet{s} ({}) beyond its capture budget {were} counted, not read",
        size(bytes)
    ))
}

/// Bytes with at most one digit behind the point.
fn size(bytes: u64) -> String {
    let (unit, word) = match bytes {
        1_000_000_000.. => (1_000_000_000, "GB"),
        1_000_000.. => (1_000_000, "MB"),
        1_000.. => (1_000, "kB"),
        _ => return format!("{bytes} B"),
    };
    format!("{}.{} {word}", bytes / unit, bytes % unit * 10 / unit)
}

/// "container 3f1c2b9d8e7a (curl) asked 10.0.0.53 for www.example (A): NOERROR".
pub(super) fn exchange(exchange: &Exchange, folded: u64, who: &str) -> String {
    let deed = if exchange.server_side {
        was_asked(exchange.client.ip())
    } else {
        format!("asked {}", exchange.server.ip().to_canonical())
    };
    log(&format!("{} {deed}", subject(exchange, who)), &exchange.dns, 1, folded)
}

/// "container 3f1c2b9d8e7a asked 10.0.0.53 for www.example (A) 12 times: NOERROR".
pub(super) fn counted(counted: &Counted, who: &str) -> String {
    let deed = match (counted.server_side, counted.client, counted.server) {
        (true, Some(client), _) => was_asked(client),
        (true, None, _) => "was asked".to_owned(),
        (false, _, Some(server)) => format!("asked {}", server.to_canonical()),
        (false, _, None) => "asked".to_owned(),
    };
    log(&format!("{who} {deed}"), &counted.dns, counted.count, counted.folded)
}

/// "Deployment shop/cart (3 pods)".
pub(super) fn owned(owned: &Owned) -> String {
    let Owned { namespace, owner, pods, .. } = owned;
    let s = if pods.len() == 1 { "" } else { "s" };
    format!("{} {namespace}/{} ({} pod{s})", owner.kind, owner.name, pods.len())
}

/// "12 exchanges of container 3f1c2b9d8e7a were not logged: its share of the limit of 1000 documents an interval is used up".
pub(super) fn unlogged(who: Option<String>, count: u64, limit: u64) -> String {
    let exchanges = if count == 1 { "exchange" } else { "exchanges" };
    let were = if count == 1 { "was" } else { "were" };
    let (whose, share) = match who {
        Some(who) => (who, "its share"),
        None => ("other workloads".to_owned(), "their share"),
    };
    printable(&format!(
        "{count} {exchanges} of {whose} {were} not logged: {share} of the limit of {limit} documents an interval is used up"
    ))
}

fn was_asked(client: IpAddr) -> String {
    format!("was asked by {}", client.to_canonical())
}

fn log(deed: &str, dns: &Dns, count: u64, folded: u64) -> String {
    let asked = match &dns.question {
        Some(question) => format!("{} ({})", question.name, question.kind),
        None => "what cannot be read".to_owned(),
    };
    let again = if count == 1 { String::new() } else { format!(" {count} times") };
    let outcome = dns.response_code.as_deref().unwrap_or("no answer");
    let noise = match folded {
        0 => String::new(),
        1 => " (after 1 name of the search list)".to_owned(),
        names => format!(" (after {names} names of the search list)"),
    };
    printable(&format!("{deed} for {asked}{again}: {outcome}{noise}"))
}

/// Workload and process.
fn subject(exchange: &Exchange, who: &str) -> String {
    let process = &exchange.attributed.process;
    let name = match (&process.name, &process.thread_name) {
        (Some(name), _) => format!(" ({name})"),
        (None, Some(thread)) => format!(" (thread {thread})"),
        (None, None) => String::new(),
    };
    who.to_owned() + &name
}

/// The pod by its names where they are known: "shop/cart-7d9f", else "container 3f1c2b9d8e7a".
pub(super) fn who(workload: &Workload, pod: Option<&Pod>) -> String {
    if let Some(pod) = pod {
        return pod.label();
    }
    match workload.kind() {
        Kind::Container => format!("container {}", workload.label()),
        Kind::Pod => format!("pod {}", workload.label()),
        Kind::Host => "the host".to_owned(),
        Kind::Unit if workload.unit.is_none() => format!("cgroup {}", workload.label()),
        Kind::Unit | Kind::Address => workload.label(),
        Kind::Unknown => "an unknown workload".to_owned(),
    }
}

fn did(exchange: &Exchange, finding: &Finding) -> String {
    let (name, client) = (&finding.name, exchange.client.ip());
    // What an UPDATE or a NOTIFY names, nobody asked for.
    if exchange.dns.op_code != "QUERY" {
        return format!("exchanged {} naming {name}", exchange.dns.op_code);
    }
    match (finding.place.section == Section::Question, exchange.server_side) {
        (true, false) => return format!("asked for {name}"),
        (true, true) => return format!("{} for {name}", was_asked(client)),
        _ => {}
    }
    let deed = match (exchange.server_side, exchange.is_answered()) {
        (false, true) => format!("was answered with {name}"),
        (false, false) => format!("asked with {name}"),
        (true, true) => format!("answered {} with {name}", client.to_canonical()),
        (true, false) => format!("{} with {name}", was_asked(client)),
    };
    match exchange.name() {
        "" => deed,
        asked => format!("{deed} for {asked}"),
    }
}

fn feeds(finding: &Finding) -> String {
    super::threat(finding).feed.phrase()
}
