//! How much of whom was withheld: an account for each workload, bounded; those beyond share one.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::{Mutex, PoisonError};

use namewarden_protocol::printable;

use crate::pipeline::attribute::pod::{Pod, Role};

/// Workloads with an account of their own: many times the resolvers of a node.
const ACCOUNTS_MAX: usize = 64;
/// What those beyond are called.
const OTHERS: &str = "others";

/// How much was withheld.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Findings, query and answer each.
    pub findings: u64,
    /// Alerts that had come about before the pod was known.
    pub alerts: u64,
    /// Messages that no DNS log is made of.
    pub messages: u64,
}

impl AddAssign for Account {
    fn add_assign(&mut self, other: Self) {
        self.findings += other.findings;
        self.alerts += other.alerts;
        self.messages += other.messages;
    }
}

/// What was withheld of one workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// `resolver` or `excluded`.
    pub reason: &'static str,
    /// Its namespace; empty of those that share an account.
    pub namespace: String,
    /// What it is one of: `Deployment/coredns`.
    pub workload: String,
    /// How much.
    pub account: Account,
}

/// Reason, namespace, workload.
type Key = (Role, String, String);

/// The accounts; read while the pipeline writes.
#[derive(Debug, Default)]
pub struct Accounts(Mutex<BTreeMap<Key, Account>>);

impl Accounts {
    /// Adds to the account of a pod's workload.
    pub(super) fn add(&self, pod: &Pod, more: Account) {
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (pod.role, pod.namespace.clone(), pod.kin());
        if accounts.len() >= ACCOUNTS_MAX && !accounts.contains_key(&key) {
            key = (pod.role, String::new(), OTHERS.to_owned());
        }
        *accounts.entry(key).or_default() += more;
    }

    /// All of them, the same order each time.
    pub fn read(&self) -> Vec<Withheld> {
        let accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = accounts.iter().map(|((role, namespace, workload), account)| Withheld {
            reason: if *role == Role::Resolver { "resolver" } else { "excluded" },
            namespace: namespace.clone(),
            // Nobody checks what an owner is called.
            workload: printable(workload),
            account: *account,
        });
        read.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::attribute::pod::Owner;

    fn pod(name: &str, owner: Option<&str>) -> Pod {
        let owner = owner.map(|name| Owner { kind: "Deployment".into(), name: name.into() });
        Pod { namespace: "n".into(), name: name.into(), owner, role: Role::Resolver, ..Pod::default() }
    }

    fn one() -> Account {
        Account { findings: 1, alerts: 2, messages: 3 }
    }

    #[test]
    fn pods_of_one_owner_share_an_account() {
        let accounts = Accounts::default();
        accounts.add(&pod("a", Some("dns")), one());
        accounts.add(&pod("b", Some("dns")), one());
        let [read] = &accounts.read()[..] else { panic!("{:?}", accounts.read()) };
        assert_eq!((&*read.workload, read.account.findings, read.account.messages), ("Deployment/dns", 2, 6));
    }

    #[test]
    fn there_are_never_more_accounts_than_their_bound_and_nothing_is_lost() {
        let accounts = Accounts::default();
        for number in 0..1_000 {
            accounts.add(&pod(&number.to_string(), None), one());
        }
        let read = accounts.read();
        assert_eq!(read.len(), ACCOUNTS_MAX + 1);
        assert_eq!(read.iter().map(|withheld| withheld.account.findings).sum::<u64>(), 1_000);
        assert!(read.iter().any(|withheld| withheld.workload == OTHERS && withheld.namespace.is_empty()));
    }

    #[test]
    fn an_owner_is_shown_in_printable_letters() {
        let accounts = Accounts::default();
        accounts.add(&pod("a", Some("x\r\ny")), one());
        assert!(!accounts.read()[0].workload.contains('\r'));
    }
}
