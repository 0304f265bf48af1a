//! The clocks of `run`: what the kernel half stamps (boot time) against civil time.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::pipeline::{decode::WallOffset, packet::Timestamp};

/// Civil time now.
pub fn now() -> Timestamp {
    Timestamp(u64::try_from(nanoseconds(clock_gettime(ClockId::Realtime))).unwrap_or(0))
}

/// What to add to boot time to get civil time. Two clock reads without a system call, so it is read for every batch of
/// records: a step of the clock shows within one batch.
pub fn wall_offset() -> WallOffset {
    let wall = nanoseconds(clock_gettime(ClockId::Realtime));
    let boot = nanoseconds(clock_gettime(ClockId::Boottime));
    WallOffset(wall.saturating_sub(boot))
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_time_plus_offset_is_civil_time() {
        let boot = nanoseconds(clock_gettime(ClockId::Boottime)).unsigned_abs();
        let stamped = wall_offset().timestamp(boot).0;
        assert!(now().0.abs_diff(stamped) < 1_000_000_000, "{} and {stamped}", now().0);
    }
}
