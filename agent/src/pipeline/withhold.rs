//! What resolvers ask on behalf of others, and what pods ask that the operator left out: counted for each workload, not told.
//!
//! Nothing is withheld of a pod that is not known, nor of one that is known by its address alone, which anybody may write as
//! his own. An alert of a pod that was unknown is looked at once more before it goes out.

use std::sync::Arc;

use super::attribute::Attributed;
use super::attribute::pod::{Pod, Pods, Role};
use super::roll_up::Alert;

// How much of whom was withheld.
mod account;

pub use account::{Account, Accounts, Withheld};

/// What is withheld.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether DNS logs are made of what resolvers ask.
    pub resolver_logs: bool,
}

/// Counted so far, of resolvers and of pods left out: `findings = sightings + resolver_findings + excluded_findings`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WithheldCounts {
    /// Findings of resolvers, query and answer each.
    pub resolver_findings: u64,
    /// Alerts of resolvers whose pods became known after the packet came.
    pub resolver_alerts: u64,
    /// Messages of resolvers that no DNS log is made of.
    pub resolver_messages: u64,
    /// Findings of pods left out, query and answer each.
    pub excluded_findings: u64,
    /// Alerts of pods left out that became known after the packet came.
    pub excluded_alerts: u64,
    /// Messages of pods left out, which no DNS log is made of.
    pub excluded_messages: u64,
}

/// The stage.
#[derive(Debug)]
pub struct Withholder {
    settings: Settings,
    pods: Arc<dyn Pods>,
    accounts: Arc<Accounts>,
    counts: WithheldCounts,
}

impl Withholder {
    /// A stage that knows the roles of these pods.
    pub fn new(settings: Settings, pods: Arc<dyn Pods>) -> Self {
        Self { settings, pods, accounts: Arc::default(), counts: WithheldCounts::default() }
    }

    /// Counted so far.
    pub fn counts(&self) -> WithheldCounts {
        self.counts
    }

    /// How much of whom, for whoever asks.
    pub fn accounts(&self) -> Arc<Accounts> {
        Arc::clone(&self.accounts)
    }

    /// The pod whose message is to be counted only; notes of any other pod whether it is known to be watched.
    pub fn look(&self, attributed: &mut Attributed, server_side: bool) -> Option<Arc<Pod>> {
        let pod = self.pods.pod(attributed.workload.pod_uid.as_deref()?)?;
        let is_told = is_told(pod.role, server_side);
        attributed.is_watched = is_told;
        (!is_told).then_some(pod)
    }

    /// Counts findings in a message of this pod.
    pub fn findings(&mut self, pod: &Pod, findings: u64) {
        let WithheldCounts { resolver_findings, excluded_findings, .. } = &mut self.counts;
        *if pod.role == Role::Resolver { resolver_findings } else { excluded_findings } += findings;
        self.accounts.add(pod, Account { findings, ..Account::default() });
    }

    /// Whether no DNS log is to be made of a message of this pod; it is counted then.
    pub fn keeps_from_logs(&mut self, pod: &Pod) -> bool {
        if pod.role == Role::Resolver && self.settings.resolver_logs {
            return false;
        }
        let WithheldCounts { resolver_messages, excluded_messages, .. } = &mut self.counts;
        *if pod.role == Role::Resolver { resolver_messages } else { excluded_messages } += 1;
        self.accounts.add(pod, Account { messages: 1, ..Account::default() });
        true
    }

    /// Whether an alert is not to be told, for its pod has become known; it is counted then.
    pub fn keeps_back(&mut self, alert: &Alert) -> bool {
        let attributed = &alert.exchange.attributed;
        let pod = || self.pods.pod(attributed.workload.pod_uid.as_deref()?);
        let Some(pod) = (!attributed.is_watched).then(pod).flatten() else { return false };
        if is_told(pod.role, alert.exchange.server_side) {
            return false;
        }
        let WithheldCounts { resolver_alerts, excluded_alerts, .. } = &mut self.counts;
        *if pod.role == Role::Resolver { resolver_alerts } else { excluded_alerts } += 1;
        self.accounts.add(&pod, Account { alerts: 1, ..Account::default() });
        true
    }
}

/// What a resolver is asked, others ask: where that is captured, it alerts.
fn is_told(role: Role, server_side: bool) -> bool {
    match role {
        Role::Watched => true,
        Role::Resolver => server_side,
        Role::Excluded => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::pipeline::attribute::Workload;
    use crate::pipeline::compose::tests::{alert, answered, evil};
    use crate::pipeline::exchange::Exchange;
    use crate::pipeline::exchange::samples::{attributed, workload};
    use crate::pipeline::roll_up::Saying;

    /// A pod that becomes known, with a role, while a test runs.
    #[derive(Debug, Default)]
    struct Known(Mutex<Option<Role>>);

    impl Known {
        fn is(&self, role: Role) {
            *self.0.lock().unwrap() = Some(role);
        }
    }

    impl Pods for Known {
        fn pod(&self, _: &str) -> Option<Arc<Pod>> {
            let role = (*self.0.lock().unwrap())?;
            Some(Arc::new(Pod { namespace: "n".into(), name: "p".into(), role, ..Pod::default() }))
        }

        fn is_asked(&self) -> bool {
            true
        }
    }

    fn stage() -> (Arc<Known>, Withholder) {
        let pods = Arc::new(Known::default());
        (pods.clone(), Withholder::new(Settings::default(), pods))
    }

    fn by(change: impl FnOnce(&mut Exchange)) -> Alert {
        let mut exchange = answered();
        change(&mut exchange);
        alert(Saying::First, exchange, evil())
    }

    #[test]
    fn a_resolver_is_withheld_as_a_client_and_told_as_a_server() {
        let (pods, stage) = stage();
        pods.is(Role::Resolver);
        assert!(stage.look(&mut attributed(workload('a')), false).is_some());
        assert!(stage.look(&mut attributed(workload('a')), true).is_none());
        pods.is(Role::Excluded);
        assert!(stage.look(&mut attributed(workload('a')), true).is_some());
    }

    #[test]
    fn nothing_is_withheld_by_an_address_alone() {
        let (pods, stage) = stage();
        pods.is(Role::Resolver);
        let address = Arc::new(Workload::address("10.0.0.10".parse().unwrap()));
        assert!(stage.look(&mut attributed(address), false).is_none());
    }

    #[test]
    fn an_alert_of_an_unknown_pod_is_told_until_the_pod_is_known() {
        let (pods, mut stage) = stage();
        assert!(!stage.keeps_back(&by(|_| {})));
        pods.is(Role::Watched);
        assert!(!stage.keeps_back(&by(|_| {})));
        pods.is(Role::Resolver);
        assert!(stage.keeps_back(&by(|_| {})));
        assert_eq!((stage.counts().resolver_alerts, stage.accounts().read().len()), (1, 1));
        assert!(!stage.keeps_back(&by(|exchange| exchange.server_side = true)));
    }

    #[test]
    fn who_was_watched_when_he_asked_is_told_whatever_he_becomes() {
        let (pods, mut stage) = stage();
        pods.is(Role::Watched);
        let mut whose = attributed(workload('a'));
        assert!(stage.look(&mut whose, false).is_none() && whose.is_watched);
        pods.is(Role::Resolver);
        assert!(!stage.keeps_back(&by(|exchange| exchange.attributed = whose)));
    }

    #[test]
    fn dns_logs_of_resolvers_are_made_where_they_are_wanted() {
        let (pods, mut stage) = stage();
        pods.is(Role::Resolver);
        let pod = stage.look(&mut attributed(workload('a')), false).unwrap();
        assert!(stage.keeps_from_logs(&pod));
        stage.settings.resolver_logs = true;
        assert!(!stage.keeps_from_logs(&pod));
        assert!(stage.keeps_from_logs(&Pod { role: Role::Excluded, ..Pod::default() }));
        let counts = stage.counts();
        assert_eq!((counts.resolver_messages, counts.excluded_messages), (1, 1));
    }
}
