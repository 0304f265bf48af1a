//! When a feed is fetched next: once a day, sooner after a failure, never all agents at once.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// Between fetches that succeed.
const PERIOD: Duration = Duration::from_hours(24);
/// After the first failure; doubled with each further one.
const RETRY_FIRST: Duration = Duration::from_secs(30);
/// The longest wait after failures.
const RETRY_MAX: Duration = Duration::from_hours(1);
/// Until a feed that shrank by more than half is asked again whether it means it.
const CONFIRM: Duration = Duration::from_mins(5);

/// The times of one feed; a file has none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Schedule {
    failures: u32,
    next: Option<Instant>,
}

impl Schedule {
    /// When it is to be fetched; `None` where only the operator says so.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Whether it is time.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// It was fetched, or is unchanged.
    pub fn succeeded(&mut self, now: Instant) {
        self.failures = 0;
        self.next = now.checked_add(spread(PERIOD));
    }

    /// It was not.
    pub fn failed(&mut self, now: Instant) {
        let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(16)).min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        self.next = now.checked_add(spread(wait));
    }

    /// It has to be asked again soon.
    pub fn confirm(&mut self, now: Instant) {
        self.next = now.checked_add(spread(CONFIRM));
    }
}

/// The duration or up to a tenth more: a thousand agents that started together do not fetch together.
fn spread(duration: Duration) -> Duration {
    // The standard library seeds each state from the system's random numbers.
    let random = u32::try_from(RandomState::new().hash_one(0_u8) % 1_000).unwrap_or_default();
    duration + duration * random / 10_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(schedule: &Schedule, now: Instant) -> Duration {
        schedule.next().unwrap() - now
    }

    #[test]
    fn failures_wait_longer_each_time_up_to_an_hour() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        for at_least in [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600] {
            schedule.failed(now);
            let wait = wait(&schedule, now);
            let least = Duration::from_secs(at_least);
            assert!(wait >= least && wait <= least * 11 / 10, "{wait:?} is not {at_least} s and a tenth");
        }
    }

    #[test]
    fn a_success_ends_the_failures() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.failed(now);
        schedule.failed(now);
        schedule.succeeded(now);
        assert!(wait(&schedule, now) >= PERIOD);
        schedule.failed(now);
        assert!(wait(&schedule, now) < RETRY_FIRST * 2);
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        assert!(!schedule.is_due(now));
        schedule.failed(now);
        assert!(!schedule.is_due(now));
        assert!(schedule.is_due(now + RETRY_MAX));
    }
}
