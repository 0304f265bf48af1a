//! When a feed is fetched next: once in its period, sooner after a failure, never all feeds or agents at once.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// Between fetches that succeed, where nobody says otherwise.
pub const PERIOD_DEFAULT: Duration = Duration::from_hours(24);
/// After the first failure; doubled with each further one.
const RETRY_FIRST: Duration = Duration::from_secs(30);
/// The longest wait after failures, unless the server asks for more.
const RETRY_MAX: Duration = Duration::from_hours(1);
/// Until a feed that shrank by more than half is asked again whether it means it.
const CONFIRM: Duration = Duration::from_mins(5);

/// The times of one feed. One that nothing has happened to yet is not fetched by itself: a file has no other times.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    period: Duration,
    failures: u32,
    next: Option<Instant>,
}

impl Default for Schedule {
    fn default() -> Self {
        Self::new(PERIOD_DEFAULT)
    }
}

impl Schedule {
    /// A feed to be fetched once in `period`; when first, is not said yet.
    pub fn new(period: Duration) -> Self {
        Self { period, failures: 0, next: None }
    }

    /// When it is to be fetched; `None` where only the operator says so.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// How long it is until then; zero when it is due.
    pub fn wait(&self, now: Instant) -> Option<Duration> {
        self.next.map(|next| next.saturating_duration_since(now))
    }

    /// Whether it is time.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// Fetches that failed, one after the other, up to now.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Somebody asks for it at once: a new URL, a wish of the operator's.
    pub fn pull_now(&mut self, now: Instant) {
        self.next = Some(now);
    }

    /// A copy of this age is there already, of an earlier run: the next fetch is a period after the copy's.
    pub fn resume(&mut self, now: Instant, age: Duration) {
        self.failures = 0;
        self.next = now.checked_add(spread(self.period.saturating_sub(age)));
    }

    /// Another period, counted from now; a fetch that is due sooner stays so.
    pub fn change_period(&mut self, now: Instant, period: Duration) {
        self.period = period;
        let latest = now.checked_add(spread(period));
        self.next = match (self.next, latest) {
            (Some(next), Some(latest)) => Some(next.min(latest)),
            (next, _) => next,
        };
    }

    /// It was fetched, or is unchanged.
    pub fn succeeded(&mut self, now: Instant) {
        self.resume(now, Duration::ZERO);
    }

    /// It was not; `retry_after` is the least that the server asks to be left alone.
    pub fn failed(&mut self, now: Instant, retry_after: Option<Duration>) {
        let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(16)).min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        self.next = now.checked_add(spread(wait.max(retry_after.unwrap_or_default())));
    }

    /// It has to be asked again soon.
    pub fn confirm(&mut self, now: Instant) {
        self.next = now.checked_add(spread(CONFIRM.min(self.period)));
    }
}

/// The duration or up to a tenth more: a thousand agents that started together do not fetch together.
fn spread(duration: Duration) -> Duration {
    // The standard library seeds each state from the system's random numbers.
    let random = u32::try_from(RandomState::new().hash_one(0_u8) % 1_000).unwrap_or_default();
    duration.saturating_add(duration.saturating_mul(random) / 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    fn wait(schedule: &Schedule, now: Instant) -> Duration {
        schedule.wait(now).unwrap()
    }

    fn assert_about(wait: Duration, least: Duration) {
        assert!(wait >= least && wait <= least * 11 / 10, "{wait:?} is not {least:?} and a tenth");
    }

    #[test]
    fn failures_wait_longer_each_time_up_to_an_hour() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        for at_least in [30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600] {
            schedule.failed(now, None);
            assert_about(wait(&schedule, now), Duration::from_secs(at_least));
        }
        assert_eq!(schedule.failures(), 9);
    }

    #[test]
    fn a_success_ends_the_failures() {
        let now = Instant::now();
        let mut schedule = Schedule::new(HOUR);
        schedule.failed(now, None);
        schedule.failed(now, None);
        schedule.succeeded(now);
        assert_about(wait(&schedule, now), HOUR);
        schedule.failed(now, None);
        assert!(wait(&schedule, now) < RETRY_FIRST * 2);
    }

    #[test]
    fn a_server_that_asks_to_be_left_alone_is_left_alone_so_long_and_no_shorter_than_after_any_failure() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.failed(now, Some(HOUR * 3));
        assert_about(wait(&schedule, now), HOUR * 3);
        schedule.failed(now, Some(Duration::ZERO));
        assert_about(wait(&schedule, now), RETRY_FIRST * 2);
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        assert!(!schedule.is_due(now));
        schedule.failed(now, None);
        assert!(!schedule.is_due(now));
        assert!(schedule.is_due(now + RETRY_MAX));
    }

    #[test]
    fn what_is_asked_for_is_due_at_once() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.succeeded(now);
        schedule.pull_now(now);
        assert!(schedule.is_due(now));
        assert_eq!(schedule.wait(now), Some(Duration::ZERO));
    }

    #[test]
    fn a_copy_of_an_earlier_run_is_as_old_as_it_is() {
        let now = Instant::now();
        let mut schedule = Schedule::new(HOUR * 24);
        schedule.resume(now, HOUR * 20);
        assert_about(wait(&schedule, now), HOUR * 4);
        schedule.resume(now, HOUR * 30);
        assert!(schedule.is_due(now));
    }

    #[test]
    fn a_shorter_period_holds_at_once_and_a_longer_one_after_the_next_fetch() {
        let now = Instant::now();
        let mut schedule = Schedule::new(HOUR * 24);
        schedule.succeeded(now);
        schedule.change_period(now, HOUR);
        assert_about(wait(&schedule, now), HOUR);
        schedule.change_period(now, HOUR * 24);
        assert_about(wait(&schedule, now), HOUR);
        schedule.succeeded(now);
        assert_about(wait(&schedule, now), HOUR * 24);
    }
}
