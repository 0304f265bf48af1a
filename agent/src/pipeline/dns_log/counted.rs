//! Equal exchanges of one interval, counted together.

use std::net::IpAddr;
use std::sync::Arc;

use ahash::AHashMap;
use namewarden_protocol::document::{Dns, Latency};

use crate::pipeline::attribute::{Attributed, Attribution, Workload};
use crate::pipeline::exchange::Exchange;
use crate::pipeline::packet::{Timestamp, Transport};

/// Equal exchanges: same workload, server, question, response code and answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// Whose they were.
    pub workload: Arc<Workload>,
    /// How that was found.
    pub attribution: Attribution,
    /// Seen at the server's socket.
    pub server_side: bool,
    /// UDP or TCP.
    pub transport: Transport,
    /// Who asked.
    pub client: IpAddr,
    /// Who was asked.
    pub server: IpAddr,
    /// What was said: without id and times to live, records in order.
    pub dns: Dns,
    /// Why the first of them could not be read to its end.
    pub malformed: Option<String>,
    /// How many.
    pub count: u64,
    /// From query to answer.
    pub latency: Option<Latency>,
    /// The first one.
    pub first_seen: Timestamp,
    /// The last one.
    pub last_seen: Timestamp,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    workload: Arc<str>,
    server_side: bool,
    transport: Transport,
    client: IpAddr,
    server: IpAddr,
    dns: Dns,
    is_malformed: bool,
}

#[derive(Debug)]
struct Entry {
    workload: Arc<Workload>,
    attribution: Attribution,
    malformed: Option<String>,
    count: u64,
    latency_count: u64,
    latency_sum: u64,
    latency_max: u64,
    first_seen: Timestamp,
    last_seen: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    entries: AHashMap<Key, Entry>,
}

impl Table {
    /// Counts one exchange; false where it is one that was not met before, and no more of them may be kept.
    pub(super) fn count(&mut self, exchange: Exchange, may: impl FnOnce(&Attributed) -> bool) -> bool {
        let latency = exchange.latency();
        let time = exchange.time;
        let attributed = exchange.attributed;
        let key = Key {
            workload: Arc::from(attributed.workload.key()),
            server_side: exchange.server_side,
            transport: exchange.transport,
            client: exchange.client.ip().to_canonical(),
            server: exchange.server.ip().to_canonical(),
            dns: comparable(exchange.dns),
            is_malformed: exchange.malformed.is_some(),
        };
        if !self.entries.contains_key(&key) && !may(&attributed) {
            return false;
        }
        let entry = self.entries.entry(key).or_insert_with(|| Entry {
            workload: attributed.workload,
            attribution: attributed.attribution,
            malformed: exchange.malformed,
            count: 0,
            latency_count: 0,
            latency_sum: 0,
            latency_max: 0,
            first_seen: time,
            last_seen: time,
        });
        entry.add(time, latency);
        true
    }

    /// All that was counted, in the order of its first exchange.
    pub(super) fn take(&mut self) -> Vec<Counted> {
        let mut all: Vec<_> = self.entries.drain().map(|(key, entry)| counted(key, entry)).collect();
        all.sort_by(|one, other| {
            (one.first_seen, one.workload.key(), &one.dns.kind).cmp(&(
                other.first_seen,
                other.workload.key(),
                &other.dns.kind,
            ))
        });
        all
    }
}

impl Entry {
    fn add(&mut self, time: Timestamp, latency: Option<u64>) {
        self.count += 1;
        self.first_seen = self.first_seen.min(time);
        self.last_seen = self.last_seen.max(time);
        if let Some(latency) = latency {
            self.latency_count += 1;
            self.latency_sum = self.latency_sum.saturating_add(latency);
            self.latency_max = self.latency_max.max(latency);
        }
    }
}

fn counted(key: Key, entry: Entry) -> Counted {
    let mean = entry.latency_sum.checked_div(entry.latency_count);
    Counted {
        workload: entry.workload,
        attribution: entry.attribution,
        server_side: key.server_side,
        transport: key.transport,
        client: key.client,
        server: key.server,
        dns: key.dns,
        malformed: entry.malformed,
        count: entry.count,
        latency: mean.map(|mean| Latency { count: entry.latency_count, mean, max: entry.latency_max }),
        first_seen: entry.first_seen,
        last_seen: entry.last_seen,
    }
}

/// Leaves out what differs between equal exchanges: id, times to live, the order that a server turns its records in.
fn comparable(mut dns: Dns) -> Dns {
    dns.id = None;
    for section in [&mut dns.answers, &mut dns.authorities, &mut dns.additionals] {
        for record in &mut *section {
            record.ttl = None;
        }
        section.sort_by(|one, other| {
            (&one.name, &one.kind, &one.class, &one.data).cmp(&(
                &other.name,
                &other.kind,
                &other.class,
                &other.data,
            ))
        });
    }
    dns.resolved_ip.sort_unstable();
    dns
}
