//! Queries whose answers are awaited, oldest first, found by socket, id and name.

use std::collections::VecDeque;

use ahash::AHashMap;

use crate::pipeline::exchange::Exchange;
use crate::pipeline::packet::Timestamp;

/// Queries of one socket and id that wait at most: finding one among them takes no longer.
const SAME_MAX: usize = 16;

/// Stale turns that may outnumber the queries that wait before they are cleared away.
const STALE_MAX: usize = 1_024;

/// Socket and id in the header.
type Key = (u64, u16);

#[derive(Debug, Default)]
pub(super) struct Waiting {
    queries: AHashMap<Key, VecDeque<Exchange>>,
    /// Every query that came, in order; those answered since are stale.
    order: VecDeque<(Timestamp, Key)>,
    length: usize,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    #[cfg(test)]
    pub(super) fn turns(&self) -> usize {
        self.order.len()
    }

    /// Takes in a query; gives back the oldest of its socket and id where there are too many.
    pub(super) fn push(&mut self, query: Exchange) -> Option<Exchange> {
        let key = (query.socket, query.id);
        self.tidy();
        self.order.push_back((query.time, key));
        let of_key = self.queries.entry(key).or_default();
        of_key.push_back(query);
        if of_key.len() > SAME_MAX {
            return of_key.pop_front();
        }
        self.length += 1;
        None
    }

    /// The oldest query that this answers. An answer that repeats no question (some servers' errors) answers the oldest
    /// of its socket and id.
    pub(super) fn take(&mut self, answer: &Exchange) -> Option<Exchange> {
        let key = (answer.socket, answer.id);
        let of_key = self.queries.get_mut(&key)?;
        let at = of_key.iter().position(|query| answer.name().is_empty() || answer.name() == query.name())?;
        let query = of_key.remove(at)?;
        if of_key.is_empty() {
            self.queries.remove(&key);
        }
        self.length -= 1;
        while self.order.front().is_some_and(|(since, key)| !self.is_waiting(*since, *key)) {
            self.order.pop_front();
        }
        Some(query)
    }

    /// The oldest query.
    pub(super) fn pop(&mut self) -> Option<Exchange> {
        self.pop_if(|_| true)
    }

    /// The oldest query, if its time is up.
    pub(super) fn pop_if(&mut self, is_up: impl Fn(Timestamp) -> bool) -> Option<Exchange> {
        while let Some((since, key)) = self.order.pop_front_if(|(since, _)| is_up(*since)) {
            if let Some(query) = self.remove(since, key) {
                return Some(query);
            }
        }
        None
    }

    fn remove(&mut self, since: Timestamp, key: Key) -> Option<Exchange> {
        let of_key = self.queries.get_mut(&key)?;
        let at = of_key.iter().position(|query| query.time == since)?;
        let query = of_key.remove(at)?;
        if of_key.is_empty() {
            self.queries.remove(&key);
        }
        self.length -= 1;
        Some(query)
    }

    /// Behind one query that nobody answers, turns of all that were answered since would pile up.
    fn tidy(&mut self) {
        if self.order.len() >= STALE_MAX + 2 * self.length {
            let mut order = std::mem::take(&mut self.order);
            order.retain(|(since, key)| self.is_waiting(*since, *key));
            self.order = order;
        }
    }

    fn is_waiting(&self, since: Timestamp, key: Key) -> bool {
        self.queries.get(&key).is_some_and(|of_key| of_key.iter().any(|query| query.time == since))
    }
}
