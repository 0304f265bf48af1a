//! Sightings of listed names -> alerts: one at once, the repeats counted, nothing lost.
//!
//! A group is one workload and one entry within a window: an hour of the clock, so that an agent that was restarted, or another
//! one of the node, knows it by the same name. Its first alert waits a moment for the answer; repeats are counted and written once,
//! when the window ends, the table is full or the agent stops. A query and its answer are one sighting. A workload that asks for more listed names than its limit gets
//! summaries of what was left out; no other workload is affected. Time is an argument.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use ahash::{AHashMap, RandomState};
use namewarden_protocol::document::id;

use super::exchange::Exchange;
use super::matching::Finding;
use super::numbering::{NAMES_MAX, Numbering};
use super::packet::Timestamp;

// One workload and one entry within one window.
mod group;

// How many listed names a workload asked for, and what was left out.
mod limit;

use group::Group;
use limit::{Limits, Outlet, Taken};

/// Clocks of messages and of `poll` may differ by this much before a time counts as stepped back.
const CLOCK_SLACK: Duration = Duration::from_secs(1);
/// How long after its window a group still takes in answers of its queries, before its repeats are written.
const LAST_ANSWERS: Duration = Duration::from_secs(5);
/// Groups, and limits, of a window that ended that are closed in one poll: all end at once, and the sink's queue takes so many.
const CLOSED_MAX: usize = 64;

/// What bounds the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Cluster's name: part of every group's name.
    pub cluster: String,
    /// Node's name: part of the groups of workloads that other nodes have too (units, the host).
    pub node: String,
    /// Length of the windows of the clock in which repeats are counted; in the next one workload and entry alert anew.
    pub window: Duration,
    /// How long a first alert waits for the answer at most.
    pub answer_wait: Duration,
    /// Groups at most; the oldest makes room, its repeats are written.
    pub groups_max: usize,
    /// Workloads at most whose limits are kept; the oldest makes room.
    pub workloads_max: usize,
    /// Listed names that may alert for each workload and window; what goes beyond is counted.
    pub names_per_workload: u64,
}

impl Settings {
    /// What the design says: an hour, 250 ms, 8,192 groups, 100 names a workload.
    pub fn new(cluster: &str, node: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            node: node.to_owned(),
            window: id::WINDOW,
            answer_wait: Duration::from_millis(250),
            groups_max: 8_192,
            workloads_max: 4_096,
            names_per_workload: 100,
        }
    }
}

/// One message in which one entry was found.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// What the message said and whose it was.
    pub exchange: Arc<Exchange>,
    /// What listed it.
    pub finding: Finding,
}

/// What an alert says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saying {
    /// The workload met the entry for the first time in this window.
    First,
    /// It met it again, so many times.
    Repeated,
    /// It met more listed names than its limit; so many sightings were left out.
    LeftOut {
        /// The limit.
        limit: u64,
    },
}

/// What goes out: one document each.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// What it says.
    pub saying: Saying,
    /// Name of the group; `_id` of its first document.
    pub group: String,
    /// 0 of the document that bears its group's name; of any other a number that no document of this run has twice.
    pub number: u64,
    /// Sightings that it stands for.
    pub count: u64,
    /// First of them.
    pub first_seen: Timestamp,
    /// Last of them.
    pub last_seen: Timestamp,
    /// When it was made.
    pub created: Timestamp,
    /// The sighting itself; of repeats the first one without its records, or an answer that came late.
    pub exchange: Arc<Exchange>,
    /// What listed it.
    pub finding: Arc<Finding>,
}

/// Sightings by what became of them: `sightings = first + answers + repeats + left_out`, and after `flush`
/// `repeats = repeats_written`, `left_out = left_out_written`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RollUpCounts {
    /// Sightings that came in.
    pub sightings: u64,
    /// Those that opened a group.
    pub first: u64,
    /// Answers to queries that were already sighted.
    pub answers: u64,
    /// Those counted in an open group.
    pub repeats: u64,
    /// Those beyond the limit of their workload.
    pub left_out: u64,
    /// First alerts that carried their answer.
    pub answered: u64,
    /// Repeats that a written document stands for.
    pub repeats_written: u64,
    /// Left-out sightings that a written document stands for.
    pub left_out_written: u64,
    /// Alerts handed out.
    pub alerts: u64,
    /// Groups closed early because the table was full.
    pub evicted: u64,
    /// Groups open now.
    pub groups: u64,
}

/// A key and when it was opened: stale where it was closed early and opened anew.
type Turn = (Timestamp, Arc<str>);

/// The stage.
#[derive(Debug)]
pub struct RollUp {
    settings: Settings,
    hasher: RandomState,
    groups: AHashMap<Arc<str>, Group>,
    /// Groups in the order of their opening: what expires or makes room next.
    opened: VecDeque<Turn>,
    /// Groups whose first alert waits, in the order of their opening.
    waiting: VecDeque<Turn>,
    limits: Limits,
    numbering: Numbering,
    /// Alerts that the next `poll` hands out.
    ready: Vec<Alert>,
    counts: RollUpCounts,
}

impl RollUp {
    /// An empty stage.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            hasher: RandomState::new(),
            groups: AHashMap::new(),
            opened: VecDeque::new(),
            waiting: VecDeque::new(),
            limits: Limits::default(),
            numbering: Numbering::new(NAMES_MAX),
            ready: Vec::new(),
            counts: RollUpCounts::default(),
        }
    }

    /// Counted so far.
    pub fn counts(&self) -> RollUpCounts {
        RollUpCounts { groups: self.groups.len() as u64, ..self.counts }
    }

    /// Takes in one sighting; what it leads to comes out of the next `poll`.
    pub fn sighting(&mut self, sighting: Sighting) {
        self.counts.sightings += 1;
        let time = sighting.exchange.time;
        let identity = self.hasher.hash_one(sighting.exchange.identity());
        let key = key(&sighting);
        if self.groups.get(&key).is_some_and(|group| {
            is_over(group.opened, self.settings.window, time) && !group.awaits(&sighting.exchange, identity)
        }) {
            self.close(&key, time);
        }
        if let Some(group) = self.groups.get_mut(&key) {
            match group.again(&sighting.exchange, identity) {
                group::Again::Answer => self.counts.answers += 1,
                group::Again::Repeat => self.counts.repeats += 1,
            }
            if group.is_ready() {
                self.write_first(&key, time);
            }
            return;
        }
        if self.is_within_limit(&sighting, identity) {
            self.open(key, sighting, identity);
        }
    }

    /// Hands out what is due: first alerts whose wait is over, closing documents of windows that ended.
    pub fn poll(&mut self, now: Timestamp, each: &mut impl FnMut(Alert)) {
        let Settings { answer_wait, window, .. } = self.settings;
        while let Some((opened, key)) = next(&mut self.waiting, |opened| is_due(opened, answer_wait, now)) {
            if self.is_open(opened, &key) {
                self.write_first(&key, now);
            }
        }
        let is_ended = |opened: Timestamp| opened.has_left_window(window, LAST_ANSWERS, now);
        let mut closed = 0;
        while closed < CLOSED_MAX
            && let Some((opened, key)) = next(&mut self.opened, is_ended)
        {
            if self.is_open(opened, &key) {
                self.close(&key, now);
                closed += 1;
            }
        }
        let (limits, mut outlet) = self.limits();
        limits.close_over(now, &mut outlet);
        self.hand_out(each);
    }

    /// Hands out everything: first alerts that wait, all repeats counted so far.
    pub fn flush(&mut self, now: Timestamp, each: &mut impl FnMut(Alert)) {
        self.waiting.clear();
        for (_, key) in std::mem::take(&mut self.opened) {
            self.close(&key, now);
        }
        let (limits, mut outlet) = self.limits();
        limits.close_all(now, &mut outlet);
        self.hand_out(each);
    }

    fn hand_out(&mut self, each: &mut impl FnMut(Alert)) {
        for alert in self.ready.drain(..) {
            self.counts.alerts += 1;
            match alert.saying {
                Saying::First => self.counts.answered += u64::from(alert.exchange.is_answered()),
                Saying::Repeated => self.counts.repeats_written += alert.count,
                Saying::LeftOut { .. } => self.counts.left_out_written += alert.count,
            }
            each(alert);
        }
    }

    fn open(&mut self, key: Arc<str>, sighting: Sighting, identity: u64) {
        if self.groups.len() >= self.settings.groups_max {
            self.evict(sighting.exchange.time);
        }
        let time = sighting.exchange.time;
        let name = group::name(&self.settings, &sighting.exchange, &sighting.finding.entry);
        let number = self.numbering.first(&name, time.window(self.settings.window));
        self.counts.first += 1;
        self.groups.insert(key.clone(), Group::new(name, number, sighting, identity));
        self.opened.push_back((time, key.clone()));
        if self.groups.get(&key).is_some_and(Group::is_ready) {
            self.write_first(&key, time);
        } else {
            self.waiting.push_back((time, key));
        }
    }

    /// The oldest group makes room: its documents are written first.
    fn evict(&mut self, now: Timestamp) {
        while let Some((opened, key)) = self.opened.pop_front() {
            if self.is_open(opened, &key) {
                self.counts.evicted += 1;
                return self.close(&key, now);
            }
        }
    }

    fn limits(&mut self) -> (&mut Limits, Outlet<'_>) {
        let Self { settings, limits, numbering, ready, .. } = self;
        (limits, Outlet { settings, numbering, ready })
    }

    fn is_open(&self, opened: Timestamp, key: &str) -> bool {
        self.groups.get(key).is_some_and(|group| group.opened == opened)
    }

    fn write_first(&mut self, key: &str, now: Timestamp) {
        if let Some(alert) = self.groups.get_mut(key).and_then(|group| group.first(now)) {
            self.ready.push(alert);
        }
    }

    fn close(&mut self, key: &str, now: Timestamp) {
        self.write_first(key, now);
        let Some(mut group) = self.groups.remove(key) else { return };
        if let Some(alert) = group.closing(now) {
            self.ready.push(Alert { number: self.numbering.later(), ..alert });
        }
    }

    /// Whether the workload may open one more group; what may not is counted here.
    fn is_within_limit(&mut self, sighting: &Sighting, identity: u64) -> bool {
        let (limits, mut outlet) = self.limits();
        match limits.take(sighting, identity, &mut outlet) {
            Taken::Within => return true,
            Taken::Answer => self.counts.answers += 1,
            Taken::Beyond => self.counts.left_out += 1,
        }
        false
    }
}

/// Takes the first turn off a queue, if it has come.
fn next(turns: &mut VecDeque<Turn>, has_come: impl Fn(Timestamp) -> bool) -> Option<Turn> {
    turns.pop_front_if(|(opened, _)| has_come(*opened))
}

/// Workload, its side of the exchange and entry; none holds a NUL.
fn key(sighting: &Sighting) -> Arc<str> {
    let Sighting { exchange, finding } = sighting;
    let side = if exchange.server_side { "server" } else { "" };
    Arc::from(format!("{}\0{side}\0{}", exchange.attributed.workload.key(), finding.entry))
}

/// Whether the window of what opened then is over.
fn is_over(opened: Timestamp, window: Duration, now: Timestamp) -> bool {
    opened.has_left_window(window, Duration::ZERO, now)
}

/// Whether a wait that began then is over.
fn is_due(began: Timestamp, wait: Duration, now: Timestamp) -> bool {
    began.has_passed(wait, CLOCK_SLACK, now)
}

#[cfg(test)]
mod tests;
