//! One workload and one entry within one window: its first alert, its repeats.

use std::collections::VecDeque;
use std::sync::Arc;

use namewarden_protocol::document::id;

use super::{Alert, Saying, Settings, Sighting};
use crate::pipeline::exchange::Exchange;
use crate::pipeline::matching::Finding;
use crate::pipeline::packet::Timestamp;

/// Queries of a group whose answers are awaited; a workload that floods pushes out its own only.
const AWAITED_MAX: usize = 64;

/// Queries whose answers have not come yet, oldest first, by the hash of what query and answer share.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    queries: VecDeque<u64>,
}

impl Awaited {
    /// A query was counted; its answer will not be.
    pub(super) fn push(&mut self, identity: u64, most: usize) {
        if self.queries.len() >= most {
            self.queries.pop_front();
        }
        self.queries.push_back(identity);
    }

    /// Whether this is the answer of a query that was counted.
    pub(super) fn take(&mut self, identity: u64) -> bool {
        let at = self.queries.iter().position(|query| *query == identity);
        at.and_then(|at| self.queries.remove(at)).is_some()
    }
}

/// What a further sighting of a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// The answer of a query that was counted.
    Answer,
    /// One more.
    Repeat,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) opened: Timestamp,
    name: String,
    /// Of its first document.
    number: u64,
    first_identity: u64,
    exchange: Arc<Exchange>,
    finding: Arc<Finding>,
    written: bool,
    awaited: Awaited,
    repeats: u64,
    first_repeat: Timestamp,
    last_repeat: Timestamp,
    /// The first sighting's answer, when it came after the first alert.
    late_answer: Option<Arc<Exchange>>,
}

impl Group {
    pub(super) fn new(name: String, number: u64, sighting: Sighting, identity: u64) -> Self {
        let mut awaited = Awaited::default();
        if !sighting.exchange.is_answered() {
            awaited.push(identity, AWAITED_MAX);
        }
        Self {
            opened: sighting.exchange.time,
            name,
            number,
            first_identity: identity,
            exchange: sighting.exchange,
            finding: Arc::new(sighting.finding),
            written: false,
            awaited,
            repeats: 0,
            first_repeat: Timestamp::default(),
            last_repeat: Timestamp::default(),
            late_answer: None,
        }
    }

    /// Whether the first alert waits and need not: its answer is there.
    pub(super) fn is_ready(&self) -> bool {
        !self.written && self.exchange.is_answered()
    }

    /// Whether this is the answer of a query that was counted here.
    pub(super) fn awaits(&self, exchange: &Exchange, identity: u64) -> bool {
        exchange.is_answered() && self.awaited.queries.contains(&identity)
    }

    /// Takes in a further sighting.
    pub(super) fn again(&mut self, exchange: &Arc<Exchange>, identity: u64) -> Again {
        if exchange.is_answered() && self.awaited.take(identity) {
            if identity == self.first_identity {
                self.answer(exchange);
            }
            return Again::Answer;
        }
        if !exchange.is_answered() {
            self.awaited.push(identity, AWAITED_MAX);
        }
        if self.repeats == 0 {
            self.first_repeat = exchange.time;
        }
        self.repeats += 1;
        self.last_repeat = exchange.time;
        Again::Repeat
    }

    /// The first alert, once; then only what a closing document needs is kept.
    pub(super) fn first(&mut self, created: Timestamp) -> Option<Alert> {
        if self.written {
            return None;
        }
        self.written = true;
        let slim = Arc::new(Exchange::clone(&self.exchange).without_records());
        let exchange = std::mem::replace(&mut self.exchange, slim);
        let (first_seen, last_seen) = (exchange.time, exchange.time);
        Some(Alert { first_seen, last_seen, exchange, ..self.alert(Saying::First, 1, created) })
    }

    /// The document that says how often it was met again, and what the first sighting's answer was if it came late. Its
    /// number is the caller's to give.
    pub(super) fn closing(&mut self, created: Timestamp) -> Option<Alert> {
        let late_answer = self.late_answer.take();
        if self.repeats == 0 && late_answer.is_none() {
            return None;
        }
        let (mut first_seen, mut last_seen) = (self.first_repeat, self.last_repeat);
        if self.repeats == 0 {
            (first_seen, last_seen) = (self.exchange.time, self.exchange.time);
        }
        let mut alert = self.alert(Saying::Repeated, self.repeats, created);
        alert.exchange = late_answer.unwrap_or(alert.exchange);
        Some(Alert { first_seen, last_seen, ..alert })
    }

    fn answer(&mut self, answer: &Arc<Exchange>) {
        let mut joined = Exchange::clone(&self.exchange);
        joined.join(answer);
        if self.written {
            self.late_answer = Some(Arc::new(joined));
        } else {
            self.exchange = Arc::new(joined);
        }
    }

    fn alert(&self, saying: Saying, count: u64, created: Timestamp) -> Alert {
        Alert {
            saying,
            group: self.name.clone(),
            number: self.number,
            count,
            first_seen: self.opened,
            last_seen: self.opened,
            created,
            exchange: self.exchange.clone(),
            finding: self.finding.clone(),
        }
    }
}

/// Name of a group: what a workload was asked is told from what it asked.
pub(super) fn name(settings: &Settings, exchange: &Exchange, entry: &str) -> String {
    let mut workload = whose(settings, exchange);
    if exchange.server_side {
        workload.push_str("#server");
    }
    id::group(&settings.cluster, &workload, entry, exchange.time.window(settings.window))
}

/// Name of the group of summaries of one workload.
pub(super) fn limit_name(settings: &Settings, exchange: &Exchange) -> String {
    id::limit_group(&settings.cluster, &whose(settings, exchange), exchange.time.window(settings.window))
}

fn whose(settings: &Settings, exchange: &Exchange) -> String {
    exchange.attributed.workload.global_key(&settings.node)
}
