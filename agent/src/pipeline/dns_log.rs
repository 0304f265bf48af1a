//! Queries and answers -> DNS logs: one for each exchange, or one for all equal exchanges of an interval.
//!
//! A query is joined with its answer by socket, id and name, never by addresses: NAT may sit between. A query without an
//! answer is logged when its time is up. What a limit keeps from being logged is counted and said. Time is an argument.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::attribute::{Attributed, Attribution, Workload};
use super::exchange::Exchange;
use super::packet::Timestamp;

// Queries whose answers are awaited.
mod waiting;

// Equal exchanges of one interval, counted together.
mod counted;

// What each workload may use of the limit.
mod share;

pub use counted::Counted;

use counted::Table;
use share::Shares;
use waiting::Waiting;

/// Clocks of messages and of `poll` may differ by this much before a time counts as stepped back.
const CLOCK_SLACK: Duration = Duration::from_secs(1);

/// How much is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A document for each exchange.
    Every,
    /// A document for all equal exchanges of a workload and an interval: same question, response code and answers.
    Counted,
}

/// What bounds the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How much is written down.
    pub detail: Detail,
    /// Counts are written, and the limit begins anew, this often.
    pub interval: Duration,
    /// How long a query waits for its answer.
    pub answer_wait: Duration,
    /// Queries that wait at most; the oldest is logged without an answer.
    pub waiting_max: usize,
    /// Documents an interval at most, shared out among the workloads; exchanges beyond are counted.
    pub limit: u64,
}

impl Default for Settings {
    /// Every exchange; an interval of a minute; 5 s, the usual resolver's patience; 8,192 queries; no limit.
    fn default() -> Self {
        Self {
            detail: Detail::Every,
            interval: Duration::from_mins(1),
            answer_wait: Duration::from_secs(5),
            waiting_max: 8_192,
            limit: u64::MAX,
        }
    }
}

impl Settings {
    /// Different exchanges that are counted at once at most, whatever the limit: the table is bounded.
    pub const COUNTED_MAX: u64 = 16_384;
}

/// What goes out: one document each.
#[derive(Clone, Debug, PartialEq)]
pub enum DnsLog {
    /// One exchange; without an answer where none came.
    One(Box<Exchange>),
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

/// Messages and exchanges by what became of them: `messages = joined + queries + lone_answers` and
/// `queries + lone_answers = logged + unlogged + waiting`, where `logged` counts every exchange a document stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnsLogCounts {
    /// Messages that came in.
    pub messages: u64,
    /// Answers that were joined with their query.
    pub joined: u64,
    /// Queries.
    pub queries: u64,
    /// Answers whose query was not seen.
    pub lone_answers: u64,
    /// Queries logged without an answer.
    pub unanswered: u64,
    /// Of those, queries that had to make room before their time was up.
    pub evicted: u64,
    /// Messages that could not be read to their end.
    pub malformed: u64,
    /// Exchanges that a document stands for, or will at the end of the interval.
    pub logged: u64,
    /// Exchanges beyond their workload's share of the limit.
    pub unlogged: u64,
    /// Queries that wait now.
    pub waiting: u64,
    /// Documents handed out.
    pub documents: u64,
}

/// The stage.
#[derive(Debug)]
pub struct DnsLogger {
    settings: Settings,
    waiting: Waiting,
    table: Table,
    ready: VecDeque<DnsLog>,
    /// When the interval began; none before the first message.
    began: Option<Timestamp>,
    /// Of this interval's limit.
    shares: Shares,
    counts: DnsLogCounts,
}

impl DnsLogger {
    /// An empty stage.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            waiting: Waiting::default(),
            table: Table::default(),
            ready: VecDeque::new(),
            began: None,
            shares: Shares::default(),
            counts: DnsLogCounts::default(),
        }
    }

    /// Counted so far.
    pub fn counts(&self) -> DnsLogCounts {
        DnsLogCounts { waiting: self.waiting.len() as u64, ..self.counts }
    }

    /// Takes in one message; what it leads to comes out of a `poll`.
    pub fn message(&mut self, exchange: Exchange) {
        self.counts.messages += 1;
        self.counts.malformed += u64::from(exchange.malformed.is_some());
        self.began.get_or_insert(exchange.time);
        if !exchange.is_answered() {
            self.counts.queries += 1;
            let is_full = self.waiting.len() >= self.settings.waiting_max;
            let oldest = if is_full { self.waiting.pop() } else { None };
            for evicted in [oldest, self.waiting.push(exchange)].into_iter().flatten() {
                self.counts.evicted += 1;
                self.unanswered(evicted);
            }
        } else if let Some(mut query) = self.waiting.take(&exchange) {
            self.counts.joined += 1;
            query.join(&exchange);
            self.log(query);
        } else {
            self.counts.lone_answers += 1;
            self.log(exchange);
        }
    }

    /// Hands out what is due: exchanges that are complete, queries whose time is up, counts of an interval that ended.
    pub fn poll(&mut self, now: Timestamp, each: &mut impl FnMut(DnsLog)) {
        let wait = self.settings.answer_wait;
        while let Some(query) = self.waiting.pop_if(|since| since.has_passed(wait, CLOCK_SLACK, now)) {
            self.unanswered(query);
        }
        let interval = self.settings.interval;
        if self.began.is_some_and(|began| began.has_passed(interval, interval, now)) {
            self.end_interval(now);
        }
        self.hand_out(each);
    }

    /// Hands out everything, queries that still wait for their answer too.
    pub fn flush(&mut self, now: Timestamp, each: &mut impl FnMut(DnsLog)) {
        while let Some(query) = self.waiting.pop() {
            self.unanswered(query);
        }
        self.end_interval(now);
        self.hand_out(each);
    }

    fn unanswered(&mut self, query: Exchange) {
        self.counts.unanswered += 1;
        self.log(query);
    }

    /// Logs one exchange, if its workload's share of the limit allows it.
    fn log(&mut self, exchange: Exchange) {
        let limit = self.limit();
        let Self { settings, table, shares, ready, counts, .. } = self;
        let mut may = |attributed: &Attributed| limit == u64::MAX || shares.take(attributed, limit);
        let logged = match settings.detail {
            Detail::Every => {
                let may = may(&exchange.attributed);
                if may {
                    ready.push_back(DnsLog::One(Box::new(exchange)));
                }
                may
            }
            Detail::Counted => table.count(exchange, may),
        };
        counts.logged += u64::from(logged);
        counts.unlogged += u64::from(!logged);
    }

    fn end_interval(&mut self, now: Timestamp) {
        let Some(start) = self.began.take() else { return };
        for counted in self.table.take() {
            self.ready.push_back(DnsLog::Counted(Box::new(counted)));
        }
        let limit = self.limit();
        for (whose, count) in self.shares.end() {
            self.ready.push_back(DnsLog::Unlogged { whose, count, limit, start, end: now });
        }
        // An interval that ends while queries wait goes on with the next message or poll.
        self.began = (self.waiting.len() > 0).then_some(now);
    }

    fn limit(&self) -> u64 {
        match self.settings.detail {
            Detail::Every => self.settings.limit,
            Detail::Counted => self.settings.limit.min(Settings::COUNTED_MAX),
        }
    }

    fn hand_out(&mut self, each: &mut impl FnMut(DnsLog)) {
        self.counts.documents += self.ready.len() as u64;
        self.ready.drain(..).for_each(each);
    }
}

#[cfg(test)]
mod tests;
