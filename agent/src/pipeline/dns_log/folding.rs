//! The noise of a resolver's search list: names that nobody meant, folded into the log of the one that was.
//!
//! With `search shop.svc.cluster.local svc.cluster.local cluster.local` and `ndots:5` a program that wants `api.example.com` asks
//! for three names that do not exist first. A name is such an expansion only where all of this holds: it ends in `DOMAIN`,
//! `svc.DOMAIN` or `NAMESPACE.svc.DOMAIN` of a domain that the operator names (the namespace is the pod's, where that is known);
//! it does not exist; and soon after, the same workload's query of the same type for the name without that ending, or with
//! one that stands later in this list, is answered (with an ending: NOERROR). Everything else is logged by itself.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ahash::AHashMap;

use super::choice::{Suffixes, parents};
use crate::pipeline::attribute::pod::Pods;
use crate::pipeline::exchange::UnreadExchange;
use crate::pipeline::packet::Timestamp;

/// Exchanges that are held at most; then the oldest is logged by itself.
const HELD_MAX: usize = 8_192;
/// Their bytes at most.
const BYTES_MAX: usize = 8 << 20;
/// Of one workload and type.
const SAME_MAX: usize = 64;

const NOERROR: u8 = 0;
const NXDOMAIN: u8 = 3;

/// Endings of a search list, in its order: `NAMESPACE.svc.DOMAIN`, `svc.DOMAIN`, `DOMAIN`, and none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Namespace,
    Service,
    Domain,
    None,
}

/// A way to read a name: what was meant, and the ending that the resolver put behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reading<'n> {
    meant: &'n [u8],
    ending: Ending,
    /// The domain of the ending; empty where there is none.
    domain: &'n [u8],
}

/// A reading by where its parts are in its name: taken apart once, asked with each answer that comes.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Bytes of what was meant, from the start.
    meant: usize,
    ending: Ending,
    /// Where the domain begins.
    domain: usize,
}

impl Place {
    fn of(reading: &Reading<'_>, name: &[u8]) -> Self {
        let Reading { meant, ending, domain } = reading;
        Self { meant: meant.len(), ending: *ending, domain: name.len() - domain.len() }
    }

    fn reading<'n>(&self, name: &'n [u8]) -> Option<Reading<'n>> {
        let (meant, domain) = (name.get(..self.meant)?, name.get(self.domain..)?);
        Some(Reading { meant, ending: self.ending, domain })
    }
}

/// Workload, and type and class asked for.
type Key = (Arc<str>, [u8; 4]);

#[derive(Debug)]
struct Held {
    exchange: UnreadExchange,
    name: Vec<u8>,
    /// Without those that are not this pod's own.
    readings: Vec<Place>,
    key: Key,
}

impl Held {
    /// Bytes that it takes.
    fn size(&self) -> usize {
        self.exchange.size() + self.name.len()
    }
}

/// What becomes of an exchange.
pub(super) enum Next {
    /// It is logged, with so many that are folded into it.
    Log(UnreadExchange, u64),
    /// It is held until it shows what was meant; these made room for it, and are logged by themselves.
    Held(Vec<UnreadExchange>),
}

/// Exchanges that may be expansions of a name that is asked for next.
#[derive(Debug, Default)]
pub(super) struct Folding {
    held: BTreeMap<u64, Held>,
    numbers: AHashMap<Key, VecDeque<u64>>,
    next: u64,
    bytes: usize,
}

impl Folding {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Takes one exchange that is complete.
    pub(super) fn take(&mut self, exchange: UnreadExchange, domains: &Suffixes, pods: &dyn Pods) -> Next {
        let (Some(name), Some(kind), Some(code)) =
            (exchange.name(), exchange.kind_asked(), exchange.response_code())
        else {
            return Next::Log(exchange, 0);
        };
        let readings: Vec<_> = readings(&name, domains).collect();
        let is_whole = readings.iter().all(|reading| reading.ending == Ending::None);
        if exchange.server_side || !(code == NOERROR || code == NXDOMAIN) {
            return Next::Log(exchange, 0);
        }
        let key: Key = (Arc::from(exchange.attributed.workload.key()), kind);
        if code == NOERROR || is_whole {
            let folded = self.fold(&key, exchange.time, &readings);
            return Next::Log(exchange, folded);
        }
        let is_foreign = is_foreign(&exchange, &name, &readings, pods);
        let own = readings.iter().filter(|one| !(is_foreign && one.ending == Ending::Namespace));
        let readings = own.map(|one| Place::of(one, &name)).collect();
        Next::Held(self.hold(Held { exchange, name, readings, key }))
    }

    /// The oldest one that is held, if its time is up.
    pub(super) fn pop_if(&mut self, is_up: impl Fn(Timestamp) -> bool) -> Option<UnreadExchange> {
        let (number, held) = self.held.first_key_value()?;
        let since = held.exchange.answered.unwrap_or(held.exchange.time);
        if is_up(since) { self.remove(*number) } else { None }
    }

    fn hold(&mut self, held: Held) -> Vec<UnreadExchange> {
        let numbers = self.numbers.entry(held.key.clone()).or_default();
        let oldest_of_key = if numbers.len() >= SAME_MAX { numbers.front().copied() } else { None };
        numbers.push_back(self.next);
        self.bytes += held.size();
        self.held.insert(self.next, held);
        self.next += 1;
        let mut out: Vec<_> = oldest_of_key.and_then(|number| self.remove(number)).into_iter().collect();
        while self.held.len() > HELD_MAX || self.bytes > BYTES_MAX {
            let oldest = self.held.keys().next().copied();
            let Some(oldest) = oldest.and_then(|number| self.remove(number)) else { break };
            out.push(oldest);
        }
        out
    }

    fn remove(&mut self, number: u64) -> Option<UnreadExchange> {
        let held = self.held.remove(&number)?;
        self.bytes -= held.size();
        if let Some(numbers) = self.numbers.get_mut(&held.key) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.numbers.remove(&held.key);
            }
        }
        Some(held.exchange)
    }

    /// Folds what is held and was an expansion of a name that was asked for at that time; says how many.
    fn fold(&mut self, key: &Key, asked: Timestamp, readings: &[Reading<'_>]) -> u64 {
        let Some(numbers) = self.numbers.get(key) else { return 0 };
        let precedes = |number: &&u64| {
            self.held.get(number).is_some_and(|held| {
                held.exchange.time <= asked
                    && held
                        .readings
                        .iter()
                        .filter_map(|place| place.reading(&held.name))
                        .any(|one| readings.iter().any(|other| is_before(&one, other)))
            })
        };
        let folded: Vec<u64> = numbers.iter().filter(precedes).copied().collect();
        folded.into_iter().filter_map(|number| self.remove(number)).count() as u64
    }
}

/// Whether a resolver that looks for one name asks in this way before it asks in the other.
fn is_before(one: &Reading<'_>, other: &Reading<'_>) -> bool {
    one.ending < other.ending
        && one.meant == other.meant
        && (other.ending == Ending::None || one.domain == other.domain)
}

/// Every way to read a name; what is meant has one label at least.
fn readings<'n>(name: &'n [u8], domains: &'n Suffixes) -> impl Iterator<Item = Reading<'n>> {
    let meant = move |rest: &[u8]| name.get(..name.len() - rest.len()).filter(|meant| !meant.is_empty());
    let domain = parents(name).find(|parent| domains.hold(parent));
    let with_endings = domain.into_iter().flat_map(move |domain| {
        let service = parents(name).find(|parent| parent.strip_prefix(b"\x03svc") == Some(domain));
        let is_above = move |parent: &&[u8]| service.is_some() && label_behind(parent) == service;
        let namespace = service.and_then(|_| parents(name).find(is_above));
        [(Ending::Namespace, namespace), (Ending::Service, service), (Ending::Domain, Some(domain))]
            .into_iter()
            .filter_map(move |(ending, rest)| Some(Reading { meant: meant(rest?)?, ending, domain }))
    });
    let whole = meant(name.get(name.len().saturating_sub(1)..).unwrap_or_default());
    with_endings.chain(whole.map(|meant| Reading { meant, ending: Ending::None, domain: &[] }))
}

/// What stands behind the first label.
fn label_behind(name: &[u8]) -> Option<&[u8]> {
    parents(name).nth(1)
}

/// Whether the namespace that a name may have been looked for in is known not to be the workload's.
fn is_foreign(exchange: &UnreadExchange, name: &[u8], readings: &[Reading<'_>], pods: &dyn Pods) -> bool {
    let namespaced = readings.iter().find(|reading| reading.ending == Ending::Namespace);
    let label = namespaced.and_then(|reading| {
        let (length, rest) = name.get(reading.meant.len()..)?.split_first()?;
        rest.get(..usize::from(*length))
    });
    let pod = exchange.attributed.workload.pod_uid.as_deref().and_then(|uid| pods.pod(uid));
    label.zip(pod).is_some_and(|(label, pod)| label != pod.namespace.as_bytes())
}

#[cfg(test)]
mod tests;
