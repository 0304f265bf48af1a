//! How many listed names one workload met in one window, and what was left out beyond its limit.

use std::collections::VecDeque;
use std::sync::Arc;

use ahash::AHashMap;

use super::group::{self, Awaited};
use super::{Alert, CLOSED_MAX, Saying, Settings, Sighting, Turn, is_over, next};
use crate::pipeline::exchange::Exchange;
use crate::pipeline::matching::Finding;
use crate::pipeline::numbering::Numbering;
use crate::pipeline::packet::Timestamp;

/// Left-out queries whose answers are awaited.
const AWAITED_MAX: usize = 256;

/// What a sighting that would open a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It may.
    Within,
    /// It may not: the limit is reached.
    Beyond,
    /// The answer of a query that was left out.
    Answer,
}

/// Where what is to be said becomes ready, and what is needed to say it.
pub(super) struct Outlet<'o> {
    pub(super) settings: &'o Settings,
    pub(super) numbering: &'o mut Numbering,
    pub(super) ready: &'o mut Vec<Alert>,
}

/// The limits of all workloads.
#[derive(Debug, Default)]
pub(super) struct Limits {
    of: AHashMap<Arc<str>, Limit>,
    opened: VecDeque<Turn>,
}

impl Limits {
    /// Counts one listed name of a workload, or leaves it out; what is to be said of that becomes ready.
    pub(super) fn take(&mut self, sighting: &Sighting, identity: u64, outlet: &mut Outlet<'_>) -> Taken {
        let settings = outlet.settings;
        let time = sighting.exchange.time;
        let key: Arc<str> = Arc::from(sighting.exchange.attributed.workload.key());
        if self.of.get(&key).is_some_and(|limit| is_over(limit.opened, settings.window, time)) {
            self.close(&key, time, outlet);
        }
        if !self.of.contains_key(&key) {
            self.make_room(time, outlet);
            self.opened.push_back((time, key.clone()));
        }
        let name = || group::limit_name(settings, &sighting.exchange);
        let limit = self.of.entry(key).or_insert_with(|| Limit::new(name(), time));
        let taken = limit.take(settings.names_per_workload, sighting, identity);
        if taken == Taken::Beyond {
            limit.say_first(time, outlet);
        }
        taken
    }

    /// Closes the windows that are over.
    pub(super) fn close_over(&mut self, now: Timestamp, outlet: &mut Outlet<'_>) {
        let window = outlet.settings.window;
        let mut closed = 0;
        while closed < CLOSED_MAX
            && let Some((opened, key)) = next(&mut self.opened, |opened| is_over(opened, window, now))
        {
            if self.is_open(opened, &key) {
                self.close(&key, now, outlet);
                closed += 1;
            }
        }
    }

    /// Closes all windows.
    pub(super) fn close_all(&mut self, now: Timestamp, outlet: &mut Outlet<'_>) {
        for (_, key) in std::mem::take(&mut self.opened) {
            self.close(&key, now, outlet);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    fn make_room(&mut self, now: Timestamp, outlet: &mut Outlet<'_>) {
        while self.of.len() >= outlet.settings.workloads_max.max(1)
            && let Some((opened, oldest)) = self.opened.pop_front()
        {
            if self.is_open(opened, &oldest) {
                self.close(&oldest, now, outlet);
            }
        }
    }

    fn is_open(&self, opened: Timestamp, key: &str) -> bool {
        self.of.get(key).is_some_and(|limit| limit.opened == opened)
    }

    fn close(&mut self, key: &str, now: Timestamp, outlet: &mut Outlet<'_>) {
        if let Some(mut limit) = self.of.remove(key) {
            limit.say(now, outlet);
        }
    }
}

#[derive(Debug)]
struct Limit {
    opened: Timestamp,
    name: String,
    names: u64,
    awaited: Awaited,
    /// Left out since the last document.
    left_out: u64,
    first_seen: Timestamp,
    last_seen: Timestamp,
    /// What the first left-out sighting was; kept for the documents.
    example: Option<(Arc<Exchange>, Arc<Finding>)>,
    /// Whether a document said that the limit is reached.
    said: bool,
}

impl Limit {
    fn new(name: String, opened: Timestamp) -> Self {
        Self {
            opened,
            name,
            names: 0,
            awaited: Awaited::default(),
            left_out: 0,
            first_seen: opened,
            last_seen: opened,
            example: None,
            said: false,
        }
    }

    /// Counts one listed name, or leaves it out.
    fn take(&mut self, most: u64, sighting: &Sighting, identity: u64) -> Taken {
        if self.names < most {
            self.names += 1;
            return Taken::Within;
        }
        // The awaited hash holds the name asked for, not the entry: one more entry in an answer is a sighting.
        let identity = identity ^ entry_hash(&sighting.finding.entry);
        if sighting.exchange.is_answered() {
            if self.awaited.take(identity) {
                return Taken::Answer;
            }
        } else {
            self.awaited.push(identity, AWAITED_MAX);
        }
        if self.left_out == 0 {
            self.first_seen = sighting.exchange.time;
        }
        self.left_out += 1;
        self.last_seen = sighting.exchange.time;
        self.example.get_or_insert_with(|| {
            let exchange = Exchange::clone(&sighting.exchange).without_records();
            (Arc::new(exchange), Arc::new(sighting.finding.clone()))
        });
        Taken::Beyond
    }

    /// Says at once that the limit is reached; once.
    fn say_first(&mut self, created: Timestamp, outlet: &mut Outlet<'_>) {
        if !self.said {
            self.say(created, outlet);
        }
    }

    /// Says how many were left out since the last document, if any.
    fn say(&mut self, created: Timestamp, outlet: &mut Outlet<'_>) {
        let Some((exchange, finding)) = self.example.clone().filter(|_| self.left_out > 0) else { return };
        let numbering = &mut *outlet.numbering;
        let number = if self.said {
            numbering.later()
        } else {
            numbering.first(&self.name, self.opened.window(outlet.settings.window))
        };
        self.said = true;
        outlet.ready.push(Alert {
            saying: Saying::LeftOut { limit: outlet.settings.names_per_workload },
            group: self.name.clone(),
            number,
            count: std::mem::take(&mut self.left_out),
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            created,
            exchange,
            finding,
        });
    }
}

/// FNV-1a: only tells entries of one message apart.
fn entry_hash(entry: &str) -> u64 {
    entry
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
