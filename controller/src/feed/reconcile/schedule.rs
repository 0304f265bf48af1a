//! When a feed is pulled: its period, sooner after a failure, never where somebody pushes it.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

/// After the first failure; doubled with each further one, up to the feed's period or an hour.
const RETRY_FIRST: Duration = Duration::from_secs(30);
const RETRY_MAX: Duration = Duration::from_hours(1);
/// Until a feed that shrank by more than half is asked again whether it means it.
const CONFIRM: Duration = Duration::from_mins(5);

/// The times of one feed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Schedule {
    failures: u32,
    last: Option<Instant>,
    next: Option<Instant>,
}

impl Schedule {
    /// When it is pulled next.
    pub fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Whether it is time.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// Pull it now.
    pub fn at_once(&mut self, now: Instant) {
        self.next = Some(now);
    }

    /// Do not pull it.
    pub fn never(&mut self) {
        self.next = None;
    }

    /// It was pulled `age` ago by an earlier process.
    pub fn resume(&mut self, now: Instant, period: Duration, age: Duration) {
        self.last = now.checked_sub(age);
        // What came due meanwhile is spread over half a minute: many feeds may have.
        self.next = Some(now + spread(period).saturating_sub(age).max(jitter(Duration::from_secs(30))));
    }

    /// The period is another one.
    pub fn change_period(&mut self, now: Instant, period: Duration) {
        if self.failures == 0 {
            self.next = Some(self.last.map_or(now, |last| last + spread(period)).max(now));
        }
    }

    /// It was pulled, or is unchanged.
    pub fn succeeded(&mut self, now: Instant, period: Duration) {
        self.failures = 0;
        self.last = Some(now);
        self.next = now.checked_add(spread(period));
    }

    /// It was not.
    pub fn failed(&mut self, now: Instant, period: Duration) {
        let wait = RETRY_FIRST.saturating_mul(1 << self.failures.min(16)).min(RETRY_MAX).min(period);
        self.failures = self.failures.saturating_add(1);
        self.next = now.checked_add(spread(wait));
    }

    /// It has to be asked again soon.
    pub fn confirm(&mut self, now: Instant) {
        self.next = now.checked_add(spread(CONFIRM));
    }
}

/// The duration or up to a tenth more: feeds that were added together are not pulled together for ever.
fn spread(duration: Duration) -> Duration {
    duration + jitter(duration / 10)
}

fn jitter(most: Duration) -> Duration {
    // The standard library seeds each state from the system's random numbers.
    let random = u32::try_from(RandomState::new().hash_one(0_u8) % 1_000).unwrap_or_default();
    most * random / 1_000
}
