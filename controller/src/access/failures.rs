//! Addresses that showed too many wrong credentials are not heard for the rest of a minute.
//!
//! Each check of unknown credentials costs a question to the API server or a bcrypt round: an address has a budget of
//! them. Credentials that were checked lately are not affected.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

use super::Denied;

const WINDOW: Duration = Duration::from_mins(1);
const PER_WINDOW: u32 = 30;
const ADDRESSES: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<HashMap<IpAddr, Window>>);

#[derive(Debug)]
struct Window {
    since: Instant,
    count: u32,
}

impl Failures {
    /// Refuses an address that used up its budget.
    pub(super) fn check(&self, address: IpAddr, now: Instant) -> Result<(), Denied> {
        let Ok(windows) = self.0.lock() else { return Ok(()) };
        match windows.get(&network(address)) {
            Some(window) if window.count >= PER_WINDOW && now < window.since + WINDOW => {
                let left = (window.since + WINDOW).duration_since(now);
                Err(Denied::TooManyFailures { seconds: left.as_secs() + 1 })
            }
            _ => Ok(()),
        }
    }

    /// Counts wrong credentials.
    pub(super) fn note(&self, address: IpAddr, now: Instant) {
        let Ok(mut windows) = self.0.lock() else { return };
        if windows.len() >= ADDRESSES {
            windows.retain(|_, window| now < window.since + WINDOW);
        }
        // So many addresses at once that there is no room: they are told apart no more, and start anew together.
        if windows.len() >= ADDRESSES {
            windows.clear();
        }
        let window = windows.entry(network(address)).or_insert(Window { since: now, count: 0 });
        if now >= window.since + WINDOW {
            *window = Window { since: now, count: 0 };
        }
        window.count += 1;
    }
}

/// One household has a /64 of IPv6 addresses to choose from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => IpAddr::V6((address.to_bits() & !0 << 64).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_heard_again_after_a_minute() {
        let (failures, now) = (Failures::default(), Instant::now());
        let address = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..PER_WINDOW {
            assert_eq!(failures.check(address, now), Ok(()));
            failures.note(address, now);
        }
        assert_eq!(failures.check(address, now + WINDOW / 2), Err(Denied::TooManyFailures { seconds: 31 }));
        assert_eq!(failures.check(address, now + WINDOW), Ok(()));
        assert_eq!(failures.check(IpAddr::from([192, 0, 2, 2]), now), Ok(()));
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_budget() {
        let (failures, now) = (Failures::default(), Instant::now());
        for host in 0..PER_WINDOW {
            failures.note(format!("2001:db8::{host:x}").parse().unwrap(), now);
        }
        assert!(failures.check("2001:db8::ffff".parse().unwrap(), now).is_err());
        assert!(failures.check("2001:db8:0:1::1".parse().unwrap(), now).is_ok());
    }

    #[test]
    fn many_addresses_take_bounded_memory() {
        let (failures, now) = (Failures::default(), Instant::now());
        for address in 0..3 * u32::try_from(ADDRESSES).unwrap() {
            failures.note(IpAddr::from(address.to_be_bytes()), now);
        }
        assert!(failures.0.lock().unwrap().len() <= ADDRESSES);
    }
}
