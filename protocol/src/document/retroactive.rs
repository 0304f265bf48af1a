//! A stored DNS log and an entry that was listed later -> the alert that the agent would have raised.
//!
//! Its `_id` and group are those that an agent gives the same workload, entry and hour, so that what alerted already does
//! not alert a second time.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::ecs::Owner;
use super::threat::ListedBy;
use super::{Action, Agent, DataStream, Document, Event, Facts, Kubernetes, Set, Text, Threat, Time, id};
use crate::entry::Scope;
use crate::printable;

/// A name in a document, and where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'d> {
    /// In presentation format, without the final dot; data of a few types keeps its case.
    pub name: &'d str,
    /// `dns.question.name`, `dns.answers.data`, ...
    pub field: &'static str,
    /// Type of its record, where it is not the question.
    pub record_type: Option<&'d str>,
}

/// What lists a name.
#[derive(Clone, Debug)]
pub struct Listed<'d> {
    /// The name.
    pub named: Named<'d>,
    /// The entry: the name, or the end of it.
    pub entry: &'d str,
    /// Which names the entry speaks of, as the first feed has it.
    pub scope: Scope,
    /// The feeds that list the entry.
    pub feeds: Vec<ListedBy<'d>>,
    /// The set that says so.
    pub set: Set,
}

/// Who makes retroactive alerts, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// One run of the controller.
    pub instance: String,
    /// The controller's version.
    pub version: String,
    /// Now.
    pub created: Time,
}

/// The names of a DNS log that an agent looks up too, in the order of the message.
pub fn names(log: &Document) -> Vec<Named<'_>> {
    let Some(dns) = &log.dns else { return Vec::new() };
    let asked = dns.question.iter().map(|question| Named {
        name: &question.name,
        field: "dns.question.name",
        record_type: None,
    });
    let mut names: Vec<_> = asked.collect();
    let sections = [
        (&dns.answers, "dns.answers.name", "dns.answers.data"),
        (&dns.authorities, "dns.authorities.name", "dns.authorities.data"),
        (&dns.additionals, "dns.additionals.name", "dns.additionals.data"),
    ];
    for (records, owner, data) in sections {
        for record in records {
            let record_type = Some(&*record.kind);
            names.push(Named { name: &record.name, field: owner, record_type });
            let in_data = record.data.all().iter().flat_map(|data| in_data(&record.kind, data));
            names.extend(in_data.map(|name| Named { name, field: data, record_type }));
        }
    }
    names
}

/// The names in a record's data, by its type: those that the agent's screen looks up.
fn in_data<'d>(kind: &str, data: &'d str) -> Vec<&'d str> {
    let (skip, count) = match kind {
        // RFC 1035, RFC 1706, RFC 6672.
        "NS" | "MD" | "MF" | "CNAME" | "MB" | "MG" | "MR" | "PTR" | "NSAP-PTR" | "DNAME" => (0, 1),
        // RFC 1035, RFC 1183.
        "SOA" | "MINFO" | "RP" | "TALINK" => (0, 2),
        // RFC 1035, RFC 1183, RFC 2230, RFC 9460, RFC 6742: a preference first.
        "MX" | "AFSDB" | "RT" | "KX" | "SVCB" | "HTTPS" | "LP" => (1, 1),
        // RFC 2163.
        "PX" => (1, 2),
        // RFC 2782: priority, weight, port.
        "SRV" => (3, 1),
        // RFC 3403: the name is the last of all; texts before it may hold spaces.
        "NAPTR" => return data.rsplit(' ').take(1).collect(),
        _ => return Vec::new(),
    };
    data.split(' ').skip(skip).take(count).collect()
}

/// A name as a threat set is asked for it, in lower case: `\046` for a dot inside a label, so that it parts nothing.
pub fn key(name: &str) -> Cow<'_, str> {
    if !name.contains('\\') && !name.contains(|character: char| character.is_ascii_uppercase()) {
        return Cow::Borrowed(name);
    }
    let (mut key, mut characters) = (String::with_capacity(name.len()), name.chars().peekable());
    while let Some(character) = characters.next() {
        let escaped = characters.peek().copied().filter(|_| character == '\\');
        match escaped {
            Some(next) if !next.is_ascii_digit() => {
                let next = next.to_ascii_lowercase();
                characters.next();
                // Writing to a string cannot fail.
                let _ = write!(key, "\\{:03}", u32::from(next));
            }
            _ => key.push(character.to_ascii_lowercase()),
        }
    }
    Cow::Owned(key)
}

/// The alert.
pub fn alert(log: &Document, listed: &Listed<'_>, author: &Author) -> Document {
    let threat =
        Threat::new(listed.entry, listed.named.name, listed.named.field, listed.feeds.iter().copied());
    let group = group(log, listed.entry);
    let mut event = Event::new(Action::ListedName, group.clone(), author.created);
    event.outcome.clone_from(&log.event.outcome);
    event.severity = listed.feeds.iter().map(|feed| feed.severity).max();
    (event.start, event.end) = (log.event.start.or(Some(log.timestamp)), log.event.end);
    event.duration = log.event.duration;
    let is_exact = listed.entry == listed.named.name;
    let namewarden = Facts {
        scope: Some(listed.scope),
        matched: Some(Text::Borrowed(if is_exact { "exact" } else { "subdomain" })),
        record_type: listed.named.record_type.map(|kind| Text::Owned(kind.to_owned())),
        set: Some(listed.set.clone()),
        group: Some(group),
        count: Some(log.namewarden.count.unwrap_or(1)),
        first_seen: Some(log.timestamp),
        last_seen: Some(log.event.end.filter(|_| is_counted(log)).unwrap_or(log.timestamp)),
        retroactive: Some(true),
        latency: None,
        limit: None,
        ..log.namewarden.clone()
    };
    let mut document = Document {
        message: sentence(log, listed, &threat),
        event,
        namewarden,
        threat: Some(threat),
        data_stream: DataStream::of(Action::ListedName, &log.data_stream.namespace),
        agent: Agent {
            kind: Text::Borrowed("namewarden-controller"),
            id: author.instance.clone(),
            version: author.version.clone(),
        },
        ..log.clone()
    };
    if let Some(related) = &mut document.related
        && !related.hosts.iter().any(|host| host == listed.named.name)
    {
        related.hosts.push(listed.named.name.to_owned());
    }
    document
}

/// Takes in what another log of the same group says: there is one alert for all of them.
pub fn merge(alert: &mut Document, other: &Document) {
    let (mine, others) = (&mut alert.namewarden, &other.namewarden);
    mine.count = Some(mine.count.unwrap_or(1).saturating_add(others.count.unwrap_or(1)));
    mine.first_seen = mine.first_seen.min(others.first_seen);
    mine.last_seen = mine.last_seen.max(others.last_seen);
    alert.timestamp = alert.timestamp.min(other.timestamp);
    alert.event.start = alert.event.start.min(other.event.start);
    alert.event.end = alert.event.end.max(other.event.end);
}

/// Whether a log stands for several exchanges, from its first to its last.
fn is_counted(log: &Document) -> bool {
    log.namewarden.count.is_some_and(|count| count > 1)
}

/// "shop/cart-7d9f (curl) asked for a.evil.example, which was listed later as evil.example in feed urlhaus".
fn sentence(log: &Document, listed: &Listed<'_>, threat: &Threat) -> String {
    let asked = log.dns.as_ref().and_then(|dns| dns.question.as_ref()).map(|question| question.name.as_str());
    let is_server = log.namewarden.side.is_some();
    let (who, name) = (who(log), listed.named.name);
    let deed = match (listed.named.record_type, is_server, asked) {
        (None, false, _) => format!("asked for {name}"),
        (None, true, _) => format!("was asked for {name}"),
        (Some(_), _, Some(asked)) if is_server => format!("answered with {name} for {asked}"),
        (Some(_), _, Some(asked)) => format!("was answered with {name} for {asked}"),
        (Some(_), _, None) => format!("met {name}"),
    };
    let (entry, feeds) = (listed.entry, threat.feed.phrase());
    printable(&format!("{who} {deed}, which was listed later as {entry} in {feeds}"))
}

/// The workload as the agent's sentences call it, and the process.
fn who(log: &Document) -> String {
    let kubernetes = log.kubernetes.as_ref();
    let pod = kubernetes.and_then(|kubernetes| kubernetes.pod.as_ref());
    let named = kubernetes.and_then(named);
    let container = || {
        let id = log.container.as_ref().map(|container| container.id.chars().take(12).collect::<String>());
        id.map(|id| format!("container {id}"))
    };
    let of_pod = || pod.map(|pod| format!("pod {}", pod.uid));
    let unit = || log.service.as_ref().map(|service| service.name.clone());
    let host = || log.namewarden.cgroup.as_deref().filter(|path| *path == "/").map(|_| "the host".to_owned());
    let cgroup = || log.namewarden.cgroup.as_ref().map(|path| format!("cgroup {path}"));
    let address = || own_address(log).map(|address| address.to_string());
    let found =
        named.or_else(container).or_else(of_pod).or_else(unit).or_else(host).or_else(cgroup).or_else(address);
    let who = found.unwrap_or_else(|| "an unknown workload".to_owned());
    match log.process.as_ref().and_then(|process| process.name.as_ref()) {
        Some(process) => format!("{who} ({process})"),
        None => who,
    }
}

/// A pod by its name, else what owns the pods that are counted together.
fn named(kubernetes: &Kubernetes) -> Option<String> {
    let namespace = kubernetes.namespace.as_ref()?;
    match (&kubernetes.pod, &kubernetes.owner) {
        (Some(pod), _) => Some(format!("{namespace}/{}", pod.name.as_ref()?)),
        (None, Some(Owner { kind, name })) => Some(format!("{kind} {namespace}/{name}")),
        (None, None) => None,
    }
}

/// The group that an agent gives workload, entry and hour.
fn group(log: &Document, entry: &str) -> String {
    let mut workload = workload(log);
    if log.namewarden.side.is_some() {
        workload.push_str("#server");
    }
    let length = u64::try_from(id::WINDOW.as_nanos()).unwrap_or(u64::MAX);
    id::group(&log.orchestrator.cluster.name, &workload, entry, log.timestamp.0 / length)
}

/// What tells a document's workload from all others of the cluster, as agents name it in the groups of their alerts.
pub fn workload(document: &Document) -> String {
    if let Some(container) = &document.container {
        return format!("container/{}", container.id);
    }
    if let Some(kubernetes) = &document.kubernetes {
        match (&kubernetes.pod, &kubernetes.owner) {
            (Some(pod), _) => return format!("pod/{}", pod.uid),
            // Counted together: no agent alerts of an owner, so that no group of an agent's can be met.
            (None, Some(Owner { kind, name })) => {
                let namespace = kubernetes.namespace.as_deref().unwrap_or_default();
                return format!("owner/{namespace}/{kind}/{name}");
            }
            (None, None) => {}
        }
    }
    let of_node = match (&document.namewarden.cgroup, own_address(document)) {
        (Some(path), _) if path == "/" => "host".to_owned(),
        (Some(path), _) => format!("unit/{}", unit(path, document)),
        (None, Some(address)) if document.namewarden.attribution.as_deref() != Some("none") => {
            format!("address/{address}")
        }
        (None, _) => "unknown".to_owned(),
    };
    format!("node/{}/{of_node}", document.host.name)
}

/// The path up to and with the unit's segment: two users' units of one name differ.
fn unit<'d>(path: &'d str, document: &Document) -> &'d str {
    let path = path.trim_start_matches('/');
    let Some(service) = &document.service else { return path };
    match path.rfind(&service.name) {
        Some(start) => path.get(..start + service.name.len()).unwrap_or(path),
        None => path,
    }
}

/// The workload's own address.
fn own_address(document: &Document) -> Option<std::net::IpAddr> {
    let end = if document.namewarden.side.is_some() { document.server } else { document.client };
    end.map(|end| end.ip)
}

#[cfg(test)]
mod tests;
