//! Which of several servers is asked next, and when one that failed is tried again. Time and chance come in as arguments.

use std::time::{Duration, Instant};

/// From a first failure to the next try, at most.
const FIRST: Duration = Duration::from_millis(250);
/// The longest time between two tries.
const LONGEST: Duration = Duration::from_secs(30);

/// Time until try number `failures + 1`: twice as long for each failure, of which chance (0 to 1) takes up to a half, so
/// that a thousand agents do not come back at the same moment.
pub fn delay(failures: u32, chance: f64) -> Duration {
    let whole = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST);
    whole.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 2.0)
}

/// Which server to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// This one.
    Now(usize),
    /// None before then.
    Later(Instant),
    /// None before one answers that is being tried.
    Trying,
}

#[derive(Clone, Copy, Debug, Default)]
struct Endpoint {
    failures: u32,
    /// Left alone until then.
    until: Option<Instant>,
    /// One request finds out whether it is back.
    trying: bool,
}

/// The servers of one lane.
#[derive(Debug)]
pub struct Endpoints {
    list: Vec<Endpoint>,
    turn: usize,
}

impl Endpoints {
    /// So many servers, none of which has failed.
    pub fn new(count: usize) -> Self {
        Self { list: vec![Endpoint::default(); count], turn: 0 }
    }

    /// The next one in turn that has not failed; else one that may be tried again, by one request at a time.
    pub fn pick(&mut self, now: Instant) -> Pick {
        let count = self.list.len();
        let in_turn = (0..count).map(|step| (self.turn + step) % count.max(1));
        let order: Vec<usize> = in_turn.collect();
        let at = |index: &usize| self.list.get(*index).copied().unwrap_or_default();
        let healthy = order.iter().find(|index| at(index).until.is_none()).copied();
        let due = |index: &&usize| !at(index).trying && at(index).until.is_some_and(|until| until <= now);
        let due = order.iter().find(due).copied();
        // One that may be back is tried first: it is one request, and another server takes it if that fails.
        if let Some(index) = due.or(healthy) {
            if let Some(endpoint) = self.list.get_mut(index) {
                endpoint.trying = endpoint.until.is_some();
            }
            self.turn = index + 1;
            return Pick::Now(index);
        }
        let waiting = self.list.iter().filter(|endpoint| !endpoint.trying);
        waiting.filter_map(|endpoint| endpoint.until).min().map_or(Pick::Trying, Pick::Later)
    }

    /// It answered as it should.
    pub fn answered(&mut self, index: usize) {
        if let Some(endpoint) = self.list.get_mut(index) {
            *endpoint = Endpoint::default();
        }
    }

    /// It did not; it is left alone for a while.
    pub fn failed(&mut self, index: usize, now: Instant, chance: f64) {
        if let Some(endpoint) = self.list.get_mut(index) {
            // Several requests that were under way fail together: that is one failure.
            let counted = !endpoint.trying && endpoint.until.is_some_and(|until| until > now);
            if !counted {
                endpoint.failures = endpoint.failures.saturating_add(1);
            }
            endpoint.trying = false;
            endpoint.until = Some(now + delay(endpoint.failures, chance));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_take_turns() {
        let (mut servers, now) = (Endpoints::new(3), Instant::now());
        let picks: Vec<_> = (0..4).map(|_| servers.pick(now)).collect();
        assert_eq!(picks, [Pick::Now(0), Pick::Now(1), Pick::Now(2), Pick::Now(0)]);
    }

    #[test]
    fn one_that_failed_is_left_alone_and_then_tried_by_one_request() {
        let (mut servers, now) = (Endpoints::new(2), Instant::now());
        servers.failed(0, now, 0.0);
        assert_eq!([servers.pick(now), servers.pick(now)], [Pick::Now(1), Pick::Now(1)]);
        let later = now + FIRST;
        assert_eq!(servers.pick(later), Pick::Now(0));
        assert_eq!([servers.pick(later), servers.pick(later)], [Pick::Now(1), Pick::Now(1)]);
        servers.answered(0);
        assert_eq!(servers.pick(later), Pick::Now(0));
    }

    #[test]
    fn where_all_have_failed_it_is_said_when_to_ask_again() {
        let (mut servers, now) = (Endpoints::new(2), Instant::now());
        servers.failed(0, now, 0.0);
        servers.failed(1, now, 1.0);
        assert_eq!(servers.pick(now), Pick::Later(now + FIRST / 2));
        assert_eq!(servers.pick(now + FIRST), Pick::Now(0));
        assert_eq!(servers.pick(now + FIRST), Pick::Now(1));
        assert_eq!(servers.pick(now + FIRST), Pick::Trying);
    }

    #[test]
    fn requests_that_fail_together_are_one_failure() {
        let (mut servers, now) = (Endpoints::new(1), Instant::now());
        (0..5).for_each(|_| servers.failed(0, now, 0.0));
        assert_eq!(servers.pick(now), Pick::Later(now + FIRST));
    }

    #[test]
    fn tries_become_rarer_but_never_cease() {
        assert_eq!(delay(1, 0.0), FIRST);
        assert_eq!(delay(3, 0.0), FIRST * 4);
        assert_eq!(delay(3, 1.0), FIRST * 2);
        assert_eq!(delay(4_000_000_000, 0.0), LONGEST);
    }
}
