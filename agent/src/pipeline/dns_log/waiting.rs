//! Queries whose answers are awaited, oldest first, found by socket, id and name.

use std::collections::VecDeque;

use ahash::AHashMap;

use crate::pipeline::exchange::UnreadExchange;
use crate::pipeline::packet::Timestamp;

/// Queries of one socket and id that wait at most: finding one among them takes no longer.
const SAME_MAX: usize = 16;

/// Stale turns that may outnumber the queries that wait before they are cleared away.
const STALE_MAX: usize = 1_024;

/// Socket and id in the header.
type Key = (u64, u16);

#[derive(Debug, Default)]
pub(super) struct Waiting {
    queries: AHashMap<Key, VecDeque<UnreadExchange>>,
    /// Every query that came, in order; those answered since are stale.
    order: VecDeque<(Timestamp, Key)>,
    length: usize,
    /// Of all their messages.
    bytes: usize,
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn turns(&self) -> usize {
        self.order.len()
    }

    /// Takes in a query; gives back the oldest of its socket and id where there are too many.
    pub(super) fn push(&mut self, query: UnreadExchange) -> Option<UnreadExchange> {
        let key = (query.socket, query.id);
        self.tidy();
        self.order.push_back((query.time, key));
        self.bytes += query.size();
        let of_key = self.queries.entry(key).or_default();
        of_key.push_back(query);
        let one_too_many = if of_key.len() > SAME_MAX { of_key.pop_front() } else { None };
        self.length += 1;
        one_too_many.inspect(|query| self.forget(query))
    }

    /// The oldest query that this answers. An answer that repeats no question (some servers' errors) answers the oldest
    /// of its socket and id.
    pub(super) fn take(&mut self, answer: &UnreadExchange) -> Option<UnreadExchange> {
        let key = (answer.socket, answer.id);
        let of_key = self.queries.get_mut(&key)?;
        let at = of_key.iter().position(|query| is_answered(query, answer))?;
        let query = of_key.remove(at)?;
        if of_key.is_empty() {
            self.queries.remove(&key);
        }
        self.forget(&query);
        while self.order.front().is_some_and(|(since, key)| !self.is_waiting(*since, *key)) {
            self.order.pop_front();
        }
        Some(query)
    }

    /// The oldest query.
    pub(super) fn pop(&mut self) -> Option<UnreadExchange> {
        self.pop_if(|_| true)
    }

    /// The oldest query, if its time is up.
    pub(super) fn pop_if(&mut self, is_up: impl Fn(Timestamp) -> bool) -> Option<UnreadExchange> {
        while let Some((since, key)) = self.order.pop_front_if(|(since, _)| is_up(*since)) {
            if let Some(query) = self.remove(since, key) {
                return Some(query);
            }
        }
        None
    }

    fn remove(&mut self, since: Timestamp, key: Key) -> Option<UnreadExchange> {
        let of_key = self.queries.get_mut(&key)?;
        let at = of_key.iter().position(|query| query.time == since)?;
        let query = of_key.remove(at)?;
        if of_key.is_empty() {
            self.queries.remove(&key);
        }
        self.forget(&query);
        Some(query)
    }

    fn forget(&mut self, query: &UnreadExchange) {
        self.length -= 1;
        self.bytes -= query.size();
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

/// Whether both speak of one name. Some servers' errors repeat no question.
fn is_answered(query: &UnreadExchange, answer: &UnreadExchange) -> bool {
    answer.asked().is_none_or(|name| query.asked().is_some_and(|asked| asked.eq_ignore_ascii_case(name)))
}
