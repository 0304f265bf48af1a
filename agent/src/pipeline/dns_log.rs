//! Queries and answers -> DNS logs: one for each exchange, or one for all equal exchanges of an interval.
//!
//! A query is joined with its answer by socket, id and name, never by addresses: NAT may sit between. A query without an
//! answer is logged when its time is up. What a limit keeps from being logged is counted and said. Time is an argument.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire};
use std::time::Duration;

use super::attribute::pod::{NoPods, Pods};
use super::attribute::{Attribution, Workload};
use super::exchange::{Exchange, UnreadExchange};
use super::packet::Timestamp;

// What a document stands for, what is left out, what bounds the stage.
mod settings;

// Queries whose answers are awaited.
mod waiting;

// Equal exchanges of one interval, counted together.
mod counted;

// Exchanges that were read before in the interval, without reading them again.
mod digest;

// A workload, or all pods of one owner.
mod clients;

// What each workload may use of the limit.
mod share;

// What is left out, and what is drawn.
mod choice;

// Names of a search list that nobody meant.
mod folding;

// What became of messages and exchanges.
mod counts;

pub use choice::Suffixes;
pub use clients::{Clients, Owned};
pub use counted::Counted;
pub use counts::DnsLogCounts;
pub use settings::{Aggregation, Settings};

use choice::Lot;
use counted::Table;
use folding::{Folding, Next};
use share::Shares;
use waiting::Waiting;

/// Clocks of messages and of `poll` may differ by this much before a time counts as stepped back.
const CLOCK_SLACK: Duration = Duration::from_secs(1);
/// Counts of an interval that ended that go out in one poll: all are due at once, and the sink's queue takes so many.
const COUNTED_OUT_MAX: usize = 64;

/// What goes out: one document each.
#[derive(Clone, Debug, PartialEq)]
pub enum DnsLog {
    /// One exchange; without an answer where none came.
    One {
        /// The exchange.
        exchange: Box<Exchange>,
        /// Exchanges of the resolver's search list that are folded into it.
        folded: u64,
    },
    /// Equal exchanges of one interval.
    Counted(Box<Counted>),
    /// Exchanges of one workload that were not logged.
    Unlogged {
        /// Whose they were, and how that was found; `None` where those of several workloads are summed up.
        whose: Option<(Arc<Workload>, Attribution)>,
        /// How many.
        count: u64,
        /// The limit whose share was used up.
        limit: u64,
        /// When the interval began.
        start: Timestamp,
        /// When it ended.
        end: Timestamp,
    },
}

/// The stage.
#[derive(Debug)]
pub struct DnsLogger {
    settings: Settings,
    pods: Arc<dyn Pods>,
    waiting: Waiting,
    table: Table,
    /// Exchanges that the next poll hands out.
    ready: Vec<DnsLog>,
    /// Counts of the interval before, which go out bit by bit.
    due: VecDeque<DnsLog>,
    /// When the interval began; none before the first message.
    began: Option<Timestamp>,
    /// Of this interval's limit.
    shares: Shares,
    lot: Lot,
    folding: Folding,
    counts: DnsLogCounts,
    /// From which moment on it logs, in nanoseconds since the epoch.
    turn: Arc<AtomicU64>,
}

impl DnsLogger {
    /// An empty stage.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            pods: Arc::new(NoPods),
            waiting: Waiting::default(),
            table: Table::default(),
            ready: Vec::new(),
            due: VecDeque::new(),
            began: None,
            shares: Shares::default(),
            lot: Lot::default(),
            folding: Folding::default(),
            counts: DnsLogCounts::default(),
            turn: Arc::default(),
        }
    }

    /// The same, which leaves messages before that moment (nanoseconds since the epoch) to another agent of the node.
    #[must_use]
    pub fn with_turn(self, turn: Arc<AtomicU64>) -> Self {
        Self { turn, ..self }
    }

    /// The same, which knows the owners of these pods.
    #[must_use]
    pub fn with_pods(self, pods: Arc<dyn Pods>) -> Self {
        Self { pods, ..self }
    }

    /// Counted so far.
    pub fn counts(&self) -> DnsLogCounts {
        DnsLogCounts { waiting: self.waits() as u64, ..self.counts }
    }

    /// Takes in one message; what it leads to comes out of a `poll`.
    pub fn message(&mut self, message: UnreadExchange) {
        if message.time.0 < self.turn.load(Acquire) {
            self.counts.left_to_another += 1;
            return;
        }
        self.counts.messages += 1;
        self.began.get_or_insert(message.time);
        if !message.is_answered() {
            self.counts.queries += 1;
            self.wait(message);
        } else if let Some(mut query) = self.waiting.take(&message) {
            self.counts.joined += 1;
            query.join(message);
            self.complete(query);
        } else {
            self.counts.lone_answers += 1;
            self.complete(message);
        }
    }

    fn wait(&mut self, query: UnreadExchange) {
        let bytes = query.size();
        while self.waiting.len() >= self.settings.waiting_max
            || self.waiting.bytes() + bytes > Settings::WAITING_BYTES_MAX
        {
            let Some(oldest) = self.waiting.pop() else { break };
            self.evict(oldest);
        }
        if let Some(one_too_many) = self.waiting.push(query) {
            self.evict(one_too_many);
        }
    }

    fn evict(&mut self, query: UnreadExchange) {
        self.counts.evicted += 1;
        self.unanswered(query);
    }

    /// Hands out what is due: exchanges that are complete, queries whose time is up, counts of an interval that ended. Those
    /// are spread over many polls; as long as some are left, the next interval goes on, and no more is kept than two hold.
    pub fn poll(&mut self, now: Timestamp, each: &mut impl FnMut(DnsLog)) {
        let wait = self.settings.answer_wait;
        while let Some(query) = self.waiting.pop_if(|since| since.has_passed(wait, CLOCK_SLACK, now)) {
            self.unanswered(query);
        }
        while let Some(held) = self.folding.pop_if(|since| since.has_passed(wait, CLOCK_SLACK, now)) {
            self.draw(&held, 0);
        }
        let interval = self.settings.interval;
        if self.due.is_empty() && self.began.is_some_and(|began| began.has_passed(interval, interval, now)) {
            self.end_interval(now);
        }
        self.hand_out(COUNTED_OUT_MAX, each);
    }

    /// Hands out everything, queries that still wait for their answer too.
    pub fn flush(&mut self, now: Timestamp, each: &mut impl FnMut(DnsLog)) {
        while let Some(query) = self.waiting.pop() {
            self.unanswered(query);
        }
        while let Some(held) = self.folding.pop_if(|_| true) {
            self.draw(&held, 0);
        }
        self.end_interval(now);
        self.hand_out(usize::MAX, each);
    }

    fn unanswered(&mut self, query: UnreadExchange) {
        self.counts.unanswered += 1;
        self.complete(query);
    }

    /// Logs one exchange, if it is one of those that are to be logged.
    fn complete(&mut self, exchange: UnreadExchange) {
        let Settings { exclude, fold_search, .. } = &self.settings;
        if !exclude.is_empty() && exchange.name().is_some_and(|name| exclude.cover(&name)) {
            self.counts.excluded += 1;
        } else if fold_search.is_empty() {
            self.draw(&exchange, 0);
        } else {
            match self.folding.take(exchange, fold_search, &*self.pods) {
                Next::Log(exchange, folded) => self.draw(&exchange, folded),
                Next::Held(out) => out.iter().for_each(|oldest| self.draw(oldest, 0)),
            }
        }
    }

    /// Logs one exchange, with those that are folded into it, if it is drawn.
    fn draw(&mut self, exchange: &UnreadExchange, folded: u64) {
        if self.lot.draws(exchange, self.settings.sample) {
            self.log(exchange, folded);
        } else {
            self.counts.sampled_out += 1 + folded;
        }
    }

    /// Logs one exchange, if its workload's share of the limit allows it.
    fn log(&mut self, exchange: &UnreadExchange, folded: u64) {
        let (limit, owners) = (self.limit(), owners(self.settings.aggregation, &self.pods));
        let Self { settings, table, shares, ready, counts, .. } = self;
        let logged = if settings.aggregation != Aggregation::Every {
            let taken = table.count(exchange, folded, owners, (shares, limit));
            counts.malformed += u64::from(taken.malformed);
            counts.parsed += u64::from(taken.parsed);
            taken.counted
        } else if limit == u64::MAX || shares.take(&exchange.attributed, limit, 1 + folded) {
            let exchange = Box::new(exchange.read());
            counts.malformed += u64::from(exchange.malformed.is_some());
            counts.parsed += 1;
            ready.push(DnsLog::One { exchange, folded });
            true
        } else {
            false
        };
        if logged {
            counts.logged += 1 + folded;
            counts.folded += folded;
        } else {
            counts.unlogged += 1 + folded;
        }
    }

    /// Exchanges that wait: for their answer, or for the name that was meant.
    fn waits(&self) -> usize {
        self.waiting.len() + self.folding.len()
    }

    fn end_interval(&mut self, now: Timestamp) {
        let Some(start) = self.began.take() else { return };
        for counted in self.table.take(owners(self.settings.aggregation, &self.pods)) {
            self.due.push_back(DnsLog::Counted(Box::new(counted)));
        }
        let limit = self.limit();
        for (whose, count) in self.shares.end() {
            self.due.push_back(DnsLog::Unlogged { whose, count, limit, start, end: now });
        }
        // An interval that ends while queries wait goes on with the next message or poll.
        self.began = (self.waits() > 0).then_some(now);
    }

    fn limit(&self) -> u64 {
        match self.settings.aggregation {
            Aggregation::Every => self.settings.limit,
            Aggregation::Workload | Aggregation::Owner => self.settings.limit.min(Settings::COUNTED_MAX),
        }
    }

    fn hand_out(&mut self, counted_max: usize, each: &mut impl FnMut(DnsLog)) {
        let counted = self.due.len().min(counted_max);
        self.counts.documents += (self.ready.len() + counted) as u64;
        self.ready.drain(..).chain(self.due.drain(..counted)).for_each(each);
    }
}

/// Whoever knows the owners whose pods are counted together, where any are.
fn owners(aggregation: Aggregation, pods: &Arc<dyn Pods>) -> Option<&dyn Pods> {
    (aggregation == Aggregation::Owner).then_some(&**pods)
}

#[cfg(test)]
mod tests;
