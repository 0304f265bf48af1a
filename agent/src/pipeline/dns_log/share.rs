//! How much of an interval's limit each workload may use, and what of each was not logged.
//!
//! A workload may use as much as it leaves to all others: at most half of the limit alone, an equal share with others that
//! want as much, and whatever one has taken, who comes later finds room. The accounts are bounded; workloads beyond share
//! one.

use std::cmp::Reverse;
use std::sync::Arc;

use ahash::AHashMap;

use crate::pipeline::attribute::{Attributed, Attribution, Workload};

/// Workloads with an account of their own.
const ACCOUNTS_MAX: usize = 1_024;
/// Workloads named in what is said of one interval, those of which most was left out; the others are summed up.
const NAMED_MAX: usize = 20;

/// What one workload used of the limit.
#[derive(Debug, Default)]
struct Account {
    /// `None`: of all workloads beyond.
    whose: Option<Whose>,
    spent: u64,
    unlogged: u64,
}

/// A workload, and how it was found.
pub(super) type Whose = (Arc<Workload>, Attribution);

/// The accounts of one interval.
#[derive(Debug, Default)]
pub(super) struct Shares {
    of: AHashMap<Arc<str>, Account>,
    beyond: Account,
    spent: u64,
}

impl Shares {
    /// Whether one more document of this workload may be written, of so many exchanges; what may not is counted.
    pub(super) fn take(&mut self, attributed: &Attributed, limit: u64, exchanges: u64) -> bool {
        let left = limit.saturating_sub(self.spent);
        let account = self.account(attributed);
        let may = account.spent < left;
        account.spent += u64::from(may);
        account.unlogged += if may { 0 } else { exchanges };
        self.spent += u64::from(may);
        may
    }

    /// What was taken is not needed after all.
    pub(super) fn give_back(&mut self, attributed: &Attributed) {
        let account = self.account(attributed);
        account.spent = account.spent.saturating_sub(1);
        self.spent = self.spent.saturating_sub(1);
    }

    /// Ends the interval: how much of whom was not logged, the most first.
    pub(super) fn end(&mut self) -> Vec<(Option<Whose>, u64)> {
        self.spent = 0;
        let accounts = self.of.drain().map(|(_, account)| account);
        let mut unlogged: Vec<_> = accounts.filter(|account| account.unlogged > 0).collect();
        unlogged.sort_by(|one, other| one.rank().cmp(&other.rank()));
        let others = unlogged.split_off(NAMED_MAX.min(unlogged.len()));
        let beyond = std::mem::take(&mut self.beyond);
        let others = others.iter().chain([&beyond]).map(|account| account.unlogged).sum();
        let named = unlogged.into_iter().map(|account| (account.whose, account.unlogged));
        named.chain([(None, others)]).filter(|(_, count)| *count > 0).collect()
    }

    fn account(&mut self, attributed: &Attributed) -> &mut Account {
        let key = attributed.workload.key();
        if self.of.len() >= ACCOUNTS_MAX && !self.of.contains_key(key) {
            return &mut self.beyond;
        }
        self.of.entry(Arc::from(key)).or_insert_with(|| Account {
            whose: Some((attributed.workload.clone(), attributed.attribution)),
            ..Account::default()
        })
    }
}

impl Account {
    fn rank(&self) -> (Reverse<u64>, Option<&str>) {
        (Reverse(self.unlogged), self.whose.as_ref().map(|(workload, _)| workload.key()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::attribute::{Process, cgroup_path};

    fn of(number: usize) -> Attributed {
        Attributed {
            workload: Arc::new(cgroup_path::workload(&format!("/system.slice/w{number:05}.service"))),
            process: Process::default(),
            attribution: Attribution::Cgroup,
            is_watched: false,
        }
    }

    fn spend(shares: &mut Shares, number: usize, times: usize) -> usize {
        let attributed = of(number);
        (0..times).filter(|_| shares.take(&attributed, 1_000, 1)).count()
    }

    #[test]
    fn whatever_one_takes_who_comes_later_finds_room() {
        let mut shares = Shares::default();
        assert_eq!(spend(&mut shares, 1, 5_000), 500);
        assert_eq!(spend(&mut shares, 2, 100), 100);
        assert_eq!(spend(&mut shares, 3, 100), 100);
    }

    #[test]
    fn those_who_want_as_much_get_as_much() {
        let mut shares = Shares::default();
        let mut logged = [0; 4];
        for _ in 0..1_000 {
            for (number, logged) in logged.iter_mut().enumerate() {
                *logged += spend(&mut shares, number, 1);
            }
        }
        assert_eq!(logged, [200; 4]);
    }

    #[test]
    fn what_is_given_back_may_be_taken_again() {
        let mut shares = Shares::default();
        assert_eq!(spend(&mut shares, 1, 500), 500);
        shares.give_back(&of(1));
        assert_eq!(spend(&mut shares, 1, 5), 1);
    }

    #[test]
    fn never_more_than_the_limit_is_spent() {
        let mut shares = Shares::default();
        let spent: usize = (0..3_000).map(|number| spend(&mut shares, number, 3)).sum();
        assert!(spent <= 1_000, "{spent}");
        assert!(shares.of.len() <= ACCOUNTS_MAX);
        let unlogged: u64 = shares.end().iter().map(|(_, count)| count).sum();
        assert_eq!(unlogged + spent as u64, 9_000, "workloads without an account are counted too");
    }

    #[test]
    fn the_worst_are_named_and_the_others_summed_up() {
        let mut shares = Shares::default();
        for number in 0..50 {
            for _ in 0..=number {
                shares.take(&of(number), 0, 1);
            }
        }
        let said = shares.end();
        assert_eq!(said.len(), NAMED_MAX + 1);
        let name = |said: &(Option<Whose>, u64)| said.0.as_ref().map(|(workload, _)| workload.label());
        assert_eq!((name(&said[0]).as_deref(), said[0].1), (Some("w00049.service"), 50));
        assert_eq!((name(&said[NAMED_MAX]), said[NAMED_MAX].1), (None, (1..=30).sum()));
        assert_eq!(shares.end().len(), 0, "the next interval begins anew");
    }
}
