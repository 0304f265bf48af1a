//! What a Lease says, and what may be written into it. Time comes in as an argument.
//!
//! Whether a Lease has ended is judged by how long it was seen unchanged: clocks of two nodes may differ.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use reqwest::Url;

/// Where the leader is reached.
const URL: &str = "namewarden.dev/url";
/// `epoch.number`: sets up to this one may have been published.
const RESERVED: &str = "namewarden.dev/reserved";
/// Which hash key those sets have: an id that says nothing else of it.
const KEY: &str = "namewarden.dev/key";
/// Numbers reserved at a time; more than half of them are always left.
const BLOCK: u64 = 1000;

/// What this controller writes.
#[derive(Debug)]
pub struct Claim {
    /// The Lease.
    pub name: String,
    /// This controller.
    pub identity: String,
    /// Where it is reached.
    pub url: Option<Url>,
    /// For how long.
    pub duration: Duration,
}

/// A Lease as it was read, and since when it was seen so.
#[derive(Debug)]
pub struct Observed {
    lease: Lease,
    since: Instant,
    /// Whether its holder was seen to renew it.
    is_alive: bool,
}

/// What a leader has published, as the Lease says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Epoch and number of the last set that was begun.
    pub last: (u64, u64),
    /// Id of the hash key.
    pub key_id: String,
}

impl Claim {
    /// A Lease that was not there.
    pub fn first(&self, position: &Position) -> Lease {
        let now = MicroTime(Timestamp::now());
        let mut spec = self.spec();
        spec.acquire_time = Some(now);
        spec.lease_transitions = Some(0);
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            annotations: Some(self.annotations(BTreeMap::new(), (0, 0), true, position)),
            ..ObjectMeta::default()
        };
        Lease { metadata, spec: Some(spec) }
    }

    /// A Lease that is renewed, or taken over where `is_taken`; `is_new` where numbers are reserved anew.
    pub fn renewed(&self, observed: &Observed, is_taken: bool, is_new: bool, position: &Position) -> Lease {
        let mut lease = observed.lease.clone();
        let old = lease.spec.take().unwrap_or_default();
        let transitions = old.lease_transitions.unwrap_or_default();
        lease.spec = Some(LeaseSpec {
            acquire_time: if is_taken { Some(MicroTime(Timestamp::now())) } else { old.acquire_time },
            lease_transitions: Some(if is_taken { transitions.saturating_add(1) } else { transitions }),
            ..self.spec()
        });
        let before = lease.metadata.annotations.take().unwrap_or_default();
        lease.metadata.annotations = Some(self.annotations(before, observed.reserved(), is_new, position));
        lease
    }

    fn spec(&self) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
            renew_time: Some(MicroTime(Timestamp::now())),
            ..LeaseSpec::default()
        }
    }

    fn annotations(
        &self,
        mut annotations: BTreeMap<String, String>,
        reserved: (u64, u64),
        is_new: bool,
        position: &Position,
    ) -> BTreeMap<String, String> {
        let (epoch, number) = position.last;
        match &self.url {
            Some(url) => annotations.insert(URL.to_owned(), url.to_string()),
            None => annotations.remove(URL),
        };
        annotations.insert(KEY.to_owned(), position.key_id.clone());
        let is_scarce = epoch != reserved.0 || number.saturating_add(BLOCK / 2) > reserved.1;
        if is_new || is_scarce {
            annotations.insert(RESERVED.to_owned(), format!("{epoch}.{}", number.saturating_add(BLOCK)));
        }
        annotations
    }
}

impl Observed {
    /// A Lease as it is now; unchanged, it was so since it was first seen so.
    pub fn again(before: Option<Self>, lease: Lease, now: Instant) -> Self {
        let Some(before) = before else { return Self { lease, since: now, is_alive: false } };
        let is_same = before.lease.metadata.resource_version == lease.metadata.resource_version;
        let since = if is_same { before.since } else { now };
        let mut seen = Self { lease, since, is_alive: false };
        seen.is_alive = seen.holder() == before.holder() && (before.is_alive || !is_same);
        seen
    }

    /// Whether its holder was seen to renew it: a holder that ended without a word is none.
    pub fn is_alive(&self) -> bool {
        self.is_alive
    }

    /// Who holds it.
    pub fn holder(&self) -> Option<&str> {
        self.lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
    }

    /// Whether it may be taken after `grace`: for those who let others go first.
    pub fn is_free(&self, now: Instant, duration: Duration, grace: Duration) -> bool {
        let unchanged = now.saturating_duration_since(self.since);
        let held = if self.holder().is_none() { Duration::ZERO } else { duration };
        unchanged >= held + grace
    }

    /// Where its holder is reached.
    pub fn url(&self) -> Option<Url> {
        Url::parse(self.annotation(URL)?).ok()
    }

    /// Epoch and number up to which sets may have been published.
    pub fn reserved(&self) -> (u64, u64) {
        let parse = |text: &str| {
            let (epoch, number) = text.split_once('.')?;
            Some((epoch.parse().ok()?, number.parse().ok()?))
        };
        self.annotation(RESERVED).and_then(parse).unwrap_or_default()
    }

    /// Id of the key of those sets, where the Lease says it.
    pub fn key_id(&self) -> Option<&str> {
        self.annotation(KEY)
    }

    /// The same Lease without a holder.
    pub fn released(self) -> Lease {
        let mut lease = self.lease;
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = Some(String::new());
            spec.renew_time = Some(MicroTime(Timestamp::now()));
        }
        lease
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        self.lease.metadata.annotations.as_ref()?.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(8);
    const NONE: Duration = Duration::ZERO;

    fn claim(identity: &str) -> Claim {
        let url = Url::parse("https://10.0.0.1:8443/").ok();
        Claim { name: "lease".to_owned(), identity: identity.to_owned(), url, duration: LEASE }
    }

    fn at(epoch: u64, number: u64) -> Position {
        Position { last: (epoch, number), key_id: "0123456789abcdef".to_owned() }
    }

    fn held(identity: &str, version: &str, now: Instant) -> Observed {
        let mut lease = claim(identity).first(&at(7, 3));
        lease.metadata.resource_version = Some(version.to_owned());
        Observed::again(None, lease, now)
    }

    #[test]
    fn a_lease_is_free_once_it_was_seen_unchanged_for_its_time() {
        let start = Instant::now();
        let first = held("a", "1", start);
        assert!(!first.is_free(start + LEASE / 2, LEASE, NONE));
        let lease = first.lease.clone();
        let same = Observed::again(Some(first), lease, start + LEASE / 2);
        assert!(same.is_free(start + LEASE, LEASE, NONE));
    }

    #[test]
    fn a_renewed_lease_begins_anew() {
        let start = Instant::now();
        let mut renewed = held("a", "1", start).lease;
        renewed.metadata.resource_version = Some("2".to_owned());
        let seen = Observed::again(Some(held("a", "1", start)), renewed, start + LEASE);
        assert!(!seen.is_free(start + LEASE, LEASE, NONE));
    }

    #[test]
    fn a_lease_that_was_given_up_is_free_at_once() {
        let now = Instant::now();
        let released = held("a", "1", now).released();
        let seen = Observed::again(None, released, now);
        assert!(seen.is_free(now, LEASE, NONE) && seen.holder().is_none());
    }

    #[test]
    fn who_has_nothing_lets_others_go_first() {
        let (start, grace) = (Instant::now(), Duration::from_secs(4));
        let held = held("a", "1", start);
        assert!(
            !held.is_free(start + LEASE, LEASE, grace) && held.is_free(start + LEASE + grace, LEASE, grace)
        );
        let released = Observed::again(None, held.released(), start);
        assert!(!released.is_free(start, LEASE, grace) && released.is_free(start + grace, LEASE, grace));
    }

    #[test]
    fn whoever_takes_over_reserves_numbers_behind_those_of_the_last_leader() {
        let now = Instant::now();
        let seen = held("a", "1", now);
        assert_eq!(seen.reserved(), (7, 1003));
        let taken = claim("b").renewed(&seen, true, true, &at(7, 1003));
        assert_eq!(taken.spec.as_ref().unwrap().lease_transitions, Some(1));
        assert_eq!(Observed::again(None, taken, now).reserved(), (7, 2003));
    }

    #[test]
    fn a_leader_reserves_more_numbers_before_they_are_used_up() {
        let now = Instant::now();
        let seen = held("a", "1", now);
        let early = claim("a").renewed(&seen, false, false, &at(7, 400));
        assert_eq!(Observed::again(None, early, now).reserved(), (7, 1003));
        let late = claim("a").renewed(&seen, false, false, &at(7, 600));
        assert_eq!(Observed::again(None, late, now).reserved(), (7, 1600));
    }

    #[test]
    fn the_leader_says_where_it_is_reached() {
        let seen = held("a", "1", Instant::now());
        assert_eq!(seen.url().unwrap().as_str(), "https://10.0.0.1:8443/");
    }

    #[test]
    fn the_leader_says_which_key_its_sets_have() {
        assert_eq!(held("a", "1", Instant::now()).key_id(), Some("0123456789abcdef"));
    }

    #[test]
    fn a_holder_is_alive_once_it_was_seen_to_renew() {
        let now = Instant::now();
        let first = held("a", "1", now);
        assert!(!first.is_alive());
        let renewed = Observed::again(Some(first), held("a", "2", now).lease, now);
        assert!(renewed.is_alive());
        let same = Observed::again(Some(renewed), held("a", "2", now).lease, now);
        assert!(same.is_alive());
        assert!(!Observed::again(Some(same), held("b", "3", now).lease, now).is_alive());
    }
}
