//! Equal exchanges of one interval, counted together.

use std::net::IpAddr;
use std::sync::Arc;

use ahash::AHashMap;
use namewarden_protocol::document::{Dns, Latency, ResourceRecord};

use super::clients::{Clients, Whose};
use super::digest::Digests;
use super::share::Shares;
use crate::pipeline::attribute::Attribution;
use crate::pipeline::attribute::pod::Pods;
use crate::pipeline::exchange::UnreadExchange;
use crate::pipeline::packet::{Timestamp, Transport};

/// Digests that are remembered in one interval; what goes beyond is read each time.
const DIGESTS_MAX: usize = 65_536;
/// Digests of exchanges that are equal once they are read, as those that differ in padding alone. A workload that makes up ever
/// new ones is read each time, and takes no place from others.
const VARIANTS_MAX: u32 = 16;
/// Pods that are told apart in all entries of one interval; workloads beyond stay by themselves.
const MEMBERS_MAX: usize = 262_144;

/// Equal exchanges: same clients, server, question, response code and answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// Whose they were.
    pub clients: Clients,
    /// How that was found; `None` where in several ways.
    pub attribution: Option<Attribution>,
    /// Seen at the server's socket.
    pub server_side: bool,
    /// UDP or TCP.
    pub transport: Transport,
    /// Who asked; `None` where that were several pods of one owner.
    pub client: Option<IpAddr>,
    /// Who was asked; `None` where that were several pods of one owner.
    pub server: Option<IpAddr>,
    /// What was said: without id and times to live, records of one name, type and class as one, in order.
    pub dns: Dns,
    /// Why the first of them could not be read to its end.
    pub malformed: Option<String>,
    /// How many.
    pub count: u64,
    /// Exchanges of the resolver's search list that are folded into them.
    pub folded: u64,
    /// From query to answer.
    pub latency: Option<Latency>,
    /// The first one.
    pub first_seen: Timestamp,
    /// The last one.
    pub last_seen: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    whose: Whose,
    server_side: bool,
    transport: Transport,
    client: Option<IpAddr>,
    server: Option<IpAddr>,
    dns: Arc<Dns>,
    is_malformed: bool,
}

#[derive(Debug)]
struct Entry {
    key: Key,
    clients: Clients,
    attribution: Option<Attribution>,
    malformed: Option<String>,
    variants: u32,
    count: u64,
    folded: u64,
    latency_count: u64,
    latency_sum: u64,
    latency_max: u64,
    first_seen: Timestamp,
    last_seen: Timestamp,
}

/// Everything that was counted in one interval.
#[derive(Debug, Default)]
pub(super) struct Table {
    digests: Digests,
    by_digest: AHashMap<u128, usize>,
    by_key: AHashMap<Key, usize>,
    entries: Vec<Entry>,
    /// Pods told apart, in all entries.
    members: usize,
}

/// What became of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    /// Otherwise it is one that was not met before, and no more of them may be kept.
    pub counted: bool,
    /// Whether it was parsed.
    pub parsed: bool,
    /// Whether it, or its equal, could not be read to its end.
    pub malformed: bool,
}

impl Table {
    /// Counts one exchange; `owners` knows the owners whose pods are counted together, where any are. One that was not
    /// met before takes a share of the limit. Where there is none left, what has a digest is not read: a workload whose
    /// share is used up counts as what it asked before, and costs no more than that.
    pub(super) fn count(
        &mut self,
        exchange: &UnreadExchange,
        folded: u64,
        owners: Option<&dyn Pods>,
        (shares, limit): (&mut Shares, u64),
    ) -> Taken {
        let digest = self.digests.of(exchange);
        let known = digest.and_then(|digest| self.by_digest.get(&digest));
        if let Some(entry) = known.and_then(|at| self.entries.get_mut(*at)) {
            entry.add(exchange, folded);
            return Taken { counted: true, parsed: false, malformed: entry.key.is_malformed };
        }
        let is_certain = digest.is_some() && self.by_digest.len() < DIGESTS_MAX;
        if is_certain && !shares.take(&exchange.attributed, limit, 1 + folded) {
            return Taken { counted: false, parsed: false, malformed: false };
        }
        let entry = Entry::new(exchange, folded);
        let malformed = entry.key.is_malformed;
        let entry = if self.members < MEMBERS_MAX { entry.with_owner(owners) } else { entry };
        let is_new = !self.by_key.contains_key(&entry.key);
        if is_certain && !is_new {
            shares.give_back(&exchange.attributed);
        }
        if !is_certain && is_new && !shares.take(&exchange.attributed, limit, 1 + folded) {
            return Taken { counted: false, parsed: true, malformed };
        }
        let at = self.put(entry);
        if let Some(digest) = digest.filter(|_| is_certain) {
            self.remember(digest, at);
        }
        Taken { counted: true, parsed: true, malformed }
    }

    #[cfg(test)]
    pub(super) fn digests(&self) -> usize {
        self.by_digest.len()
    }

    fn remember(&mut self, digest: u128, at: usize) {
        let Some(entry) = self.entries.get_mut(at).filter(|entry| entry.variants < VARIANTS_MAX) else {
            return;
        };
        entry.variants += 1;
        self.by_digest.insert(digest, at);
    }

    /// All that was counted, in the order of its first exchange. Pods whose owner became known meanwhile join it.
    pub(super) fn take(&mut self, owners: Option<&dyn Pods>) -> Vec<Counted> {
        self.by_digest.clear();
        self.by_key.clear();
        self.members = 0;
        for entry in std::mem::take(&mut self.entries) {
            self.put(entry.with_owner(owners));
        }
        self.by_key.clear();
        self.members = 0;
        let mut all = std::mem::take(&mut self.entries);
        all.sort_by(|one, other| one.rank().cmp(&other.rank()));
        all.into_iter().map(Counted::from).collect()
    }

    /// Puts an entry to its equals; says where.
    fn put(&mut self, entry: Entry) -> usize {
        let at = *self.by_key.entry(entry.key.clone()).or_insert(self.entries.len());
        if let Some(equal) = self.entries.get_mut(at) {
            let before = equal.clients.pods();
            equal.join(entry);
            self.members += equal.clients.pods() - before;
        } else {
            self.members += entry.clients.pods();
            self.entries.push(entry);
        }
        at
    }
}

impl Entry {
    /// Of one exchange, which is read for it.
    fn new(exchange: &UnreadExchange, folded: u64) -> Self {
        let exchange = exchange.read();
        let latency = exchange.latency();
        let clients = Clients::One(exchange.attributed.workload);
        let key = Key {
            whose: clients.whose(),
            server_side: exchange.server_side,
            transport: exchange.transport,
            client: Some(exchange.client.ip().to_canonical()),
            server: Some(exchange.server.ip().to_canonical()),
            dns: Arc::new(comparable(exchange.dns)),
            is_malformed: exchange.malformed.is_some(),
        };
        Self {
            key,
            clients,
            attribution: Some(exchange.attributed.attribution),
            malformed: exchange.malformed,
            variants: 0,
            count: 1,
            folded,
            latency_count: latency.is_some().into(),
            latency_sum: latency.unwrap_or_default(),
            latency_max: latency.unwrap_or_default(),
            first_seen: exchange.time,
            last_seen: exchange.time,
        }
    }

    /// The same, as one of its pod's owner's, where that is known. Its own address is then one of many.
    fn with_owner(mut self, owners: Option<&dyn Pods>) -> Self {
        if let Some(clients) = owners.and_then(|pods| self.clients.owned(pods)) {
            self.key.whose = clients.whose();
            *if self.key.server_side { &mut self.key.server } else { &mut self.key.client } = None;
            self.clients = clients;
        }
        self
    }

    /// One more, which need not be read.
    fn add(&mut self, exchange: &UnreadExchange, folded: u64) {
        let (time, latency) = (exchange.time, exchange.latency());
        let attribution = exchange.attributed.attribution;
        self.attribution = self.attribution.filter(|known| *known == attribution);
        self.count += 1;
        self.folded += folded;
        self.first_seen = self.first_seen.min(time);
        self.last_seen = self.last_seen.max(time);
        if let Some(latency) = latency {
            self.latency_count += 1;
            self.latency_sum = self.latency_sum.saturating_add(latency);
            self.latency_max = self.latency_max.max(latency);
        }
    }

    fn join(&mut self, other: Self) {
        self.count += other.count;
        self.folded += other.folded;
        self.first_seen = self.first_seen.min(other.first_seen);
        self.last_seen = self.last_seen.max(other.last_seen);
        self.latency_count += other.latency_count;
        self.latency_sum = self.latency_sum.saturating_add(other.latency_sum);
        self.latency_max = self.latency_max.max(other.latency_max);
        self.attribution = self.attribution.filter(|attribution| other.attribution == Some(*attribution));
        self.clients.join(other.clients);
    }

    fn rank(&self) -> (Timestamp, &Whose, &str) {
        (self.first_seen, &self.key.whose, &self.key.dns.kind)
    }
}

impl From<Entry> for Counted {
    fn from(entry: Entry) -> Self {
        let Entry { key, clients, attribution, malformed, count, folded, first_seen, last_seen, .. } = entry;
        let mean = entry.latency_sum.checked_div(entry.latency_count);
        Self {
            clients,
            attribution,
            server_side: key.server_side,
            transport: key.transport,
            client: key.client,
            server: key.server,
            dns: Arc::unwrap_or_clone(key.dns),
            malformed,
            count,
            folded,
            latency: mean.map(|mean| Latency { count: entry.latency_count, mean, max: entry.latency_max }),
            first_seen,
            last_seen,
        }
    }
}

/// Leaves out what differs between equal exchanges: id, times to live, the order that a server turns its records in.
pub(super) fn comparable(mut dns: Dns) -> Dns {
    dns.id = None;
    for section in [&mut dns.answers, &mut dns.authorities, &mut dns.additionals] {
        *section = sets(std::mem::take(section));
    }
    dns.resolved_ip.sort_unstable();
    dns
}

/// Records of one name, type and class as one, in order.
fn sets(mut records: Vec<ResourceRecord>) -> Vec<ResourceRecord> {
    for record in &mut records {
        record.ttl = None;
    }
    records.sort_unstable();
    let mut sets: Vec<ResourceRecord> = Vec::with_capacity(records.len());
    for record in records {
        match sets.last_mut() {
            Some(set) if set.is_of_set(&record) => set.data.join(record.data),
            _ => sets.push(record),
        }
    }
    sets
}
